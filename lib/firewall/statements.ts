/** Statements of rules: plain objects that can be stored as JSON, and read like nft. */
import type { Expression, Verdict } from './expressions.js'
import type { FieldName, RawField } from './fields.js'

/**
 * What a field is compared with: a value (`'tcp'`, `80`), a prefix (`'10.0.0.0/8'`), a range (`'80-90'`,
 * `'10.0.0.1-10.0.0.9'`), the name of a set (`'@guests'`), or a list. A list is a set that belongs to the rule; of a field
 * with flags (`ct state`) it means any of them, unless it is in `{ set }`.
 */
export type MatchValue = string | number | readonly (string | number)[] | { readonly set: readonly (string | number)[] }

/** `!` is for flags: none of them is set. */
export type Operator = '==' | '!=' | '<' | '>' | '<=' | '>=' | '!'

export type AnyField = FieldName | RawField

export interface Match {
  match: AnyField
  op?: Operator | undefined
  value: MatchValue
  /** Only these bits are looked at. */
  mask?: string | number | readonly string[] | undefined
}

/** Several fields at once, each element of the set with a value for each. */
export interface ConcatMatch {
  match: readonly AnyField[]
  op?: '==' | '!=' | undefined
  value: string | readonly (readonly (string | number)[])[]
}

/** A verdict by value: a map of the rule's own as pairs, or the name of one (`'@ports'`). */
export interface VerdictMap {
  vmap: AnyField | readonly AnyField[]
  map: string | readonly (readonly [key: string | number | readonly (string | number)[], verdict: Verdict])[]
}

export interface Limit {
  limit: {
    /** Packets, or bytes with `bytes`, in each `per`. */
    rate: number
    per: 'second' | 'minute' | 'hour' | 'day' | 'week'
    bytes?: boolean | undefined
    /** Packets or bytes beyond it at once; 5 packets by default. */
    burst?: number | undefined
    /** Matches what exceeds the rate instead. */
    over?: boolean | undefined
  }
}

export interface Log {
  log: {
    prefix?: string | undefined
    level?: 'emerg' | 'alert' | 'crit' | 'err' | 'warn' | 'notice' | 'info' | 'debug' | 'audit' | undefined
    /** To nfnetlink_log instead of the kernel's log. */
    group?: number | undefined
    snaplen?: number | undefined
    queueThreshold?: number | undefined
  }
}

export type RejectWith =
  | 'tcp reset'
  | `icmp ${'net-unreachable' | 'host-unreachable' | 'prot-unreachable' | 'port-unreachable' | 'net-prohibited' | 'host-prohibited' | 'admin-prohibited'}`
  | `icmpv6 ${'no-route' | 'admin-prohibited' | 'addr-unreachable' | 'port-unreachable' | 'policy-fail' | 'reject-route'}`
  | `icmpx ${'no-route' | 'port-unreachable' | 'host-unreachable' | 'admin-prohibited'}`

export interface NatFlags {
  random?: boolean | undefined
  fullyRandom?: boolean | undefined
  persistent?: boolean | undefined
}

export interface PortsNat extends NatFlags {
  /** `8080`, `'1024-65535'` */
  toPorts?: number | string | undefined
}

export interface AddressNat extends NatFlags {
  /** `'192.0.2.1'`, `'192.0.2.1-192.0.2.9'`, `'2001:db8::1'` */
  to?: string | undefined
  toPorts?: number | string | undefined
}

/** What packets can be given. */
export type Settable = 'meta mark' | 'ct mark' | 'udp checksum' | 'tcp option maxseg size'

export type Statement =
  | Match
  | ConcatMatch
  | VerdictMap
  | Limit
  | Log
  /** Counts; the figures are those to begin with, or those that were read. */
  | { counter: { packets?: number | undefined; bytes?: number | undefined } }
  | { quota: { bytes: number; over?: boolean | undefined } }
  | { verdict: Verdict }
  /** Without `with`: port unreachable. */
  | { reject: { with?: RejectWith | undefined } }
  | { masquerade: PortsNat }
  | { redirect: PortsNat }
  | { snat: AddressNat }
  | { dnat: AddressNat }
  /** `'rt mtu'` is for `tcp option maxseg size`. */
  | { set: Settable; to: number | 'rt mtu' }
  /** What has no statement here, as the kernel has it. */
  | { raw: Expression }
