/** What a spec asks of a link, attribute by attribute, and whether the link has it. */
import { asSent, isSame, plain } from '../../codec/attributes.js'
import type { AnyCodec } from '../../codec/codec.js'
import { bool } from '../../codec/integers.js'
import { invalidArgument } from '../../errors.js'
import { bridgePort } from '../../rtnetlink/bridge-port.js'
import { linkMessage } from '../../rtnetlink/link.js'
import { hasIpv6 } from '../ipv6.js'
import type { Link, LinkRef } from '../link.js'
import { splitOptions } from '../link-options.js'
import type { ResolvedOptions } from '../link-requests.js'
import type { Snapshot } from './snapshot.js'

/** One attribute that a spec gives. */
export interface Wish {
  /** The option: `mtu`, `port.cost`. */
  readonly path: string
  readonly place: 'attribute' | 'data' | 'port' | 'flag' | 'reference' | 'sysctl'
  readonly name: string
  /** As it was given; for a reference the link, `null` for none. */
  readonly value: unknown
  /** As the kernel would show it. */
  readonly wanted: unknown
  readonly codec: AnyCodec
  /** Whether only the creation of a link can set it. */
  readonly createOnly: boolean
}

/** What a link has otherwise than it was asked for. */
export interface EnsureChange {
  /** The option: `mtu`, `master`, `port.cost`. */
  path: string
  /** What the link has, `undefined` for nothing; links by name. */
  from: unknown
  to: unknown
}

export interface Difference extends EnsureChange {
  readonly wish: Wish
}

type Entry = readonly [number, AnyCodec, { createOnly?: boolean; writeOnly?: boolean }?]

/** Options that refer to links, and the attribute that tells which. */
const REFERENCES = ['link', 'master', 'dev'] as const

/** @param options of one link, its owner made into attributes */
export function wishesOf(options: ResolvedOptions): Wish[] {
  const { kind, attributes, data, flags } = splitOptions(options)
  const wishes: Wish[] = []
  const add = (place: Wish['place'], path: string, name: string, value: unknown, [, codec, how]: Entry) => {
    if (value === undefined || how?.writeOnly) return
    const wanted = asSent(codec, value)
    wishes.push({ path, place, name, value, wanted, codec, createOnly: how?.createOnly ?? false })
  }
  const refer = (path: string, name: string, value: unknown, createOnly = false) => {
    if (value !== undefined) {
      wishes.push({ path, place: 'reference', name, value, wanted: value, codec: bool, createOnly })
    }
  }
  if (options.index !== undefined)
    add('attribute', 'index', 'index', options.index, [0, linkMessage.header.fields.index, { createOnly: true }])
  for (const name of REFERENCES) refer(name, name, options[name], name === 'link')
  for (const [name, value] of Object.entries(attributes)) {
    add('attribute', name, name, value, linkMessage.attributes[name as 'mtu'] as unknown as Entry)
  }
  for (const [name, value] of Object.entries(data ?? {})) {
    add('data', name, name, value, kind?.data.table[name] as unknown as Entry)
  }
  for (const [name, value] of Object.entries(options.port ?? {})) {
    if (name === 'backupPort') refer('port.backupPort', name, value)
    else add('port', `port.${name}`, name, value, bridgePort.table[name as 'cost'] as unknown as Entry)
  }
  for (const [name, value] of Object.entries(flags)) {
    wishes.push({ path: name, place: 'flag', name, value, wanted: value, codec: bool, createOnly: false })
  }
  const { ipv6 } = options
  if (ipv6 !== undefined) {
    if (typeof ipv6 !== 'boolean') throw invalidArgument('ipv6', 'true or false', ipv6)
    wishes.push({
      path: 'ipv6',
      place: 'sysctl',
      name: 'ipv6',
      value: ipv6,
      wanted: ipv6,
      codec: bool,
      createOnly: false
    })
  }
  return wishes
}

/** What the link has of what a wish is about. */
function has(link: Link, { place, name }: Wish): unknown {
  if (place === 'sysctl') return hasIpv6(link)
  if (place === 'flag') return (link.flags as Record<string, unknown>)[name]
  const of = place === 'attribute' ? link : place === 'port' ? link.port : link.data
  return (of as Record<string, unknown> | undefined)?.[name]
}

/** The ifindex of the link that a reference of a link leads to; 0 for none. */
function leadsTo(link: Link, name: string): number {
  if (name === 'link') return link.linkNetnsid === undefined ? (link.link ?? 0) : -1
  if (name === 'master') return link.master ?? 0
  if (name === 'backupPort') return link.port?.backupPort ?? 0
  return (link.data as { dev?: number } | undefined)?.dev ?? 0
}

/** What the kernel leaves out of its answers while it is off. */
function isNothing(wanted: unknown): boolean {
  return [0, 0n, false, '', '0.0.0.0', '::'].includes(wanted as never) || (Array.isArray(wanted) && wanted.length === 0)
}

/** The difference that a wish makes to a link, if any. */
export function differenceOf(wish: Wish, link: Link, snapshot: Snapshot): Difference | undefined {
  const { path, place, name, wanted, codec } = wish
  if (place === 'reference') {
    const now = leadsTo(link, name)
    const target = wanted === null ? 0 : snapshot.indexOf(wanted as LinkRef)
    if (now === target) return undefined
    return {
      path,
      from: now === 0 ? undefined : snapshot.nameOf(now),
      to: snapshot.nameOf(wanted as LinkRef | null),
      wish
    }
  }
  const got = has(link, wish)
  // What the kernel does not say cannot be otherwise.
  if (place === 'sysctl' && got === undefined) return undefined
  if (got === undefined ? isNothing(wanted) : isSame(codec, wanted, got)) return undefined
  return { path, from: plain(got), to: plain(wanted), wish }
}

/** A wish of a link that has nothing yet. */
export function differenceFor(wish: Wish): Difference {
  return { path: wish.path, from: undefined, to: plain(wish.wanted), wish }
}

/** Like {@link differenceFor}, with links by name. */
export function wholeWish(wish: Wish, snapshot: Snapshot): Difference {
  if (wish.place !== 'reference') return differenceFor(wish)
  return { path: wish.path, from: undefined, to: snapshot.nameOf(wish.wanted as LinkRef | null), wish }
}
