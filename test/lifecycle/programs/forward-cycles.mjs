/** Opens and closes pipes and switches many times: no descriptor or thread stays. */
import { readdirSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { Pipe, Switch, Tap, UnixPort } from '../../../dist/index.js'

const count = what => readdirSync(`/proc/self/${what}`).length
const taps = await Promise.all(Array.from({ length: 4 }, (_, at) => Tap.open({ name: `fc${at}`, queues: 2, up: true })))

async function cycle() {
  const pipe = await Pipe.open(taps[0], taps[1])
  const { port, peer } = UnixPort.pair()
  const sw = await Switch.open({ ports: [taps[2], { port: taps[3], queues: [1] }, port] })
  await sw.removePort(sw.ports[0])
  await Promise.all([pipe.close({ drain: true }), sw.close()])
  await Promise.all([port.close(), peer.close()])
}

// The first uses start threads that stay for a while.
for (let times = 0; times < 5; times++) await cycle()
await delay(200)
const before = { fds: count('fd'), threads: count('task') }
for (let times = 0; times < 100; times++) await cycle()
for (let tries = 0; (count('fd') > before.fds || count('task') > before.threads) && tries < 200; tries++)
  await delay(50)
console.log(JSON.stringify({ before, after: { fds: count('fd'), threads: count('task') } }))
for (const tap of taps) await tap.close()
