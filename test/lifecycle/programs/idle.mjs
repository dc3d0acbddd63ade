/** Has one thing open and nothing pending: the process ends by itself. */
import { FdServer, FdSocket, Macvtap, Netlink, Tap, Tun } from '../../../dist/index.js'

const [what] = process.argv.slice(2)
const net = await Netlink.open()
globalThis.kept = await {
  netlink: async () => net.links.list(),
  tap: () => Tap.open({ up: true }),
  tun: () => Tun.open(),
  macvtap: async () => {
    await net.links.create({ kind: 'veth', name: 'v0', peer: { name: 'v1' } })
    return Macvtap.open(await net.links.create({ kind: 'macvtap', name: 'm0', link: 'v0', mode: 'private' }), { net })
  },
  pair: () => FdSocket.pair(),
  server: () => FdServer.listen(`/run/idle-${process.pid}.sock`),
  // Between two events nothing is waited for.
  watch: async () => {
    const watch = net.watch({ links: true, addresses: true })
    await watch.next()
    return watch
  },
  'unref watch': async () => {
    const watch = net.watch({ links: true })
    await watch.next()
    watch
      .unref()
      .next()
      .catch(() => {})
    return watch
  },
  unref: async () => {
    net.unref()
    for (let i = 0; i < 100; i++) net.links.list().catch(() => {})
  }
}[what]()
console.log('idle')
