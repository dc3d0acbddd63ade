/** Addresses and routes of the host on a network's bridge. */

import { isIPv4 } from 'node:net'
import { constants } from 'node:os'
import { addressRequest } from '../../link/addresses.js'
import { type IpPrefix, parsePrefix } from '../../link/ip-prefix.js'
import { type AddRoute, type Route, routeRequest } from '../../link/routes.js'
import { NLM_F_CREATE, NLM_F_EXCL } from '../../netlink/constants.js'
import { addressNumber, bounds, ipv4Text, networkAddress } from '../dnsmasq/subnet.js'
import type { Finding } from '../finding.js'
import { type Change, type Step, send, wayBackOf } from '../step.js'
import type { BridgedNetwork, BridgePart } from './bridge.js'
import type { Situation } from './situation.js'
import type { BridgeNetwork, StaticRoute } from './spec.js'
import { overlap, prefixesOf } from './subnets.js'
import { metricOf, routesWanted } from './wanted-routes.js'

const { EEXIST, EADDRNOTAVAIL, ENODEV, ESRCH } = constants.errno
const MAIN = 254

/**
 * Those that the bridge has not, and does not get by a takeover.
 *
 * @param moved the index of the NIC that is taken over
 */
export function addressSteps(
  bridge: BridgePart,
  network: BridgedNetwork,
  situation: Situation,
  moved?: number
): Step[] {
  const has = situation.addresses.filter(({ index }) => index === bridge.index || index === moved).map(String)
  const missing = prefixesOf(network).filter(prefix => !has.some(each => isSame(parsePrefix(each, ''), prefix)))
  if (missing.length === 0) return []
  // The host is the only router of its guests; elsewhere others may have the address (RFC 4862).
  const nodad = network.kind !== 'bridge'
  const changes = missing.map(prefix => adding(prefix, bridge, nodad))
  const back = missing.toReversed().map(prefix => removing(prefix, bridge))
  return [
    {
      name: 'addresses',
      commands: changes.map(({ command = '' }) => command),
      back: bridge.made ? [] : wayBackOf(back),
      apply: ({ net }) => send(net, changes)
    }
  ]
}

const isSame = (a: IpPrefix, b: IpPrefix): boolean =>
  a.family === b.family && a.length === b.length && addressNumber(a.address) === addressNumber(b.address)

function adding(prefix: IpPrefix, { index, name }: BridgePart, nodad: boolean): Change {
  const { family, length } = prefix
  const address = `${prefix.address}/${length}`
  const broadcast = family === 'inet' && length < 31 ? ipv4Text(bounds(prefix).last) : undefined
  const skip = family === 'inet6' && nodad
  const options = { address, link: index, ...(broadcast ? { broadcast } : {}), ...(skip ? { nodad } : {}) }
  const words = [address, ...(broadcast ? ['broadcast', broadcast] : []), 'dev', name, ...(skip ? ['nodad'] : [])]
  return {
    request: addressRequest('RTM_NEWADDR', NLM_F_CREATE | NLM_F_EXCL, options, index),
    command: `ip address add ${words.join(' ')}`,
    settled: [EEXIST]
  }
}

function removing({ address, length }: IpPrefix, { index, name }: BridgePart): Change {
  return {
    request: addressRequest('RTM_DELADDR', 0, { address: `${address}/${length}`, link: index }, index),
    command: `ip address del ${address}/${length} dev ${name}`,
    settled: [EADDRNOTAVAIL, ENODEV]
  }
}

export interface RoutingPart {
  readonly steps: readonly Step[]
  readonly conflicts: readonly Finding[]
}

export function routeSteps(
  bridge: BridgePart,
  network: BridgeNetwork,
  situation: Situation,
  moved?: number
): RoutingPart {
  const conflicts: Finding[] = []
  const near = nearBy(bridge, network, situation, moved)
  const missing = routesWanted(network).filter(wanted => {
    const rivals = situation.routes.filter(route => isRival(route, wanted))
    const there = rivals.some(route => isOn(route, wanted, bridge.index) || isOn(route, wanted, moved))
    const [rival] = there ? [] : rivals
    if (rival) {
      const message = `there is another route to ${wanted.to} of metric ${metricOf(wanted)}, by ${rival.gateway ?? 'a link'}`
      conflicts.push({ code: 'another-route', message, about: wanted.to })
    } else if (!there && !near.some(prefix => overlap(prefix, parsePrefix(wanted.via, 'via')))) {
      const message = `${wanted.via} is in no subnet of ${bridge.name}, and cannot be the way to ${wanted.to}`
      conflicts.push({ code: 'gateway-unreachable', message, about: wanted.via })
    }
    return !there
  })
  if (missing.length === 0) return { steps: [], conflicts }
  const changes = missing.map(route => change('add', route, bridge))
  const step: Step = {
    name: 'routes',
    commands: changes.map(({ command = '' }) => command),
    back: bridge.made ? [] : wayBackOf(missing.toReversed().map(route => change('del', route, bridge))),
    apply: ({ net }) => send(net, changes)
  }
  return { steps: [step], conflicts }
}

const familyOf = ({ via }: StaticRoute) => (isIPv4(via) ? 'inet' : 'inet6')

/** Where gateways can be: what is sent by the bridge without one. */
function nearBy(bridge: BridgePart, network: BridgeNetwork, situation: Situation, moved?: number): IpPrefix[] {
  const addresses = situation.addresses.filter(({ index }) => index === bridge.index || index === moved).map(String)
  const direct = situation.routes.filter(({ oif, gateway, type, tableId, destination }) => {
    const isOwn = oif === bridge.index || (moved !== undefined && oif === moved)
    return isOwn && gateway === undefined && type === 'unicast' && tableId === MAIN && destination !== 'default'
  })
  const texts = [...addresses, ...direct.map(({ destination }) => destination), 'fe80::/10']
  return [...prefixesOf(network), ...texts.map(text => parsePrefix(text, ''))]
}

/** A route in whose place the kernel would not take another. */
function isRival(route: Route, wanted: StaticRoute): boolean {
  if (route.family !== familyOf(wanted) || route.tableId !== MAIN) return false
  return isTo(route, wanted.to) && (route.priority ?? 0) === metricOf(wanted)
}

function isTo({ destination }: Route, to: string): boolean {
  if (destination === 'default' || to === 'default') return destination === to
  return isSame(parsePrefix(destination, ''), parsePrefix(to, ''))
}

function isOn({ type, oif, gateway }: Route, { via }: StaticRoute, index: number | undefined): boolean {
  return type === 'unicast' && oif === index && gateway !== undefined && addressNumber(gateway) === addressNumber(via)
}

function change(verb: 'add' | 'del', wanted: StaticRoute, { index, name }: BridgePart): Change {
  const { to, via, metric } = wanted
  const family = familyOf(wanted)
  const destination = to === 'default' ? to : textOf(parsePrefix(to, 'to'))
  const options: AddRoute = {
    destination,
    family,
    gateway: via,
    link: index,
    ...(metric === undefined ? {} : { priority: metric })
  }
  const six = family === 'inet6' ? '-6 ' : ''
  const request =
    verb === 'add'
      ? routeRequest('RTM_NEWROUTE', NLM_F_CREATE | NLM_F_EXCL, options, index)
      : routeRequest('RTM_DELROUTE', 0, options, index)
  return {
    request,
    command: `ip ${six}route ${verb} ${destination} via ${via} dev ${name}${metric === undefined ? '' : ` metric ${metric}`}`,
    settled: verb === 'add' ? [EEXIST] : [ESRCH, ENODEV]
  }
}

const textOf = (prefix: IpPrefix): string => `${networkAddress(prefix)}/${prefix.length}`
