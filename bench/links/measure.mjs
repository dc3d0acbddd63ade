// The frame of every subject of the `links` suite that is written in JavaScript:
// argv is <workload> <count> <kind> <helper>; one untimed run, one timed run, one line of JSON.
import { execFileSync } from 'node:child_process'
import { watchEventLoop } from '../event-loop.mjs'
import { digest } from './digest.mjs'
import { workloads } from './workloads.mjs'

export const GET_LINKS = 100

/** Untimed runs before the timed one, the same for every subject: whoever creates thousands of links has run for a while. */
export const WARM_UPS = 3

// What a run returned, as the text that must be the same for all subjects.
const checks = {
  'create-delete': () => '',
  get: indexes => `indexes=${indexes.slice(0, GET_LINKS).reduce((sum, index) => sum + index, 0)}`,
  'create-batch': () => '',
  dump: digest
}

/**
 * A subject: open() gives a context; each workload is a function (context, count, kind).
 * `get` returns the indexes it got, `dump` the rows { name, index, state, master, mac } of its last dump.
 */
export async function measure(subject) {
  const [name, countText, kind, helper] = process.argv.slice(2)
  const workload = workloads.find(each => each.name === name)
  const count = Number(countText)
  const context = await subject.open?.()
  const run = () => subject[name](context, count, kind)

  for (let i = 0; i < WARM_UPS; i++) {
    await run()
    if (workload.leaves) execFileSync(helper, ['clear'])
  }

  const eventLoop = await watchEventLoop()
  const start = process.hrtime.bigint()
  const outcome = await run()
  const seconds = Number(process.hrtime.bigint() - start) / 1e9
  const delays = await eventLoop.stop()

  const value = workload.value(count, seconds)
  console.log(JSON.stringify({ value, unit: workload.unit, check: checks[name](outcome), ...delays }))
  await subject.close?.(context)
}
