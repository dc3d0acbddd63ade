/** What a rule can look at: by the names of nft, with where it lies and what has to be known before it may be read. */

import { type DataType, rawType, types } from './data-types.js'
import type { Expression } from './expressions.js'

/** Headers that a field may belong to. */
export type Header = 'ether' | 'vlan' | 'arp' | 'ip' | 'ip6' | 'icmp' | 'icmpv6' | 'tcp' | 'udp' | 'sctp'

export interface Field {
  readonly name: string
  readonly type: DataType
  /** The expression that loads it, without its register. */
  readonly load: Expression
  /** The header that has to be there. */
  readonly header?: Header
  /** Where it is a part of the bytes that are loaded: a mask of them. */
  readonly mask?: string
}

type Base = 'll' | 'network' | 'transport'

const payload = (base: Base, offset: number, len: number): Expression => ({
  name: 'payload',
  data: { base, offset, len }
})
const at = (header: Header | undefined, base: Base, offset: number, type: DataType, mask?: string) => ({
  type,
  load: payload(base, offset, type.size),
  ...(header ? { header } : {}),
  ...(mask ? { mask } : {})
})
const meta = (key: string, type: DataType) => ({ type, load: { name: 'meta', data: { key } } })
const ct = (key: string, type: DataType) => ({ type, load: { name: 'ct', data: { key } } })
const fib = (result: string, type: DataType, ...flags: string[]) => ({
  type,
  load: { name: 'fib', data: { result, flags: Object.fromEntries(flags.map(flag => [flag, true])) } }
})

const table = {
  iif: meta('iif', types.ifindex),
  oif: meta('oif', types.ifindex),
  iifname: meta('iifname', types.ifname),
  oifname: meta('oifname', types.ifname),
  iifgroup: meta('iifgroup', types.linkGroup),
  oifgroup: meta('oifgroup', types.linkGroup),
  iiftype: meta('iiftype', types.linkType),
  'meta ibrname': meta('briIifname', types.ifname),
  'meta obrname': meta('briOifname', types.ifname),
  'meta mark': meta('mark', types.mark),
  'meta length': meta('len', types.length),
  'meta protocol': meta('protocol', types.etherType),
  'meta nfproto': meta('nfproto', types.nfproto),
  'meta l4proto': meta('l4proto', types.protocol),
  'meta pkttype': meta('pkttype', types.packetType),
  'ct state': ct('state', types.ctState),
  'ct status': ct('status', types.ctStatus),
  'ct mark': ct('mark', types.mark),
  'ct direction': ct('direction', types.ctDirection),
  'ether daddr': at('ether', 'll', 0, types.ether),
  'ether saddr': at('ether', 'll', 6, types.ether),
  'ether type': at('ether', 'll', 12, types.etherType),
  'vlan id': at('vlan', 'll', 14, types.vlanId, '0fff'),
  'vlan type': at('vlan', 'll', 16, types.etherType),
  'arp htype': at('arp', 'network', 0, types.integer16),
  'arp ptype': at('arp', 'network', 2, types.etherType),
  'arp hlen': at('arp', 'network', 4, types.integer8),
  'arp plen': at('arp', 'network', 5, types.integer8),
  'arp operation': at('arp', 'network', 6, types.arpOperation),
  'arp saddr ether': at('arp', 'network', 8, types.ether),
  'arp saddr ip': at('arp', 'network', 14, types.ipv4),
  'arp daddr ether': at('arp', 'network', 18, types.ether),
  'arp daddr ip': at('arp', 'network', 24, types.ipv4),
  'ip length': at('ip', 'network', 2, types.integer16),
  'ip id': at('ip', 'network', 4, types.integer16),
  'ip frag-off': at('ip', 'network', 6, types.integer16),
  'ip ttl': at('ip', 'network', 8, types.integer8),
  'ip protocol': at('ip', 'network', 9, types.protocol),
  'ip saddr': at('ip', 'network', 12, types.ipv4),
  'ip daddr': at('ip', 'network', 16, types.ipv4),
  'ip6 length': at('ip6', 'network', 4, types.integer16),
  'ip6 nexthdr': at('ip6', 'network', 6, types.protocol),
  'ip6 hoplimit': at('ip6', 'network', 7, types.integer8),
  'ip6 saddr': at('ip6', 'network', 8, types.ipv6),
  'ip6 daddr': at('ip6', 'network', 24, types.ipv6),
  'icmp type': at('icmp', 'transport', 0, types.icmpType),
  'icmp code': at('icmp', 'transport', 1, types.integer8),
  'icmpv6 type': at('icmpv6', 'transport', 0, types.icmpv6Type),
  'icmpv6 code': at('icmpv6', 'transport', 1, types.integer8),
  'tcp sport': at('tcp', 'transport', 0, types.service),
  'tcp dport': at('tcp', 'transport', 2, types.service),
  'tcp flags': at('tcp', 'transport', 13, types.tcpFlags),
  'udp sport': at('udp', 'transport', 0, types.service),
  'udp dport': at('udp', 'transport', 2, types.service),
  'udp length': at('udp', 'transport', 4, types.integer16),
  'udp checksum': at('udp', 'transport', 6, types.integer16),
  'sctp sport': at('sctp', 'transport', 0, types.service),
  'sctp dport': at('sctp', 'transport', 2, types.service),
  'th sport': at(undefined, 'transport', 0, types.service),
  'th dport': at(undefined, 'transport', 2, types.service),
  'fib saddr type': fib('addrtype', types.addressKind, 'saddr'),
  'fib daddr type': fib('addrtype', types.addressKind, 'daddr'),
  'fib saddr . iif oif': fib('oif', types.presence, 'saddr', 'iif', 'present'),
  'fib daddr . iif type': fib('addrtype', types.addressKind, 'daddr', 'iif')
} satisfies Record<string, Omit<Field, 'name'>>

export type FieldName = keyof typeof table

/** Bits of a header, counted from its beginning: `@nh,528,48`. Whole bytes, 16 at most. */
export type RawField = `@${'ll' | 'nh' | 'th'},${number},${number}`

export const fields = new Map<string, Field>(Object.entries(table).map(([name, entry]) => [name, { name, ...entry }]))

const BASES = { ll: 'll', nh: 'network', th: 'transport' } as const

/** The field of a name; `undefined` for one that does not exist. */
export function fieldOf(name: string): Field | undefined {
  return fields.get(name) ?? rawField(name)
}

function rawField(name: string): Field | undefined {
  const [, base, offset, length] = /^@(ll|nh|th),(\d+),(\d+)$/.exec(name) ?? []
  const [start, bits] = [Number(offset), Number(length)]
  if (!base || start % 8 !== 0 || bits % 8 !== 0 || bits === 0 || bits > 128 || start > 2040) return undefined
  return {
    name,
    type: rawType(bits / 8),
    load: payload(BASES[base as keyof typeof BASES], start / 8, bits / 8)
  }
}

/** The name of bytes of a header that no field is known for. */
export function rawName(base: string, offset: number, len: number): string | undefined {
  const short = Object.entries(BASES).find(([, long]) => long === base)?.[0]
  return short && `@${short},${offset * 8},${len * 8}`
}
