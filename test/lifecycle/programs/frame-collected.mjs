/** Forgets a queue that somebody waited for, while its device goes on. */
import { execFileSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { setTimeout as delay } from 'node:timers/promises'
import { FrameQueue, Macvtap, Netlink, Tap } from '../../../dist/index.js'

const warnings = []
process.on('warning', ({ code }) => warnings.push(code))
async function collect() {
  for (let tries = 0; warnings.length === 0 && tries < 200; tries++) {
    global.gc()
    await delay(20)
  }
}

if (process.argv[2] === 'macvtap') {
  const net = await Netlink.open()
  await net.links.create({ kind: 'veth', name: 'lower0', up: true, peer: { name: 'lower1', up: true } })
  const link = await net.links.create({ kind: 'macvtap', name: 'mvt0', link: 'lower0', mode: 'bridge', up: true })
  await (async () => {
    const queue = (await Macvtap.open(link, { net })).frames()
    // It keeps its device as long as somebody holds it.
    for (let turn = 0; turn < 5; turn++) {
      global.gc()
      await delay(20)
    }
    if (queue.closed || warnings.length > 0) throw new Error('collected while it was held')
    queue.readBatch(queue.createBatch())
  })()
  await collect()
  console.log(JSON.stringify({ warnings }))
  process.exit()
}

const tap = await Tap.open({ name: 'forgotten', up: true, ipv6: false })
execFileSync('ip', ['address', 'add', '192.0.2.1/24', 'dev', 'forgotten'])
await (async () => {
  const queue = await FrameQueue.duplicate(tap.fd)
  const stopping = new AbortController()
  const waiting = queue.readable(stopping.signal)
  stopping.abort()
  await waiting.catch(() => {})
})()
await collect()
// A question for the address of the other end: it is nobody's, and must not wake anybody for ever.
const socket = createSocket('udp4').unref()
socket.send('frame', 9, '192.0.2.2')
await delay(50)
const before = process.cpuUsage()
await delay(300)
const { user, system } = process.cpuUsage(before)
const waits = tap.frames().readBatch(tap.frames().createBatch())
console.log(JSON.stringify({ warnings, busy: (user + system) / 1000, waits }))
socket.close()
await tap.close()
