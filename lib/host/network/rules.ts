/**
 * The rules of a network, in a table of its own: equal in effect to those of libvirt's networks.
 *
 * Guests reach each other; what may pass the host depends on the kind, and everything else into or out of the bridge is
 * refused. What comes to the host itself is not touched. An accept here does not override a drop in another's table.
 */
import type { Change } from '../../firewall/changes.js'
import { nft } from '../../firewall/nft.js'
import type { Statement } from '../../firewall/statements.js'
import type { IpPrefix } from '../../link/ip-prefix.js'
import { networkAddress } from '../dnsmasq/subnet.js'
import type { GuestNetwork, NatNetwork } from './spec.js'
import { overlap, prefixesOf } from './subnets.js'

const FAMILY = 'inet'
/** So that a guest's privileged port does not become one of the host's (NFS trusts those). */
const PORTS = '1024-65535'

export const tableOf = (network: string): string => `linkwright-${network}`

export const commentOf = (network: string): string => `linkwright: network ${network}`

type Rules = readonly (readonly Statement[])[]

interface ChainRules {
  readonly name: string
  readonly type: 'filter' | 'nat'
  readonly hook: 'forward' | 'postrouting'
  readonly priority: number
  readonly rules: Rules
}

/** Everything that makes the table, from nothing. */
export function rulesOf(name: string, network: GuestNetwork): Change[] {
  const table = tableOf(name)
  return [
    { create: { table: { family: FAMILY, name: table, comment: commentOf(name) } } },
    ...chainsOf(name, network).flatMap(({ name: chain, type, hook, priority, rules }): Change[] => [
      { add: { chain: { family: FAMILY, table, name: chain, type, hook, priority, policy: 'accept' } } },
      ...rules.map((statements): Change => ({ add: { rule: { family: FAMILY, table, chain, statements } } }))
    ])
  ]
}

/** NF_IP_PRI_* */
const MANGLE = -150
const FILTER = 0
const SRCNAT = 100

function chainsOf(bridge: string, network: GuestNetwork): ChainRules[] {
  const chains: ChainRules[] = [
    { name: 'forward', type: 'filter', hook: 'forward', priority: FILTER, rules: forwarding(bridge, network) }
  ]
  if (network.dhcp4Checksum === 'none') {
    const rules = [[nft.oifname(bridge), nft.meta.nfproto('ipv4'), nft.udp.dport(68), nft.udp.checksum.set(0)]]
    chains.push({ name: 'checksum', type: 'filter', hook: 'postrouting', priority: MANGLE, rules })
  }
  if (network.kind === 'nat') {
    const rules = translation(network)
    chains.push({ name: 'nat', type: 'nat', hook: 'postrouting', priority: SRCNAT, rules })
  }
  return chains
}

/** Fields of the addresses of a family. */
const headerOf = ({ family }: IpPrefix) => (family === 'inet' ? nft.ip : nft.ip6)

const textOf = (prefix: IpPrefix): string => `${networkAddress(prefix)}/${prefix.length}`

function forwarding(bridge: string, network: GuestNetwork): Rules {
  const [into, from] = [nft.oifname(bridge), nft.iifname(bridge)]
  const link = network.kind === 'isolated' ? undefined : network.forward?.link
  const prefixes = network.kind === 'isolated' ? [] : subnets(network)
  const back = (prefix: IpPrefix) => (isTranslated(network, prefix) ? [nft.ct.state('established', 'related')] : [])
  return [
    [from, into, nft.counter, nft.accept],
    ...prefixes.map(prefix => [
      into,
      ...(link === undefined ? [] : [nft.iifname(link)]),
      headerOf(prefix).daddr(textOf(prefix)),
      ...back(prefix),
      nft.counter,
      nft.accept
    ]),
    [into, nft.counter, nft.reject()],
    ...prefixes.map(prefix => [
      from,
      ...(link === undefined ? [] : [nft.oifname(link)]),
      headerOf(prefix).saddr(textOf(prefix)),
      nft.counter,
      nft.accept
    ]),
    [from, nft.counter, nft.reject()]
  ]
}

/** Several addresses may be in one subnet. */
function subnets(network: GuestNetwork): IpPrefix[] {
  const found = new Map(prefixesOf(network).map(prefix => [textOf(prefix), prefix]))
  return [...found.values()]
}

/** A set of intervals takes none that is within another. */
function outermost(prefixes: readonly IpPrefix[]): IpPrefix[] {
  return prefixes.filter(one => !prefixes.some(other => other.length < one.length && overlap(other, one)))
}

function isTranslated(network: GuestNetwork, { family }: IpPrefix): boolean {
  if (network.kind !== 'nat') return false
  return family === 'inet' || network.forward?.ipv6 !== 'route'
}

/** What stays on the link, and what goes from subnet to subnet of the network, keeps its address. */
function translation(network: NatNetwork): Rules {
  const { link, ports = PORTS } = network.forward ?? {}
  const translated = subnets(network).filter(prefix => isTranslated(network, prefix))
  const out = link === undefined ? [] : [nft.oifname(link)]
  return translated.flatMap(prefix => {
    const { saddr, daddr } = headerOf(prefix)
    const own = outermost(translated.filter(({ family }) => family === prefix.family)).map(textOf)
    const from = saddr(textOf(prefix))
    const outside = daddr.not(own.length === 1 ? (own[0] as string) : { set: own })
    const local = prefix.family === 'inet' ? ['224.0.0.0/24', '255.255.255.255'] : ['ff02::/16']
    return [
      ...local.map(to => [from, daddr(to), nft.counter, nft.return]),
      ...['tcp', 'udp'].map(protocol => [
        nft.meta.l4proto(protocol),
        ...out,
        from,
        outside,
        nft.counter,
        nft.masquerade({ toPorts: ports })
      ]),
      [...out, from, outside, nft.counter, nft.masquerade()]
    ]
  })
}
