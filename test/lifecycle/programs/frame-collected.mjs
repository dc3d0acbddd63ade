/** Forgets a queue that somebody waited for, while its device goes on. */
import { execFileSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { setTimeout as delay } from 'node:timers/promises'
import { FrameQueue, Tap } from '../../../dist/index.js'

const warnings = []
process.on('warning', ({ code }) => warnings.push(code))
const tap = await Tap.open({ name: 'forgotten', up: true, ipv6: false })
execFileSync('ip', ['address', 'add', '192.0.2.1/24', 'dev', 'forgotten'])
await (async () => {
  const queue = await FrameQueue.duplicate(tap.fd)
  const stopping = new AbortController()
  const waiting = queue.readable(stopping.signal)
  stopping.abort()
  await waiting.catch(() => {})
})()
for (let tries = 0; warnings.length === 0 && tries < 200; tries++) {
  global.gc()
  await delay(20)
}
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
