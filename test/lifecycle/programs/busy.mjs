/** Keeps everything under way at once, then ends as its argument says. */
import { Worker } from 'node:worker_threads'
import { FdSocket, Macvtap, Netlink, Tap } from '../../../dist/index.js'

const [end = 'return', delay = '0'] = process.argv.slice(2)
const net = await Netlink.open()
await net.links.create({ kind: 'veth', name: 'b0', up: true, peer: { name: 'b1', up: true } })
await net.links.create({ kind: 'macvtap', name: 'bm0', link: 'b0', mode: 'bridge', up: true })
const taps = await Promise.all(Array.from({ length: 8 }, (_, i) => Tap.open({ name: `bt${i}`, up: true })))
const macvtap = await Macvtap.open('bm0', { net, queues: 2 })
const [left, right] = FdSocket.pair()

const ignore = () => {}
async function watch() {
  const watching = net.watch({ links: true, addresses: true, routes: true, receiveBuffer: 1 })
  for (let i = 0; i < 20; i++) await watching.next()
  await watching.close()
}
function load() {
  net.links.list().catch(ignore)
  net.links.createMany(Array.from({ length: 100 }, (_, i) => ({ kind: 'ifb', name: `bi${i}` }))).catch(ignore)
  for (let i = 0; i < 20; i++) net.links.get('b0').catch(ignore)
  Tap.open({ name: 'bx%d' }).then(tap => tap.close(), ignore)
  Netlink.open({ netns: { new: true } }).then(other => other.links.list().finally(() => other.close()), ignore)
  net.links.waitFor('never', link => link !== undefined, { timeout: 60_000 }).catch(ignore)
  watch().catch(ignore)
  left.receive().catch(ignore)
  right.send('x'.repeat(1000), [taps[0].fd]).catch(ignore)
  taps[7].close()
  macvtap.describe().catch(ignore)
}
load()
console.log('busy')

switch (end) {
  case 'exit':
    setTimeout(() => process.exit(7), Number(delay))
    break
  case 'throw':
    setTimeout(() => {
      throw new Error('on purpose')
    }, Number(delay))
    break
  case 'abort':
    setTimeout(() => process.abort(), Number(delay))
    break
  case 'wait':
    setInterval(load, 5)
    break
  case 'worker': {
    const worker = new Worker(new URL('busy-worker.mjs', import.meta.url))
    worker.on('error', ignore)
    setTimeout(() => worker.terminate().then(() => process.exit(0)), Number(delay))
    break
  }
  default:
    throw new Error(`no such end: ${end}`)
}
