/** What a NIC has, in one look. */
import type { Address } from '../../link/addresses.js'
import type { Link, LinkRef } from '../../link/link.js'
import type { Neighbour } from '../../link/neighbours.js'
import type { Netlink } from '../../link/netlink.js'
import type { Route } from '../../link/routes.js'
import { isLinkLocal } from './addresses.js'
import { isKnown, isStatic } from './neighbours.js'
import { type Nexthop, nexthopsOver } from './nexthops.js'
import { comesWithAddress, firstOnes } from './routes.js'
import { type Rule, rulesNaming } from './rules.js'

export interface Situation {
  readonly nic: Link
  /** All links of the namespace. */
  readonly links: readonly Link[]
  /** What is taken over, in the kernel's order. */
  readonly addresses: readonly Address[]
  /** Of IPv6, from the MAC address or not: the link that takes over has the same. */
  readonly linkLocal: readonly Address[]
  /** Private ones that the kernel draws by itself (RFC 8981). */
  readonly temporary: readonly Address[]
  readonly routes: readonly Route[]
  /** Prefix routes, which the kernel makes with the addresses. */
  readonly connected: readonly Route[]
  /** Those of `routes` that no other route to the same destination stands before. */
  readonly first: ReadonlySet<Route>
  readonly neighbours: readonly Neighbour[]
  /** Those that the kernel found by itself. */
  readonly known: readonly Neighbour[]
  readonly rules: readonly Rule[]
  readonly nexthops: readonly Nexthop[]
}

export async function look(net: Netlink, ref: LinkRef): Promise<Situation> {
  const nic = await net.links.get(ref)
  const { index, name = '' } = nic
  const [links, all, routes, neighbours, proxies, rules, nexthops] = await Promise.all([
    net.links.list(),
    net.addresses.list({ link: index }),
    net.routes.list({ table: 0 }),
    net.neighbours.list({ link: index }),
    net.neighbours.list({ link: index, proxy: true }),
    rulesNaming(net, name),
    nexthopsOver(net, index)
  ])
  const isTemporary = ({ family, flags }: Address) => family === 'inet6' && Boolean(flags?.secondary)
  const lasting = all.filter(address => !isTemporary(address))
  const uses = (route: Route) => route.oif === index || route.multipath?.some(hop => hop.index === index)
  return {
    nic,
    links,
    addresses: lasting.filter(address => !isLinkLocal(address)),
    linkLocal: lasting.filter(isLinkLocal),
    temporary: all.filter(isTemporary),
    routes: routes.filter(route => uses(route) && !route.flags.cloned && !comesWithAddress(route, lasting)),
    connected: routes.filter(route => uses(route) && route.type === 'unicast' && comesWithAddress(route, lasting)),
    first: firstOnes(routes.filter(route => !(uses(route) && comesWithAddress(route, lasting)))),
    neighbours: [...neighbours.filter(isStatic), ...proxies],
    known: neighbours.filter(each => isKnown(each) && !isStatic(each)),
    rules,
    nexthops
  }
}
