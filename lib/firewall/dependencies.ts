/**
 * What has to be known of a packet before a header of it may be read: nf_tables compares bytes, whatever they are. As nft
 * does, a rule gets the comparisons that its fields take for granted, and reads without them.
 */
import { invalidArgument } from '../errors.js'
import type { Header } from './fields.js'
import type { Match } from './statements.js'

export type Family = 'ip' | 'ip6' | 'inet' | 'arp' | 'bridge' | 'netdev'

type Network = 'ip' | 'ip6' | 'arp'

/** What the statements so far have made sure of. */
export interface Known {
  ether: boolean
  vlan: boolean
  network: Network | undefined
  transport: string | undefined
}

export function knownAtFirst(family: Family): Known {
  const network = family === 'ip' || family === 'ip6' || family === 'arp' ? family : undefined
  return { ether: family === 'bridge', vlan: false, network, transport: undefined }
}

const NETWORK_OF: Partial<Record<Header, Network>> = { arp: 'arp', ip: 'ip', ip6: 'ip6', icmp: 'ip', icmpv6: 'ip6' }
const PROTOCOL_OF: Partial<Record<Header, string>> = {
  icmp: 'icmp',
  icmpv6: 'ipv6-icmp',
  tcp: 'tcp',
  udp: 'udp',
  sctp: 'sctp'
}
const NFPROTO = { ip: 'ipv4', ip6: 'ipv6' } as const

/** The comparisons that a field of `header` needs in front of it. Throws `ERR_INVALID_ARG_VALUE` where it cannot be. */
export function missing(header: Header, family: Family, known: Known, path: string): Match[] {
  const needed: Match[] = []
  if (header === 'ether' || header === 'vlan') {
    if (!known.ether) needed.push({ match: 'iiftype', value: 'ether' })
    if (header === 'vlan' && !known.vlan) needed.push({ match: 'ether type', value: '8021q' })
    return needed
  }
  const network = NETWORK_OF[header]
  if (network && known.network !== network) {
    if (known.network) throw invalidArgument(path, `something that ${known.network} packets have`, header)
    needed.push(networkMatch(network, header, family, known, path))
  }
  const protocol = PROTOCOL_OF[header]
  if (protocol && known.transport !== protocol) {
    if (known.transport) throw invalidArgument(path, `something that ${known.transport} packets have`, header)
    needed.push({ match: 'meta l4proto', value: protocol })
  }
  return needed
}

function networkMatch(network: Network, header: Header, family: Family, known: Known, path: string): Match {
  if (known.vlan) return { match: 'vlan type', value: network }
  if (family === 'inet' && network !== 'arp') return { match: 'meta nfproto', value: NFPROTO[network] }
  if (family === 'netdev') return { match: 'meta protocol', value: network }
  if (family !== 'bridge') throw invalidArgument(path, `something that packets in ${family} tables have`, header)
  // A tagged packet is none of these by its Ethernet type, but by what lies inside of the tag: as nft decides it.
  return header === 'ip' || header === 'ip6'
    ? { match: 'meta protocol', value: network }
    : { match: 'ether type', value: network }
}

/** Takes note of what a comparison makes sure of. */
export function learn(known: Known, statement: Match): void {
  const { match, op = '==', value, mask } = statement
  if (op !== '==' || mask !== undefined) return
  if (match === 'iiftype' && value === 'ether') known.ether = true
  else if (match === 'meta nfproto') known.network ??= value === 'ipv4' ? 'ip' : value === 'ipv6' ? 'ip6' : undefined
  else if (match === 'meta protocol' || match === 'ether type' || match === 'vlan type') {
    if (value === 'ip' || value === 'ip6' || value === 'arp') known.network ??= value
    else if (value === '8021q' && match === 'ether type') known.vlan = true
  } else if (match === 'meta l4proto' || match === 'ip protocol' || match === 'ip6 nexthdr') {
    if (typeof value === 'string' && !value.startsWith('@') && !value.includes('-1')) known.transport ??= value
  }
}

/** Whether a comparison goes without saying in front of a field of `header`. */
export function isImplied(statement: unknown, header: Header): boolean {
  const { match, op, value, mask } = statement as Partial<Match>
  if ((op ?? '==') !== '==' || mask !== undefined) return false
  if (match === 'iiftype') return value === 'ether' && (header === 'ether' || header === 'vlan')
  if (match === 'ether type' && header === 'vlan') return value === '8021q'
  const network = NETWORK_OF[header]
  if (match === 'meta nfproto') return network !== undefined && network !== 'arp' && value === NFPROTO[network]
  if (match === 'meta protocol' || match === 'ether type' || match === 'vlan type') return value === network
  if (match === 'meta l4proto') return value !== undefined && value === PROTOCOL_OF[header]
  return false
}
