/**
 * A pair of links that are there for a moment, one of them a port of the bridge: without a live port a bridge has no
 * carrier (br_port_state_selection). It sends nothing then, and takes its time to change that.
 */

import { constants } from 'node:os'
import { setTimeout } from 'node:timers/promises'
import { changeRequest, createRequest, deleteRequest } from '../../link/link-requests.js'
import type { Netlink } from '../../link/netlink.js'
import { type Change, send, wayBackOf } from '../step.js'
import type { Operation } from '../way-back.js'
import type { Target } from './addresses.js'

const { EEXIST, ENODEV, EAFNOSUPPORT, EOPNOTSUPP } = constants.errno

/** Milliseconds that the kernel may take to let a port forward, and to tell of it. */
const PATIENCE = 2000
const PAUSE = 10
/** BR_STATE_FORWARDING */
const FORWARDING = 'forwarding'
/** A bridge whose address is not set has the lowest one of its ports. */
const ADDRESS = 'fe:ff:ff:ff:ff:ff'

export interface KeeperIndexes {
  readonly port: number
  readonly peer: number
}

const nameOf = (index: number): string => `lw${index.toString(36)}`

/** What is sent by it comes in by the port. */
export const peerOf = ({ peer }: KeeperIndexes): Target => ({ index: peer, name: nameOf(peer) })

export function keeperOn({ port, peer }: KeeperIndexes, bridge: Target, mtu: number): Change[] {
  const [name, other] = [nameOf(port), nameOf(peer)]
  const born = { kind: 'veth', name, index: port, mtu, address: ADDRESS, peer: { name: other, index: peer, mtu } }
  const change = (index: number, options: Record<string, unknown>): Change => ({
    request: changeRequest(index, options),
    settled: [EAFNOSUPPORT, EOPNOTSUPP]
  })
  const silent = { afSpec: { inet6: { addrGenMode: 'none' } } }
  return [
    {
      request: createRequest(born, false),
      command: `ip link add name ${name} index ${port} address ${ADDRESS} mtu ${mtu} type veth peer name ${other} index ${peer} mtu ${mtu}`,
      settled: [EEXIST]
    },
    ...[port, peer].map(index => change(index, silent)),
    { ...change(peer, { up: true }), command: `ip link set dev ${other} up` },
    { ...change(port, { master: bridge.index, up: true }), command: `ip link set dev ${name} master ${bridge.name} up` }
  ]
}

export function keeperOff({ port }: KeeperIndexes): Change {
  return { request: deleteRequest(port), command: `ip link del dev ${nameOf(port)}`, settled: [ENODEV] }
}

/** Until the bridge has its carrier and uses it, and what is sent by the peer comes in by the port. */
export async function keeperForwards(net: Netlink, { port, peer }: KeeperIndexes, bridge: Target): Promise<boolean> {
  for (let waited = 0; waited < PATIENCE; waited += PAUSE) {
    const [own, other, whole] = await Promise.all([port, peer, bridge.index].map(index => net.links.get(index)))
    if (own?.port?.state === FORWARDING && other?.operstate === 'up' && whole?.operstate === 'up') return true
    await setTimeout(PAUSE)
  }
  return false
}

/** The same around a part of the way back. */
export function withKeeper(
  indexes: KeeperIndexes,
  bridge: Target,
  mtu: number,
  work: readonly Operation[]
): Operation[] {
  const up = [indexes.port, indexes.peer].map((index): Operation => {
    const command = `until ip link show dev ${nameOf(index)} | grep -q 'state UP'; do sleep 0.01; done`
    return { op: 'await', index, milliseconds: PATIENCE, command, bestEffort: true }
  })
  return [
    ...wayBackOf(keeperOn(indexes, bridge, mtu), { bestEffort: true }),
    ...up,
    ...work,
    ...wayBackOf([keeperOff(indexes)], { bestEffort: true })
  ]
}

/** Makes the pair, does something, and removes it. @returns whether the bridge had a carrier meanwhile */
export async function keepingCarrier<T>(
  net: Netlink,
  indexes: KeeperIndexes,
  bridge: Target,
  mtu: number,
  work: (kept: boolean) => Promise<T>
): Promise<T> {
  try {
    const kept = await send(net, keeperOn(indexes, bridge, mtu)).then(
      () => keeperForwards(net, indexes, bridge),
      () => false
    )
    return await work(kept)
  } finally {
    await send(net, [keeperOff(indexes)])
  }
}
