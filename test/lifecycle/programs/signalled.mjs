// Opens TAPs and a pool, says so, and waits for a signal. "own" has a handler of the program's own as well, "once" one
// for the first signal; "two" closes something else, which takes longer.
import { subscribe } from 'node:diagnostics_channel'
import { writeSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { closeOnSignals, Tap, TapPool } from '../../../dist/index.js'

const [how] = process.argv.slice(2)
const results = await Tap.openMany(Array.from({ length: 100 }, (_, i) => ({ name: `sig${i}` })))
const pool = await TapPool.open({ name: 'sigpool%d', size: 20 })
closeOnSignals(() => [...results.map(({ value }) => value), pool])
if (how === 'two') {
  const last = async () => {
    // Not before the other has begun.
    await setTimeout(1)
    await Promise.all([...results.map(({ value }) => value.close()), pool.close()])
    await setTimeout(300)
    writeSync(1, 'slow\n')
  }
  closeOnSignals(() => [{ [Symbol.asyncDispose]: last }])
}
if (how === 'own' || how === 'once') {
  process[how === 'own' ? 'on' : 'once']('SIGTERM', () => {
    setTimeout(1000).then(() => {
      console.log(results.every(({ value }) => value.closed) ? 'closed' : 'open')
      process.exit(7)
    })
  })
}
subscribe('linkwright:netlink:send', ({ type }) => {
  if (type === 'RTM_DELLINK') writeSync(1, 'removed\n')
})
console.log('ready')
setInterval(() => {}, 1000)
