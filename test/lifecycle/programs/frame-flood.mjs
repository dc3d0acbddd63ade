/** Reads a flood of frames, and ends in the way that it was asked to. */
import { Netlink, Tap } from '../../../dist/index.js'

const [way, millions = '0'] = process.argv.slice(2)
const net = await Netlink.open()
await net.links.create({ kind: 'bridge', name: 'br0', up: true, forwardDelay: 0 })
const a = await Tap.open({ name: 'a', master: 'br0', up: true, txqlen: 2000 })
const b = await Tap.open({ name: 'b', master: 'br0', up: true, txqlen: 2000 })
net.close()
const feed = a.frames().createBatch()
while (feed.push(Buffer.from('ffffffffffff02000000000188b5'.padEnd(120, '0'), 'hex')));
const feeder = a.frames()
const refill = () => feeder.writeBatch(feed)

let frames = 0
let heap = 0
const wanted = Number(millions) * 1e6
const warm = 50_000
refill()
for await (const batch of b.frames()) {
  frames += batch.length
  refill()
  if (way === 'exit' && frames > warm) process.exit(0)
  if (way === 'throw' && frames > warm) setImmediate(() => Promise.reject(new Error('as asked')))
  if (way === 'close' && frames > warm) void b.close()
  if (way === 'heap' && heap === 0 && frames > warm) {
    globalThis.gc()
    heap = process.memoryUsage().heapUsed
    frames = 0
  }
  if (way === 'heap' && heap > 0 && frames > wanted) break
}
if (way === 'heap') {
  globalThis.gc()
  console.log(JSON.stringify({ frames, grown: process.memoryUsage().heapUsed - heap }))
} else console.log('ended')
await Promise.all([a.close(), b.close()])
