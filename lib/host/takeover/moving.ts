/** The steps that move what a NIC has to another link, in the order that leaves nobody without an address or a route. */
import { constants } from 'node:os'
import type { Address } from '../../link/addresses.js'
import type { Route } from '../../link/routes.js'
import { type Change, type Step, send, sysctlBack, sysctlCommand, wayBackOf, writeSysctls } from '../step.js'
import type { Operation } from '../way-back.js'
import { adding, finishing, inAddingOrder, removing, type Target } from './addresses.js'
import type { ReversePath } from './interface-sysctls.js'
import { awaitLocal, becomeLocal } from './local-routes.js'
import { addingNeighbour, removingNeighbour, seedingNeighbour } from './neighbours.js'
import { movingNexthop } from './nexthops.js'
import { disconnecting, rerouting, reroutingBack } from './routes.js'
import { addingRule, removingRule } from './rules.js'
import type { Situation } from './situation.js'

const { ENODEV, EADDRNOTAVAIL } = constants.errno

export interface Move {
  readonly situation: Situation
  readonly nic: Target
  readonly target: Target
  /** Whether the target goes away with the way back, and all that is on it. */
  readonly made: boolean
  /** What one that was there before has, and keeps: as text, without the link. */
  readonly kept: ReadonlySet<string>
}

export const textOfRoute = ({ family, destination, tableId, priority }: Route): string =>
  `route ${[family, destination, tableId, priority ?? 0].join(' ')}`

export const commandsOf = (changes: readonly Change[]): string[] => changes.flatMap(({ command }) => command ?? [])

function requests(name: string, changes: readonly Change[], back: Step['back']): Step[] {
  if (changes.length === 0 && back.length === 0) return []
  return [{ name, commands: commandsOf(changes), back, apply: ({ net }) => send(net, changes) }]
}

/** What the target gets beside the NIC, before a frame comes by it. */
export function gettingReady(move: Move): Step[] {
  const { situation, nic, target, made, kept } = move
  const addresses = inAddingOrder([...situation.addresses, ...(made ? situation.linkLocal : [])])
  const back = (changes: readonly Change[]) => (made ? [] : wayBackOf(changes, { settled: [ENODEV] }))
  const own = (list: readonly Address[]) => list.filter(address => !kept.has(String(address))).toReversed()
  const added = addresses.map(address => adding(address, nic.name, target))
  return [
    {
      name: 'addresses',
      commands: commandsOf(added),
      back: back(own(addresses).map(address => removing(address, target))),
      async apply({ net }) {
        await send(net, added)
        await becomeLocal(net, target, addresses)
      }
    },
    ...requests(
      'neighbours',
      situation.neighbours.map(each => addingNeighbour(each, target)),
      back(situation.neighbours.map(each => removingNeighbour(each, target)))
    ),
    ...requests(
      'known neighbours',
      situation.known.map(each => seedingNeighbour(each, target)),
      []
    ),
    // Rules name a link, there or not: they stay when it is removed.
    ...requests(
      'rules',
      situation.rules.map(rule => addingRule(rule, nic.name, target.name)),
      wayBackOf(situation.rules.map(rule => removingRule(rule, nic.name, target.name)))
    )
  ]
}

/** Lets the reverse path check pass frames that come by the one link while the routes go by the other. */
export function looseReversePath({ loose, final }: ReversePath, stays: boolean): Step {
  return {
    name: 'reverse path',
    commands: [sysctlCommand(loose)],
    back: stays ? [sysctlBack(final)] : [],
    apply: ({ net }) => writeSysctls(net, [loose])
  }
}

export function strictReversePath({ loose, final }: ReversePath): Step {
  return {
    name: 'reverse path',
    commands: [sysctlCommand(final)],
    // On the way back it has to be loose first.
    back: [sysctlBack(loose, true)],
    apply: ({ net }) => writeSysctls(net, [final])
  }
}

export function routing({ situation, nic, target, kept }: Move): Step[] {
  const { nexthops } = situation
  // A route by a nexthop object goes where that goes.
  const routes = situation.routes.filter(({ nhId }) => !nhId)
  const first = (route: (typeof routes)[number]) => situation.first.has(route)
  const ordered = gatewaysLast(routes)
  const leftBehind = situation.connected.filter(route => !kept.has(textOfRoute(route)))
  return requests(
    'routes',
    [
      ...nexthops.map(nexthop => movingNexthop(nexthop, target)),
      ...ordered.flatMap(route => rerouting(route, first(route), nic, target))
    ],
    [
      ...wayBackOf(nexthops.map(nexthop => movingNexthop(nexthop, nic))),
      ...wayBackOf(ordered.flatMap(route => reroutingBack(route, first(route), nic, target))),
      // The kernel takes the oldest: nothing must go by the target when the NIC leaves it.
      ...wayBackOf(leftBehind.map(route => disconnecting(route, nic, target)))
    ]
  )
}

/** A gateway has to be reachable over the link by another route. */
function gatewaysLast<T extends { gateway?: string | undefined; via?: string | undefined; multipath?: unknown }>(
  routes: readonly T[]
): T[] {
  const isDirect = ({ gateway, via, multipath }: T) => !gateway && !via && !multipath
  return [...routes.filter(isDirect), ...routes.filter(route => !isDirect(route))]
}

/** Nothing to do but on the way back: what the NIC knew of its neighbours has aged by then, or was given up. */
function knowing({ situation, nic }: Move): Operation[] {
  return wayBackOf(
    situation.known.map(each => seedingNeighbour(each, nic)),
    { bestEffort: true }
  )
}

/** Takes from the NIC what the target has. */
export function leavingNic(move: Move): Step[] {
  const { situation, nic } = move
  const { addresses, neighbours, rules } = situation
  const ordered = inAddingOrder(addresses)
  const flagged = (list: readonly Address[]) => list.flatMap(address => finishing(address, nic.name, nic))
  return [
    // Before the addresses: with the last of IPv4 the kernel forgets them all (fib_disable_ip), so they come back after.
    ...requests(
      'neighbours of the NIC',
      neighbours.map(each => removingNeighbour(each, nic)),
      wayBackOf(neighbours.map(each => addingNeighbour(each, nic)))
    ),
    ...requests(
      'addresses of the NIC',
      ordered.toReversed().map(address => removing(address, nic)),
      [
        ...wayBackOf(ordered.map(address => adding(address, nic.name, nic))),
        ...wayBackOf(flagged(ordered), { settled: [EADDRNOTAVAIL] }),
        ...awaitLocal(nic, [...addresses, ...situation.linkLocal]),
        ...knowing(move)
      ]
    ),
    ...requests(
      'rules of the NIC',
      rules.map(rule => removingRule(rule, nic.name, nic.name)),
      wayBackOf(rules.map(rule => addingRule(rule, nic.name, nic.name)))
    )
  ]
}

/** The last touch: flags that an address only needed to come into use at once. */
export function finishingTouch({ situation, nic, target, made }: Move, more: readonly Change[]): Step[] {
  const addresses = inAddingOrder([...situation.addresses, ...(made ? situation.linkLocal : [])])
  const changes = [...addresses.flatMap(address => finishing(address, nic.name, target)), ...more]
  return requests('settings', changes, [])
}
