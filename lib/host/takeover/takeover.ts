/** Taking a NIC over: its addresses and routes go to a bridge that it becomes a port of, or to a host peer over it. */
import { invalidArgument } from '../../errors.js'
import type { Link, LinkRef } from '../../link/link.js'
import type { Netlink } from '../../link/netlink.js'
import { checkKeys } from '../../options.js'
import type { Finding } from '../finding.js'
import { freeIndex } from '../free-index.js'
import { Plan, type PlanParts } from '../plan.js'
import type { Step } from '../step.js'
import type { Target } from './addresses.js'
import { bridgeConflicts, conflictsOf, warningsOf } from './conflicts.js'
import { firewallFindings } from './firewall-names.js'
import { reversePath, sysctlsToCopy } from './interface-sysctls.js'
import { managersOf } from './managers.js'
import {
  finishingTouch,
  gettingReady,
  leavingNic,
  looseReversePath,
  type Move,
  routing,
  strictReversePath,
  textOfRoute
} from './moving.js'
import { addressKept, addressMode, keepingAddress, newBridge, newMacvlan } from './new-link.js'
import { joining } from './port.js'
import { canRedirect } from './redirect.js'
import { look, type Situation } from './situation.js'
import { nothingElse, stillAsPlanned } from './unchanged.js'
import { verifyMove } from './verification.js'

export interface TakeoverOptions {
  readonly nic: LinkRef
  /** The bridge: one that exists, or a name for one that is made with the NIC's MAC address and MTU. */
  readonly bridge?: string | undefined
  /** In place of a bridge: the name of a macvlan that the host uses beside its guests' macvtaps on the NIC. */
  readonly hostPeer?: string | undefined
}

const KEYS: ReadonlySet<string> = new Set<keyof TakeoverOptions>(['nic', 'bridge', 'hostPeer'])

/**
 * Works out how to move a NIC into a bridge, or under a host peer, with its addresses (all but temporary ones), the routes
 * of all tables with every attribute, nexthop objects, rules that name it, static neighbours, MTU and, to a new bridge, MAC address. Each
 * address and route is there all the time, on one of the links or both, also on the way back.
 *
 * A NIC that is a port of that bridge and has nothing left to be moved gives an empty plan.
 *
 * Conflicts: `not-ethernet`, `nic-down`, `already-a-port`, `is-a-bridge`, `upper-link`, `wireless`, `not-a-bridge`,
 * `bridge-down`, `stp`, `route-collision`, `name-taken`, `duplicate-address`, `dhcp-client`, `network-manager`, `systemd-networkd`. Warnings: `vlan-upper`,
 * `bound-tunnel`, `address-expires`, `temporary-address`, `encapsulation`, `firewall-rule` (of nf_tables, that names the
 * NIC), `another-mac`, `mtu`, `vlan-filtering`, and while it is applied `no-redirect`.
 *
 * @throws LinkwrightError `ENODEV` (no such NIC), `ERR_INVALID_ARG_VALUE`
 */
export async function planTakeover(net: Netlink, options: TakeoverOptions): Promise<Plan> {
  return new Plan(await takeoverParts(net, options))
}

/** The same as a part of a larger plan; `made` has the index of the bridge or host peer, if it is a new one. */
export async function takeoverParts(net: Netlink, options: TakeoverOptions): Promise<PlanParts> {
  checkKeys(options, KEYS)
  const { bridge, hostPeer } = options
  const name = bridge ?? hostPeer
  if (typeof name !== 'string' || (bridge !== undefined) === (hostPeer !== undefined)) {
    throw invalidArgument('bridge', "a bridge's name, or a hostPeer in place of it", name)
  }
  if (!/^[^\s/:]{1,15}$/.test(name) || name === '.' || name === '..') {
    throw invalidArgument(bridge === undefined ? 'hostPeer' : 'bridge', 'a name of 1 to 15 bytes', name)
  }
  const situation = await look(net, options.nic)
  const existing = situation.links.find(link => link.name === name || link.altnames.includes(name))
  return bridge === undefined
    ? await underPeer(net, situation, name, existing)
    : await intoBridge(net, situation, name, existing)
}

async function intoBridge(
  net: Netlink,
  situation: Situation,
  name: string,
  existing: Link | undefined
): Promise<PlanParts> {
  const { nic, links } = situation
  const own = targetOf(nic)
  const target = existing ? targetOf(existing) : { index: freeIndex(links), name }
  const kept = await keptBy(net, existing)
  const move: Move = { situation, nic: own, target, made: existing === undefined, kept }
  if (existing && nic.master === existing.index && isBare(situation)) return nothing(net)
  const of = existing ? bridgeConflicts(existing, situation) : { conflicts: [], warnings: [] }
  const path = await reversePath(net, existing ? target.name : own.name, target.name)
  const sysctls = existing ? [] : await sysctlsToCopy(net, own.name, name)
  const address = existing ? addressKept(existing, nic) : (nic.address ?? '')
  const keeper = { port: freeIndex(links), peer: freeIndex(links) }
  const steps: Step[] = [
    stillAsPlanned(situation, own),
    existing ? keepingAddress(existing, address) : newBridge({ nic, target, sysctls }),
    ...gettingReady(move),
    ...(path ? [looseReversePath(path, existing !== undefined)] : []),
    joining({
      ...move,
      keeper,
      mtu: (existing ?? nic).mtu ?? 1500,
      address,
      redirects: await canRedirect(net)
    }),
    ...routing(move),
    nothingElse(situation, own),
    ...leavingNic(move),
    ...finishingTouch(move, existing ? [] : addressMode(nic, target)),
    ...(path ? [strictReversePath(path)] : [])
  ]
  const conflicts = [
    ...conflictsOf(situation, 'bridge', net.netns === undefined),
    ...of.conflicts,
    ...collisionsOf(situation, name, kept),
    ...(await managersOf(net, own))
  ]
  return planOf(net, move, steps, conflicts, [...of.warnings, ...(await warningsFor(net, move))], target.index)
}

async function underPeer(
  net: Netlink,
  situation: Situation,
  name: string,
  existing: Link | undefined
): Promise<PlanParts> {
  const { nic, links } = situation
  const own = targetOf(nic)
  if (existing?.is('macvlan') && existing.link === nic.index && isBare(situation)) return nothing(net)
  const target = { index: freeIndex(links), name }
  const move: Move = { situation, nic: own, target, made: true, kept: new Set() }
  // Others send to the NIC's MAC address until they ask again: for good its frames may come by either link.
  const path = await reversePath(net, own.name, own.name)
  const steps: Step[] = [
    stillAsPlanned(situation, own),
    newMacvlan({ nic, target, sysctls: await sysctlsToCopy(net, own.name, name) }),
    ...gettingReady(move),
    ...(path ? [looseReversePath(path, true)] : []),
    ...routing(move),
    nothingElse(situation, own),
    ...leavingNic(move),
    ...finishingTouch(move, addressMode(nic, target))
  ]
  const taken: Finding[] = existing ? [{ code: 'name-taken', message: `${name} exists`, about: name }] : []
  const conflicts = [
    ...conflictsOf(situation, 'macvlan', net.netns === undefined),
    ...taken,
    ...(await managersOf(net, own))
  ]
  return planOf(net, move, steps, conflicts, await warningsFor(net, move), nic.master ?? 0)
}

async function warningsFor(net: Netlink, { situation, target }: Move): Promise<Finding[]> {
  return [...warningsOf(situation), ...(await firewallFindings(net, situation.nic, target))]
}

function planOf(
  net: Netlink,
  move: Move,
  steps: readonly Step[],
  conflicts: readonly Finding[],
  warnings: readonly Finding[],
  master: number
): PlanParts {
  return {
    net,
    steps,
    conflicts,
    warnings,
    verify: () => verifyMove(net, move, master),
    links: [move.nic, ...(move.made ? [] : [move.target])],
    made: move.made ? [move.target.index] : []
  }
}

function nothing(net: Netlink): PlanParts {
  return {
    net,
    steps: [],
    conflicts: [],
    warnings: [],
    verify: async () => [],
    links: [],
    made: []
  }
}

/** Which of two links the kernel sends by then depends on which address was there first. */
function collisionsOf({ connected, nic }: Situation, bridge: string, kept: ReadonlySet<string>): Finding[] {
  return connected
    .filter(route => kept.has(textOfRoute(route)) && !route.destination.startsWith('fe80:'))
    .map(({ destination: about }) => {
      const message = `${bridge} and ${nic.name} both have an address in ${about}: remove that of ${bridge}`
      return { code: 'route-collision', message, about }
    })
}

async function keptBy(net: Netlink, bridge: Link | undefined): Promise<Set<string>> {
  if (!bridge) return new Set()
  const [addresses, routes] = await Promise.all([
    net.addresses.list({ link: bridge.index }),
    net.routes.list({ link: bridge.index, table: 0 })
  ])
  return new Set([...addresses.map(String), ...routes.map(textOfRoute)])
}

/** Nothing is on the NIC any more that would be moved. */
function isBare({ addresses, routes, rules, neighbours, nexthops }: Situation): boolean {
  return addresses.length + routes.length + rules.length + neighbours.length + nexthops.length === 0
}

const targetOf = ({ index, name = '' }: Link): Target => ({ index, name })
