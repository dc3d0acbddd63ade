/** The link that takes a NIC over, where it is made for that: a bridge, or a macvlan beside the guests' macvtaps. */
import { constants } from 'node:os'
import { randomAddress } from '../../link/bridge-defaults.js'
import type { Link } from '../../link/link.js'
import { changeRequest, createRequest, deleteRequest } from '../../link/link-requests.js'
import { type Change, type Step, type Sysctl, send, sysctlCommand, wayBackOf, writeSysctls } from '../step.js'
import type { Target } from './addresses.js'

const { EAFNOSUPPORT, ENODEV, EOPNOTSUPP } = constants.errno

/** An own address mode of IPv6: the link gets the NIC's addresses, not one of the kernel's choice. */
const NO_ADDRESS = { afSpec: { inet6: { addrGenMode: 'none' } } }

interface NewLink {
  readonly nic: Link
  readonly target: Target
  readonly sysctls: readonly Sysctl[]
}

/** With the NIC's MAC address and MTU, pinned; without STP, so that its port forwards at once. */
export function newBridge({ nic, target, sysctls }: NewLink): Step {
  const { index, name } = target
  const { address, mtu = 1500 } = nic
  const born: Change = {
    request: createRequest({ kind: 'bridge', name, index, address, stp: false, forwardDelay: 0 }, false),
    command: `ip link add name ${name} index ${index} address ${address} type bridge stp_state 0 forward_delay 0`
  }
  // An MTU that is the same already is no change, and would not be kept when ports come and go.
  const pinned = (mtu === 1500 ? [mtu - 1, mtu] : [mtu]).map(each =>
    setting(index, { mtu: each }, `ip link set dev ${name} mtu ${each}`)
  )
  return creation('bridge', target, [born, withoutAddress(target), ...pinned], sysctls)
}

/** In mode bridge: guests' macvtaps on the same NIC reach it. It cannot have the NIC's MAC address. */
export function newMacvlan({ nic, target, sysctls }: NewLink, address = randomAddress()): Step {
  const { index, name } = target
  const { mtu } = nic
  const born: Change = {
    request: createRequest({ kind: 'macvlan', name, index, address, mtu, link: nic.index, mode: 'bridge' }, false),
    command: `ip link add link ${nic.name} name ${name} index ${index} address ${address} mtu ${mtu} type macvlan mode bridge`
  }
  return creation('macvlan', target, [born, withoutAddress(target)], sysctls)
}

const NOTHING = '00:00:00:00:00:00'

/** The address that a bridge keeps: one that lost its last port may have none, and gets the NIC's. */
export const addressKept = (bridge: Link, nic: Link): string =>
  (bridge.address === NOTHING ? nic.address : bridge.address) ?? ''

/** A bridge whose address was never set takes the lowest one of its ports: others would have to learn it anew. */
export function keepingAddress({ index, name = '' }: Link, address: string): Step {
  const change = setting(index, { address }, `ip link set dev ${name} address ${address}`)
  return {
    name: 'address of the bridge',
    commands: [change.command ?? ''],
    back: wayBackOf([change], { bestEffort: true }),
    apply: ({ net }) => send(net, [change])
  }
}

function creation(kind: string, { index, name }: Target, first: readonly Change[], sysctls: readonly Sysctl[]): Step {
  const up = setting(index, { up: true }, `ip link set dev ${name} up`)
  const remove = { request: deleteRequest(index), command: `ip link del dev ${name}`, settled: [ENODEV] }
  return {
    name: kind,
    commands: [...first.map(({ command = '' }) => command), ...sysctls.map(sysctlCommand), up.command ?? ''],
    back: wayBackOf([remove]),
    async apply({ net }) {
      const [born, ...rest] = first
      // Nothing else is sent to an index that turned out to be another's.
      if (born) await send(net, [born])
      await send(net, rest)
      await writeSysctls(net, sysctls)
      await send(net, [up])
    }
  }
}

function setting(index: number, options: Record<string, unknown>, command: string): Change {
  return { request: changeRequest(index, options), command }
}

function withoutAddress({ index, name }: Target): Change {
  return {
    ...setting(index, NO_ADDRESS, `ip link set dev ${name} addrgenmode none`),
    settled: [EAFNOSUPPORT, EOPNOTSUPP]
  }
}

/** How the NIC makes addresses of IPv6 is how the link does from now on. */
export function addressMode(nic: Link, { index, name }: Target): Change[] {
  const mode = nic.afSpec?.inet6?.addrGenMode
  if (mode === undefined || mode === 'none') return []
  const command = `ip link set dev ${name} addrgenmode ${mode === 'stablePrivacy' ? 'stable_secret' : mode}`
  const change = setting(index, { afSpec: { inet6: { addrGenMode: mode } } }, command)
  // A secret of its own may be missing (EINVAL).
  return [{ ...change, settled: [EAFNOSUPPORT, EOPNOTSUPP, constants.errno.EINVAL] }]
}
