/** Workers that echo a queue each under a flood, terminated at random moments. */
import { readdirSync, readlinkSync } from 'node:fs'
import { setTimeout as delay, setImmediate } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { Netlink, Tap } from '../../../dist/index.js'

const [rounds = '10'] = process.argv.slice(2)
const tuns = () =>
  readdirSync('/proc/self/fd').filter(fd => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).includes('net/tun')
    } catch {
      return false
    }
  }).length

const net = await Netlink.open()
await net.links.create({ kind: 'bridge', name: 'br0', up: true, forwardDelay: 0 })
const feeder = await Tap.open({ name: 'feeder', master: 'br0', up: true, txqlen: 5000 })
const shared = await Tap.open({ name: 'shared', master: 'br0', up: true, queues: 2, txqlen: 5000 })
const feed = feeder.frames().createBatch()
for (let flow = 0; flow < 64; flow++) {
  const frame = Buffer.alloc(60, flow)
  Buffer.from('ffffffffffff02000000000188b5', 'hex').copy(frame)
  frame[11] = flow
  feed.push(frame)
}
let feeding = true
const flood = (async () => {
  const queue = feeder.frames()
  const drain = queue.createBatch()
  while (feeding) {
    queue.writeBatch(feed)
    while (queue.readBatch(drain) > 0);
    await setImmediate()
  }
})()
const echoed = new Float64Array(new SharedArrayBuffer(16))
let total = 0
for (let round = 0; round < Number(rounds); round++) {
  const workers = shared.fds.map((fd, at) => {
    const workerData = { fd, at, echoed }
    return new Worker(new URL('frame-worker.mjs', import.meta.url), { workerData })
  })
  await Promise.all(workers.map(worker => new Promise(resolve => worker.once('message', resolve))))
  await delay((round * 7) % 30)
  await Promise.all(workers.map(worker => worker.terminate()))
  total += echoed[0] + echoed[1]
  echoed.fill(0)
}
feeding = false
await flood
// What the workers had is closed when their environments are gone.
for (let tries = 0; tuns() > 3 && tries < 100; tries++) await delay(50)
console.log(JSON.stringify({ tuns: tuns(), echoed: total > 0 }))
await Promise.all([feeder.close(), shared.close()])
net.close()
