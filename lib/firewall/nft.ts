/** Statements as functions that read like nft: `nft.ip.saddr('10.0.0.0/8')`, `nft.tcp.dport.not([22, '80-90'])`. */
import type { Verdict } from './expressions.js'
import type { FieldName, RawField } from './fields.js'
import type {
  AddressNat,
  AnyField,
  ConcatMatch,
  Limit,
  Log,
  Match,
  MatchValue,
  Operator,
  PortsNat,
  RejectWith,
  Settable,
  Statement,
  VerdictMap
} from './statements.js'

/** A comparison of a field with a value; called as it is, for equality. */
export interface FieldMatcher {
  (value: MatchValue): Match
  not(value: MatchValue): Match
  below(value: MatchValue): Match
  above(value: MatchValue): Match
}

function field(name: AnyField): FieldMatcher {
  const with_ = (op: Operator) => (value: MatchValue) => ({ match: name, op, value })
  return Object.assign((value: MatchValue): Match => ({ match: name, value }), {
    not: with_('!='),
    below: with_('<'),
    above: with_('>')
  })
}

type Group<Prefix extends string> = {
  [K in FieldName as K extends `${Prefix} ${infer Name}` ? Camel<Name> : never]: FieldMatcher
}
type Camel<Name extends string> = Name extends `${infer Head} ${infer Tail}`
  ? `${Head}${Capitalize<Camel<Tail>>}`
  : Name extends `${infer Head}-${infer Tail}`
    ? `${Head}${Capitalize<Camel<Tail>>}`
    : Name

function group<Prefix extends string>(prefix: Prefix, ...names: string[]): Group<Prefix> {
  const camel = (name: string) => name.replace(/[ -](\w)/g, (_, letter: string) => letter.toUpperCase())
  const entries = names.map(name => [camel(name), field(`${prefix} ${name}` as FieldName)])
  return Object.fromEntries(entries) as Group<Prefix>
}

export const nft = {
  iif: field('iif'),
  oif: field('oif'),
  /** A `*` at the end of a name stands for whatever follows. */
  iifname: field('iifname'),
  oifname: field('oifname'),
  iifgroup: field('iifgroup'),
  oifgroup: field('oifgroup'),
  meta: {
    ...group('meta', 'ibrname', 'obrname', 'length', 'protocol', 'nfproto', 'l4proto', 'pkttype'),
    mark: Object.assign(field('meta mark'), { set: (to: number): Statement => ({ set: 'meta mark', to }) })
  },
  ct: {
    ...group('ct', 'direction'),
    mark: Object.assign(field('ct mark'), { set: (to: number): Statement => ({ set: 'ct mark', to }) }),
    /** Any of these. */
    state: flags('ct state'),
    status: flags('ct status')
  },
  ether: group('ether', 'saddr', 'daddr', 'type'),
  vlan: group('vlan', 'id', 'type'),
  arp: group(
    'arp',
    'htype',
    'ptype',
    'hlen',
    'plen',
    'operation',
    'saddr ether',
    'saddr ip',
    'daddr ether',
    'daddr ip'
  ),
  ip: group('ip', 'length', 'id', 'frag-off', 'ttl', 'protocol', 'saddr', 'daddr'),
  ip6: group('ip6', 'length', 'nexthdr', 'hoplimit', 'saddr', 'daddr'),
  icmp: group('icmp', 'type', 'code'),
  icmpv6: group('icmpv6', 'type', 'code'),
  tcp: { ...group('tcp', 'sport', 'dport'), flags: flags('tcp flags') },
  udp: {
    ...group('udp', 'sport', 'dport', 'length'),
    checksum: Object.assign(field('udp checksum'), { set: (to: number): Statement => ({ set: 'udp checksum', to }) })
  },
  sctp: group('sctp', 'sport', 'dport'),
  th: group('th', 'sport', 'dport'),
  fib: {
    saddrType: field('fib saddr type'),
    daddrType: field('fib daddr type'),
    /** `'missing'` or `'exists'`: whether there is a way back to the source by the link that it came in. */
    saddrIif: field('fib saddr . iif oif')
  },

  /** Bytes of a header, by bits from its beginning: `nft.payload('@nh,528,48')('52:54:00:00:00:01')`. */
  payload: (name: RawField): FieldMatcher => field(name),

  /** Only the bits of a mask: `nft.masked('ether daddr', '01:00:00:00:00:00', '01:00:00:00:00:00')`. */
  masked: (match: AnyField, mask: NonNullable<Match['mask']>, value: MatchValue, op: '==' | '!=' = '=='): Match =>
    op === '==' ? { match, mask, value } : { match, op, mask, value },

  /** Several fields at once: `nft.concat(['ip saddr', 'tcp dport'], '@allowed')`. */
  concat: (match: readonly AnyField[], value: ConcatMatch['value'], op: '==' | '!=' = '=='): ConcatMatch =>
    op === '==' ? { match, value } : { match, op, value },

  /** A verdict by value: `nft.vmap('iifname', '@ports')`. */
  vmap: (field: VerdictMap['vmap'], map: VerdictMap['map']): VerdictMap => ({ vmap: field, map }),

  counter: { counter: {} } as Statement,
  limit: (limit: Limit['limit']): Limit => ({ limit }),
  quota: (quota: { bytes: number; over?: boolean }): Statement => ({ quota }),
  log: (log: Log['log'] = {}): Log => ({ log }),

  accept: verdict('accept'),
  drop: verdict('drop'),
  return: verdict('return'),
  continue: verdict('continue'),
  jump: (chain: string): Statement => verdict({ jump: chain }),
  goto: (chain: string): Statement => verdict({ goto: chain }),
  reject: (refusal?: RejectWith): Statement => ({ reject: refusal === undefined ? {} : { with: refusal } }),

  masquerade: (nat: PortsNat = {}): Statement => ({ masquerade: nat }),
  redirect: (nat: PortsNat = {}): Statement => ({ redirect: nat }),
  snat: (nat: AddressNat): Statement => ({ snat: nat }),
  dnat: (nat: AddressNat): Statement => ({ dnat: nat }),

  set: (set: Settable, to: number | 'rt mtu'): Statement => ({ set, to }),
  /** What has no function here. */
  raw: (name: string, data: Readonly<Record<string, unknown>> | string): Statement => ({ raw: { name, data } })
} as const

function verdict(given: Verdict): Statement {
  return { verdict: given }
}

function flags(name: FieldName) {
  const list = (names: string[]) => (names.length === 1 ? (names[0] as string) : names)
  return Object.assign((...names: string[]): Match => ({ match: name, value: list(names) }), {
    /** None of these. */
    not: (...names: string[]): Match => ({ match: name, op: '!', value: list(names) })
  })
}
