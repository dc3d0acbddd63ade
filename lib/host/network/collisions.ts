/** Subnets of a network that something else of the host has already. */
import { type IpPrefix, parsePrefix } from '../../link/ip-prefix.js'
import type { Route } from '../../link/routes.js'
import type { Finding } from '../finding.js'
import type { BridgedNetwork, BridgePart } from './bridge.js'
import type { Situation } from './situation.js'
import { isLinkLocal, overlap, prefixesOf } from './subnets.js'

const MAIN = 254
const LOCAL = 255
/** VPNs take the default route's place by its halves, and IPv6 has no more than this in use. */
const ALL_THERE_IS = { inet: 1, inet6: 3 } as const
const NOWHERE = new Set(['blackhole', 'unreachable', 'prohibit', 'throw'])

/**
 * Another link has a way to a subnet of the network, or an address in it: replies would go there, or guests could not reach
 * it. Of a network of kind `bridge` only what is as narrow counts: its host has wider routes by other links, as a rule.
 *
 * @param moved the index of the NIC that is taken over
 */
export function collisionsOf(
  network: BridgedNetwork,
  situation: Situation,
  bridge: BridgePart,
  moved?: number
): Finding[] {
  const isOwn = (index: number | undefined) => index === bridge.index || (moved !== undefined && index === moved)
  const strict = network.kind === 'bridge'
  return subnetsOf(network).flatMap(prefix => {
    const about = `${prefix.address}/${prefix.length}`
    const collision = (what: string) => [{ code: 'route-collision', message: `${about} overlaps with ${what}`, about }]
    const route = situation.routes.find(each => {
      return each.tableId === MAIN && !isOwn(each.oif) && isInTheWay(each, prefix, strict)
    })
    if (route) return collision(`${route.destination} by ${wayOf(route, situation)}`)
    const address = situation.addresses.find(each => {
      return !isOwn(each.index) && overlap(parsePrefix(each.ownAddress, 'address'), prefix)
    })
    return address ? collision(`the address ${address} of ${nameOf(address.index, situation)}`) : []
  })
}

/** The same in tables that rules lead to before the main one; for which packets is the rules' to say. */
export function otherTables(network: BridgedNetwork, situation: Situation, bridge: BridgePart): Finding[] {
  const { rules, routes } = situation
  const asked = new Set(rules.filter(({ action }) => action === 'table').map(({ tableId }) => tableId))
  return subnetsOf(network).flatMap(prefix => {
    const route = routes.find(each => {
      const isOther = each.tableId !== MAIN && each.tableId !== LOCAL && asked.has(each.tableId)
      return isOther && each.oif !== bridge.index && isInTheWay(each, prefix, network.kind === 'bridge')
    })
    if (!route) return []
    const about = `${prefix.address}/${prefix.length}`
    const way = `${route.destination} by ${wayOf(route, situation)}`
    const message = `${about} overlaps with ${way} in table ${route.tableId}, which packets may be led to by a rule`
    return [{ code: 'other-table', message, about }]
  })
}

const subnetsOf = (network: BridgedNetwork) => prefixesOf(network).filter(prefix => !isLinkLocal(prefix))

function isInTheWay(route: Route, prefix: IpPrefix, strict: boolean): boolean {
  const { type, destination, dst = '' } = route
  if (destination === 'default' || /^fe80:|^ff/.test(dst)) return false
  const to = parsePrefix(destination, 'destination')
  if (to.length <= ALL_THERE_IS[to.family] || !overlap(to, prefix)) return false
  // A wide one that leads nowhere keeps the inside of a site inside, and is none for what is narrower.
  if (NOWHERE.has(String(type)) || strict)
    return (NOWHERE.has(String(type)) || type === 'unicast') && to.length >= prefix.length
  return type === 'unicast'
}

function wayOf({ oif, type }: Route, situation: Situation): string {
  if (type !== 'unicast') return String(type)
  return oif === undefined ? 'another way' : nameOf(oif, situation)
}

const nameOf = (index: number, { links }: Situation): string =>
  links.find(link => link.index === index)?.name ?? 'another way'
