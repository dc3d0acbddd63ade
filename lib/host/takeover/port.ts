/** Makes the NIC a port of the bridge, and not a port any more: the one moment in which its frames change their way. */
import { changeRequest } from '../../link/link-requests.js'
import { type Change, type Step, send, wayBackOf } from '../step.js'
import { type KeeperIndexes, keeperOff, keeperOn, keepingCarrier, peerOf, withKeeper } from './carrier-keeper.js'
import { commandsOf, type Move } from './moving.js'
import { type Redirect, redirectCommands, redirecting, withRedirect } from './redirect.js'

export interface Joining extends Move {
  readonly keeper: KeeperIndexes
  /** Of the bridge. */
  readonly mtu: number
  readonly address: string
  /** Whether what arrives meanwhile can be led around the NIC. */
  readonly redirects: boolean
}

/** From here on frames come by the bridge. */
export function joining(how: Joining): Step {
  const { nic, target, keeper, mtu, address, redirects } = how
  const master = (index: number, command: string): Change => ({
    request: changeRequest(nic.index, { master: index }),
    command
  })
  const join = master(target.index, `ip link set dev ${nic.name} master ${target.name}`)
  const leave = wayBackOf([master(0, `ip link set dev ${nic.name} nomaster`)])
  const redirect: Redirect = { nic, into: peerOf(keeper), address }
  const { on, off } = redirectCommands(redirect)
  const command = join.command as string
  return {
    name: 'port',
    commands: [
      ...commandsOf(keeperOn(keeper, target, mtu)),
      ...(redirects ? [on, command, off] : [command]),
      ...commandsOf([keeperOff(keeper)])
    ],
    back: withKeeper(keeper, target, mtu, redirects ? withRedirect(redirect, leave) : leave),
    apply: ({ net, warn }) =>
      keepingCarrier(net, keeper, target, mtu, async kept => {
        const lossy = (error: unknown) => warn('no-redirect', mayLose(nic.name, error))
        const work = () => send(net, [join])
        if (kept && redirects) return await redirecting(net, redirect, work, lossy)
        lossy(kept ? 'the kernel has no nf_tables' : 'the port beside it does not forward')
        await work()
      })
  }
}

function mayLose(name: string, error: unknown): string {
  const why = error instanceof Error ? error.message : String(error)
  return `what ${name} receives in the moment in which it becomes a port may be lost: ${why}`
}
