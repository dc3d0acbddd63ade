/** Routes of a NIC, made into the same over the link that takes over, and back. */
import { constants } from 'node:os'
import { attributesIn } from '../../codec/attributes.js'
import { hostLittleEndian } from '../../codec/endian.js'
import type { Address } from '../../link/addresses.js'
import type { Route } from '../../link/routes.js'
import { NLM_F_APPEND, NLM_F_CREATE, NLM_F_REPLACE } from '../../netlink/constants.js'
import { routeMessage } from '../../rtnetlink/route.js'
import { type Attribute, replaced, requestOf, type Told, toldBy, u32, u32At, viewOf } from '../rewriting.js'
import type { Change } from '../step.js'
import type { Target } from './addresses.js'

const { EEXIST, ESRCH, ENODEV } = constants.errno

/** RTA_* */
const OIF = 4
const MULTIPATH = 9
const CACHEINFO = 12
const MFC_STATS = 17
const EXPIRES = 23

/** RTNH_F_ONLINK; the other flags tell of a state. */
const ONLINK = 0x4
/** Clock ticks in a second (USER_HZ). */
const TICKS = 100
/** struct rtmsg has the flags at 8; struct rtnexthop them at 2, the index at 4. */
const FLAGS_AT = 8
const NEXTHOP = 8

/** Whether the kernel makes and removes the route with an address of the link. */
export function comesWithAddress(route: Route, addresses: readonly Address[]): boolean {
  if (route.protocol !== 'kernel') return false
  if (route.type !== 'unicast') return true
  if (route.gateway !== undefined || route.via !== undefined || route.multipath) return false
  // ff00::/8 and the like are of the link itself.
  if (route.type === ('multicast' as string)) return true
  return addresses.some(
    address =>
      address.family === route.family &&
      !address.flags?.noprefixroute &&
      address.prefixLength === route.dstLength &&
      samePrefix(address.address ?? '', route.dst ?? (route.family === 'inet6' ? '::' : '0.0.0.0'), route.dstLength)
  )
}

/**
 * Lets a route go over another link, in one step: it takes the place of the one that is found first. One that stands
 * behind another to the same destination is added behind it, and the old one removed: there is a route all the time.
 */
export function rerouting(route: Route, first: boolean, from: Target, to: Target): Change[] {
  const forth = told(route, from.index, to.index)
  const about = `${route.destination} dev ${to.name}`
  const command = (verb: string, link: Target) => `ip ${family(route)}route ${verb} ${words(route, from, link)}`
  if (first) {
    const request = requestOf('RTM_NEWROUTE', NLM_F_CREATE | NLM_F_REPLACE, forth, about)
    return [{ request, command: command('replace', to), settled: [EEXIST] }]
  }
  const append = requestOf('RTM_NEWROUTE', NLM_F_CREATE | NLM_F_APPEND, forth, about)
  const remove = requestOf(
    'RTM_DELROUTE',
    0,
    told(route, from.index, from.index),
    `${route.destination} dev ${from.name}`
  )
  return [
    { request: append, command: command('append', to), settled: [EEXIST] },
    { request: remove, command: command('del', from), settled: [ESRCH, ENODEV] }
  ]
}

/** The same way back: what goes over `to` goes over `from` again. */
export function reroutingBack(route: Route, first: boolean, from: Target, to: Target): Change[] {
  const back = told(route, from.index, from.index)
  const about = `${route.destination} dev ${from.name}`
  const command = (verb: string, link: Target) => `ip ${family(route)}route ${verb} ${words(route, from, link)}`
  const flags = NLM_F_CREATE | (first ? NLM_F_REPLACE : NLM_F_APPEND)
  const request = requestOf('RTM_NEWROUTE', flags, back, about)
  const changes: Change[] = [{ request, command: command(first ? 'replace' : 'append', from), settled: [EEXIST] }]
  if (!first) {
    const remove = requestOf('RTM_DELROUTE', 0, told(route, from.index, to.index), about)
    changes.push({ request: remove, command: command('del', to), settled: [ESRCH, ENODEV] })
  }
  return changes
}

/** Takes the route to an address's prefix from a link that has the address still. */
export function disconnecting(route: Route, from: Target, link: Target): Change {
  const request = requestOf(
    'RTM_DELROUTE',
    0,
    told(route, from.index, link.index),
    `${route.destination} dev ${link.name}`
  )
  const command = `ip ${family(route)}route del ${words(route, from, link)}`
  return { request, command, settled: [ESRCH, ENODEV] }
}

/** Routes that stand first among those to the same destination with the same metric in their table. */
export function firstOnes(all: readonly Route[]): Set<Route> {
  const seen = new Set<string>()
  return new Set(
    all.filter(route => {
      const { family: of, tableId, destination, tos, priority, src, srcLength } = route
      const key = [of, tableId, destination, tos, priority ?? 0, src, srcLength].join(' ')
      return seen.has(key) ? false : seen.add(key)
    })
  )
}

function told(route: Route, from: number, to: number): Told {
  const { header, attributes } = toldBy(route, routeMessage.headerLength)
  const copy = header.slice()
  const data = viewOf(copy)
  data.setUint32(FLAGS_AT, data.getUint32(FLAGS_AT, hostLittleEndian) & ONLINK, hostLittleEndian)
  const expires = route.family === 'inet6' ? (route.cacheinfo?.expires ?? 0) : 0
  const by = new Map<number, Uint8Array | undefined>([
    [CACHEINFO, undefined],
    [MFC_STATS, undefined],
    [EXPIRES, expires > 0 ? u32(Math.ceil(expires / TICKS)) : undefined]
  ])
  const rest = replaced(attributes, by).map(attribute => redirected(attribute, from, to))
  return { header: copy, attributes: rest }
}

function redirected(attribute: Attribute, from: number, to: number): Attribute {
  if (attribute.type === OIF) return u32At(attribute.payload) === from ? { ...attribute, payload: u32(to) } : attribute
  if (attribute.type !== MULTIPATH) return attribute
  const payload = attribute.payload.slice()
  const data = viewOf(payload)
  for (let at = 0; at + NEXTHOP <= payload.length; ) {
    const length = data.getUint16(at, hostLittleEndian)
    if (length < NEXTHOP) break
    payload[at + 2] = (payload[at + 2] ?? 0) & ONLINK
    if (data.getInt32(at + 4, hostLittleEndian) === from) data.setInt32(at + 4, to, hostLittleEndian)
    at += (length + 3) & ~3
  }
  return { ...attribute, payload }
}

/** Whether a route is the one that another became. */
export function isRerouted(route: Route, wanted: Route, from: number, to: number): boolean {
  return printOf(route, from) === fingerprint(told(wanted, from, to))
}

/** A route over a link, as a text for comparisons. */
export const printOf = (route: Route, link: number): string => fingerprint(told(route, link, link))

/** Without what passes by itself. */
function fingerprint({ header, attributes }: Told): string {
  const kept = attributes.filter(({ type }) => type !== EXPIRES)
  const texts = kept.map(({ type, payload }) => `${type}=${Buffer.from(payload).toString('hex')}`)
  return [Buffer.from(header).toString('hex'), ...texts.sort()].join(' ')
}

function samePrefix(a: string, b: string, length: number): boolean {
  const [left, right] = [bits(a), bits(b)]
  return left.slice(0, length) === right.slice(0, length)
}

function bits(address: string): string {
  if (!address.includes(':')) {
    return address
      .split('.')
      .map(part => Number(part).toString(2).padStart(8, '0'))
      .join('')
  }
  const [head = '', tail] = address.split('::')
  const groups = (text: string) => (text === '' ? [] : text.split(':'))
  const [before, after] = [groups(head), tail === undefined ? [] : groups(tail)]
  const filler = new Array<string>(Math.max(0, 8 - before.length - after.length)).fill('0')
  return [...before, ...filler, ...after]
    .map(group => Number.parseInt(group, 16).toString(2).padStart(16, '0'))
    .join('')
}

const family = (route: Route): string => (route.family === 'inet6' ? '-6 ' : '')

function words(route: Route, from: Target, link: Target): string {
  const { type, tos, src, srcLength, gateway, via, prefsrc, priority, protocol, scope, tableId, metrics, pref } = route
  const name = (index: number) => (index === from.index ? link.name : `if${index}`)
  const hops = route.multipath?.flatMap(hop => [
    'nexthop',
    ...(hop.gateway ? ['via', hop.gateway] : hop.via ? ['via', hop.via] : []),
    'dev',
    name(hop.index),
    'weight',
    String(hop.weight),
    ...(hop.flags.onlink ? ['onlink'] : [])
  ])
  const { lock = 0, ...plain } = (metrics?.toJSON() ?? {}) as Record<string, number>
  const settings = Object.entries(plain).flatMap(([key, value]) => {
    const [id = 0] = routeMessage.attributes.metrics[1].table[key as 'mtu'] ?? []
    return [metricWord(key), ...(lock & (1 << id) ? ['lock'] : []), String(value)]
  })
  return [
    ...(type === 'unicast' ? [] : [String(type)]),
    route.destination,
    ...(src ? ['from', `${src}/${srcLength}`] : []),
    ...(tos ? ['tos', String(tos)] : []),
    ...(gateway ? ['via', gateway] : via ? ['via', via.includes(':') ? 'inet6' : 'inet', via] : []),
    ...(hops ? [] : ['dev', link.name]),
    ...(tableId === 254 ? [] : ['table', String(tableId)]),
    'proto',
    String(protocol),
    ...(route.family === 'inet' && scope !== 'global' ? ['scope', String(scope)] : []),
    ...(prefsrc ? ['src', prefsrc] : []),
    ...(priority ? ['metric', String(priority)] : []),
    ...(pref && pref !== 'medium' ? ['pref', String(pref)] : []),
    ...(route.flags.onlink ? ['onlink'] : []),
    ...settings,
    ...(hops ?? [])
  ].join(' ')
}

const metricWord = (key: string): string => ({ rtoMin: 'rto_min', fastopenNoCookie: 'fastopen_no_cookie' })[key] ?? key

/** Encapsulations are moved as they are. */
export function isEncapsulated(route: Route): boolean {
  const hasEncap = (types: Iterable<{ type: number }>) => [...types].some(({ type }) => type === 21)
  const { attributes } = toldBy(route, routeMessage.headerLength)
  if (hasEncap(attributes)) return true
  const multipath = attributes.find(({ type }) => type === MULTIPATH)
  if (!multipath) return false
  const data = viewOf(multipath.payload)
  for (let at = 0; at + NEXTHOP <= data.byteLength; ) {
    const length = data.getUint16(at, hostLittleEndian)
    if (length < NEXTHOP) break
    if (hasEncap(attributesIn(data, at + NEXTHOP, at + length))) return true
    at += (length + 3) & ~3
  }
  return false
}
