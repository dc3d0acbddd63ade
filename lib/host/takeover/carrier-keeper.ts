/**
 * A pair of links that are there for a moment, one of them a port of the bridge: without a live port a bridge has no
 * carrier. It neither sends nor takes redirected frames then, and takes its time to change that.
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

export interface KeeperIndexes {
  readonly port: number
  readonly peer: number
}

export function keeperOn({ port, peer }: KeeperIndexes, bridge: Target, mtu: number): Change[] {
  const [name, other] = [`lw${port.toString(36)}`, `lw${peer.toString(36)}`]
  const born = { kind: 'veth', name, index: port, mtu, peer: { name: other, index: peer, mtu } }
  const change = (index: number, options: Record<string, unknown>): Change => ({
    request: changeRequest(index, options),
    settled: [EAFNOSUPPORT, EOPNOTSUPP]
  })
  const silent = { afSpec: { inet6: { addrGenMode: 'none' } } }
  return [
    {
      request: createRequest(born, false),
      command: `ip link add name ${name} index ${port} mtu ${mtu} type veth peer name ${other} index ${peer} mtu ${mtu}`,
      settled: [EEXIST]
    },
    ...[port, peer].map(index => change(index, silent)),
    { ...change(peer, { up: true }), command: `ip link set dev ${other} up` },
    { ...change(port, { master: bridge.index, up: true }), command: `ip link set dev ${name} master ${bridge.name} up` }
  ]
}

export function keeperOff({ port }: KeeperIndexes): Change {
  return { request: deleteRequest(port), command: `ip link del dev lw${port.toString(36)}`, settled: [ENODEV] }
}

/** Until the bridge has its carrier, and uses it. */
export async function keeperForwards(net: Netlink, { port }: KeeperIndexes, bridge: Target): Promise<boolean> {
  for (let waited = 0; waited < PATIENCE; waited += PAUSE) {
    const [own, whole] = await Promise.all([net.links.get(port), net.links.get(bridge.index)])
    if (own.port?.state === FORWARDING && whole.operstate === 'up') return true
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
  const wait: Operation = { op: 'pause', milliseconds: 5 * PAUSE, command: `sleep ${(5 * PAUSE) / 1000}` }
  return [
    ...wayBackOf(keeperOn(indexes, bridge, mtu), { bestEffort: true }),
    wait,
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
