/** Applies networks, and is killed as soon as everything is done but for the confirmation. */
import { Netlink, planNetworks } from '../../../dist/index.js'

const [netns, stateFile, runtimeDirectory, spec] = process.argv.slice(2)
const net = await Netlink.open({ netns })
const plan = await planNetworks(net, JSON.parse(spec), { runtimeDirectory })
await plan.apply({ stateFile, confirmWithin: '60s' })
process.kill(process.pid, 'SIGKILL')
