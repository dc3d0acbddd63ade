/** Workers that start programs all the time, terminated at random moments: no process, zombie or descriptor is left. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { isMainThread, parentPort, Worker } from 'node:worker_threads'
import { Child } from '../../../dist/child.js'

if (!isMainThread) {
  parentPort.postMessage('ready')
  for (;;) {
    const children = await Promise.all(
      ['60', '0', '0.01', '60'].map(time => Child.spawn('/bin/sleep', { args: [time], atEnd: 'kill' }))
    )
    await Child.spawn('/nowhere').catch(() => {})
    children[0].kill('SIGKILL')
    await Promise.race(children.map(child => child.exited))
  }
}

const pidfds = () =>
  readdirSync('/proc/self/fd').filter(fd => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).includes('pidfd')
    } catch {
      return false
    }
  }).length
const parentOf = pid => {
  try {
    return Number(/^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
  } catch {
    return 0
  }
}
const children = () => readdirSync('/proc').filter(name => /^\d+$/.test(name) && parentOf(name) === process.pid).length

const first = await Child.spawn('/bin/sleep', { args: ['60'] })
if (children() !== 1) throw new Error('a child is not seen')
first.kill('SIGKILL')
await first.exited

const [rounds = '10'] = process.argv.slice(2)
for (let round = 0; round < Number(rounds); round++) {
  const workers = [0, 1].map(() => new Worker(new URL(import.meta.url)))
  await Promise.all(workers.map(worker => new Promise(resolve => worker.once('message', resolve))))
  await delay((round * 7) % 30)
  await Promise.all(workers.map(worker => worker.terminate()))
}
for (let tries = 0; (pidfds() > 0 || children() > 0) && tries < 200; tries++) await delay(50)
console.log(JSON.stringify({ pidfds: pidfds(), children: children() }))
