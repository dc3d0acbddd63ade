// Opens TAPs and a pool, says so, and waits for a signal. "own" has a handler of the program's own as well.
import { subscribe } from 'node:diagnostics_channel'
import { writeSync } from 'node:fs'
import { closeOnSignals, Tap, TapPool } from '../../../dist/index.js'

const [how] = process.argv.slice(2)
const results = await Tap.openMany(Array.from({ length: 100 }, (_, i) => ({ name: `sig${i}` })))
const pool = await TapPool.open({ name: 'sigpool%d', size: 20 })
closeOnSignals(() => [...results.map(({ value }) => value), pool])
if (how === 'own') {
  process.on('SIGTERM', () => {
    setTimeout(() => {
      console.log(results.every(({ value }) => value.closed) ? 'closed' : 'open')
      process.exit(7)
    }, 1000)
  })
}
subscribe('linkwright:netlink:send', ({ type }) => {
  if (type === 'RTM_DELLINK') writeSync(1, 'removed\n')
})
console.log('ready')
setInterval(() => {}, 1000)
