/** Children, and the end of who started them: `leave` or `kill`, and how it ends. Prints their pids. */
import { setTimeout as delay } from 'node:timers/promises'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { Child } from '../../../dist/child.js'

const [atEnd, how] = isMainThread ? process.argv.slice(2) : workerData
const sleeper = () => Child.spawn('/bin/sleep', { args: ['300'], atEnd })

if (isMainThread && how === 'terminate') {
  const worker = new Worker(new URL(import.meta.url), { workerData: [atEnd, 'wait'] })
  const pids = await new Promise(resolve => worker.once('message', resolve))
  await worker.terminate()
  console.log(pids.join(' '))
} else {
  const children = await Promise.all([sleeper(), sleeper()])
  const pids = children.map(child => child.unref().pid)
  if (isMainThread) console.log(pids.join(' '))
  else parentPort.postMessage(pids)
  if (how === 'exit') process.exit(0)
  if (how === 'throw') throw new Error('on purpose')
  if (how === 'wait') await delay(60_000)
}
