/** Waits for frames that do not come; ends by itself where that does not keep the process alive. */
import { Macvtap, Netlink, Tap } from '../../../dist/index.js'

const [way] = process.argv.slice(2)
const net = await Netlink.open()
async function openMacvtap() {
  await net.links.create({ kind: 'veth', name: 'lower0', up: true, peer: { name: 'lower1', up: true } })
  const link = await net.links.create({ kind: 'macvtap', name: 'mvt0', link: 'lower0', mode: 'bridge', up: true })
  return Macvtap.open(link, { net })
}
const device = way === 'macvtap' ? await openMacvtap() : await Tap.open({ name: 'idle0', up: true, ipv6: false })
net.close()
const queue = device.frames()
if (way !== 'waiting') queue.unref()
queue.readable()
if (way === 'again') queue.ref()
console.log('waiting')
if (way === 'later') setTimeout(() => console.log('still here'), 50)
