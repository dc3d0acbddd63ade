/** Workers with open devices and requests under way, terminated at random moments: nothing stays in the process. */
import { readdirSync, readlinkSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { Netlink } from '../../../dist/index.js'

const [rounds = '10'] = process.argv.slice(2)
const ours = () =>
  readdirSync('/proc/self/fd').filter(fd => {
    try {
      return /net\/tun|socket:|\/dev\/tap/.test(readlinkSync(`/proc/self/fd/${fd}`))
    } catch {
      return false
    }
  }).length

const before = ours()
let seed = Number(process.env.SEED ?? 1)
const random = () => {
  seed = (seed * 1103515245 + 12345) % 2147483648
  return seed / 2147483648
}
for (let round = 0; round < Number(rounds); round++) {
  const workers = [0, 1].map(() => new Worker(new URL('busy-worker.mjs', import.meta.url)))
  const names = await Promise.all(workers.map(worker => new Promise(resolve => worker.once('message', resolve))))
  if (new Set(names).size !== 2) throw new Error(`two workers have ${names}`)
  await delay(random() * 40)
  await Promise.all(workers.map(worker => worker.terminate()))
}
const net = await Netlink.open()
const taps = async () => (await net.links.list({ kind: 'tun' })).length
for (let tries = 0; (ours() > before + 1 || (await taps()) > 0) && tries < 300; tries++) await delay(50)
console.log(JSON.stringify({ fds: ours() - before, taps: await taps() }))
net.close()
