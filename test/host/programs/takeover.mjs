/**
 * Takes eth0 over into br0 and dies on the way: NAMESPACE STATE-FILE STEP WHEN. WHEN is `during` or `after` the step of that
 * number, or `unconfirmed`: it waits for the guard then.
 */
import { Netlink, planTakeover } from '../../../dist/index.js'

const [netns, stateFile, step, when] = process.argv.slice(2)
const net = await Netlink.open({ netns })
const plan = await planTakeover(net, { nic: 'eth0', bridge: 'br0' })
const die = () => process.kill(process.pid, 'SIGKILL')
await plan.apply({
  stateFile,
  confirmWithin: when === 'unconfirmed' ? '3s' : '60s',
  onProgress({ number, state }) {
    if (number !== Number(step)) return
    if (when === 'after' && state === 'done') die()
    // Its requests are under way by then.
    if (when === 'during' && state === 'started') setImmediate(() => setImmediate(die))
  }
})
if (when === 'unconfirmed') {
  console.log(await plan.settled)
  net.close()
} else die()
