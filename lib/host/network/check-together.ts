/** What several networks of a spec cannot have at the same time. */
import { isIPv4 } from 'node:net'
import { invalidArgument } from '../../errors.js'
import { parsePrefix } from '../../link/ip-prefix.js'
import { bounds, networkAddress } from '../dnsmasq/subnet.js'
import type { NetworksSpec } from './spec.js'
import { isLinkLocal, prefixesOf } from './subnets.js'
import { metricOf, routesWanted } from './wanted-routes.js'

type Networks = NetworksSpec['networks']

/**
 * @param claims which network has a link for itself
 * @throws LinkwrightError `ERR_INVALID_ARG_VALUE`
 */
export function checkTogether(networks: Networks, claims: ReadonlyMap<string, string>): void {
  checkNics(networks, claims)
  checkDestinations(networks)
  checkOverlaps(networks)
}

/** Networks of kind `direct` may share a NIC, which has one host peer then. */
function checkNics(networks: Networks, claims: ReadonlyMap<string, string>): void {
  const peers = new Map<string, string>()
  for (const [name, network] of Object.entries(networks)) {
    if (network.kind !== 'direct') continue
    const { link, hostPeer } = network
    const path = `networks.${name}`
    const owner = claims.get(link)
    // There may be macvtaps on a bridge, but not on what is a port, or a host peer.
    if (owner && owner !== `networks.${link}`)
      throw invalidArgument(`${path}.link`, `a link that ${owner} does not have`, link)
    if (hostPeer === undefined) continue
    const other = peers.get(link)
    if (other) throw invalidArgument(`${path}.hostPeer`, `nothing, as ${link} has that of ${other}`, hostPeer)
    peers.set(link, path)
  }
}

/** The kernel has one route to a destination for each metric. */
function checkDestinations(networks: Networks): void {
  const seen = new Map<string, string>()
  for (const [name, network] of Object.entries(networks)) {
    if (network.kind !== 'bridge') continue
    const gateways = [network.gateway ?? []].flat().length
    for (const [at, route] of routesWanted(network).entries()) {
      const path = `networks.${name}.${at < gateways ? 'gateway' : `routes[${at - gateways}].to`}`
      const key = [isIPv4(route.via), destinationOf(route.to, path), metricOf(route)].join(' ')
      const other = seen.get(key)
      if (other) throw invalidArgument(path, `another destination or metric than that of ${other}`, route.to)
      seen.set(key, path)
    }
  }
}

function destinationOf(to: string, path: string): string {
  if (to === 'default') return to
  const prefix = parsePrefix(to, path)
  return `${networkAddress(prefix)}/${prefix.length}`
}

interface Subnet {
  readonly first: bigint
  readonly last: bigint
  readonly name: string
  readonly path: string
  readonly given: string
}

/** A network may have several addresses in one subnet. */
function checkOverlaps(networks: Networks): void {
  const all = { inet: [] as Subnet[], inet6: [] as Subnet[] }
  for (const [name, network] of Object.entries(networks)) {
    if (network.kind === 'direct') continue
    for (const [at, prefix] of prefixesOf(network).entries()) {
      if (isLinkLocal(prefix)) continue
      const given = network.addresses?.[at] ?? ''
      all[prefix.family].push({ ...bounds(prefix), name, path: `networks.${name}.addresses[${at}]`, given })
    }
  }
  for (const family of [all.inet, all.inet6]) {
    let furthest: Subnet | undefined
    for (const next of family.toSorted((a, b) => Number(a.first > b.first) - Number(a.first < b.first))) {
      if (furthest && furthest.last >= next.first && furthest.name !== next.name) {
        throw invalidArgument(next.path, `a subnet that does not overlap with ${furthest.path}`, next.given)
      }
      if (!furthest || furthest.last < next.last) furthest = next
    }
  }
}
