/** Applies a plan for nic0 and confirms it when its standard input ends: NAMESPACE STATE-FILE. */
import { once } from 'node:events'
import { Plan } from '../../../dist/host/plan.js'
import { send, wayBackOf } from '../../../dist/host/step.js'
import { Netlink } from '../../../dist/index.js'
import { changeRequest } from '../../../dist/link/link-requests.js'

const [netns, stateFile] = process.argv.slice(2)
const net = await Netlink.open({ netns })
const { index } = await net.links.get('nic0')
const mtuOf = mtu => ({ request: changeRequest(index, { mtu }) })
const step = {
  name: 'mtu',
  commands: [],
  back: wayBackOf([mtuOf(1500)]),
  apply: context => send(context.net, [mtuOf(1400)])
}
const none = { conflicts: [], warnings: [], verify: async () => [], links: [], made: [] }
const plan = new Plan({ net, steps: [step], ...none })
await plan.apply({ stateFile, confirmWithin: '60s' })
console.log('applied')
process.stdin.resume()
await once(process.stdin, 'end')
await plan.confirm()
net.close()
