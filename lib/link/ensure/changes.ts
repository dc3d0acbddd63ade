/** A change of a link as the messages that make it, and those that take it back. */
import { plain } from '../../codec/attributes.js'
import { bridgePort } from '../../rtnetlink/bridge-port.js'
import type { Link, LinkRef } from '../link.js'
import type { ResolvedOptions } from '../link-requests.js'
import type { Move } from './steps.js'
import type { Difference } from './wishes.js'

/** IPv6 is a matter of sysctl. */
export const isIpv6 = ({ wish }: Difference): boolean => wish.place === 'sysctl'

/** A port that takes over is set when it is a port itself. */
export const isLate = ({ path }: Difference): boolean => path === 'port.backupPort'

/**
 * Options of the messages that make a change, in order. One is the rule. A new master comes before the settings as its
 * port, and an IPv6 address generation mode before the way up, which is what it is for.
 */
export function messagesOf(move: Move, at: (ref: LinkRef) => number): ResolvedOptions[] {
  return inOrder(
    move.differences.filter(difference => !isLate(difference) && !isIpv6(difference)),
    move,
    ({ wish }) =>
      wish.place === 'reference' ? (wish.value === null ? 0 : at(wish.value as LinkRef)) : sent(wish, move)
  )
}

/** Options of the messages that put back what {@link messagesOf} changes. */
export function wayBack(move: Move): ResolvedOptions[] {
  const { existing } = move
  if (!existing) return []
  const differences = move.differences.filter(difference => !isLate(difference) && !isIpv6(difference))
  const moved = differences.some(({ path }) => path === 'master')
  const messages = inOrder(
    moved ? differences.filter(({ wish }) => wish.place !== 'port') : differences,
    move,
    difference =>
      difference.wish.place === 'reference' ? indexBefore(existing, difference.wish.name) : before(difference)
  )
  if (moved && existing.port) messages.push({ port: portSettings(existing) })
  return messages
}

function inOrder(
  differences: readonly Difference[],
  { existing, wanted }: Move,
  valueFor: (difference: Difference) => unknown
): ResolvedOptions[] {
  const first: ResolvedOptions = {}
  const second: ResolvedOptions = {}
  const has = (path: string) => differences.some(difference => difference.path === path)
  const portLater = has('master') && differences.some(({ wish }) => wish.place === 'port')
  const upLater = portLater || has('afSpec')
  const mtuLater = takesMtuAlone(existing, differences)
  for (const difference of differences) {
    const { place, name } = difference.wish
    const value = valueFor(difference)
    if (place === 'port') {
      const message = portLater ? second : first
      message.port = { ...message.port, [name]: value }
      continue
    }
    const message = (name === 'up' && upLater) || (name === 'mtu' && mtuLater) ? second : first
    message[name] = value
    if (place === 'data' || name === 'dev') message.kind = existing?.kind ?? wanted?.kind
  }
  return [first, second].filter(message => Object.keys(message).length > 0)
}

/** The kernel refuses an MTU beside attributes of a vxlan. */
export function takesMtuAlone(link: Link | undefined, differences: readonly Difference[]): boolean {
  return link?.kind === 'vxlan' && differences.some(({ wish }) => wish.place === 'data' || wish.name === 'dev')
}

/** What is sent of a wish. The kernel adds to a VLAN's mappings: those that are not wanted are set to 0. */
function sent({ name, value, place }: Difference['wish'], { existing }: Move): unknown {
  if (place !== 'data' || (name !== 'egressQos' && name !== 'ingressQos')) return value
  const now = ((existing?.data as Record<string, unknown> | undefined)?.[name] ?? []) as { from: number; to: number }[]
  const wanted = value as { from: number; to: number }[]
  const gone = now.filter(({ from }) => !wanted.some(mapping => mapping.from === from))
  return [...wanted, ...gone.map(({ from }) => ({ from, to: 0 }))]
}

/** What a link had, in the form in which it can be set. */
function before({ from, to, wish }: Difference): unknown {
  if (from === undefined) return NOTHING[wish.name] ?? (Array.isArray(to) ? [] : 0)
  if (typeof from !== 'object' || from === null || Array.isArray(from)) return from
  // Of bits, those that were asked for.
  const asked = Object.keys(to as object)
  return Object.fromEntries(Object.entries(from).filter(([name]) => asked.includes(name)))
}

/** How attributes that the kernel does not show are said. */
const NOTHING: Record<string, unknown> = {
  alias: '',
  remote: '0.0.0.0',
  local: '0.0.0.0',
  remote6: '::',
  local6: '::'
}

function indexBefore(link: Link, name: string): number {
  if (name === 'master') return link.master ?? 0
  return (link.data as { dev?: number } | undefined)?.dev ?? 0
}

/** All that a port had that can be set. */
export function portSettings(link: Link): Record<string, unknown> {
  const settings: Record<string, unknown> = {}
  for (const [name, [, , how]] of Object.entries(bridgePort.table)) {
    const options = how as { readOnly?: boolean; writeOnly?: boolean } | undefined
    const value = (link.port as Record<string, unknown> | undefined)?.[name]
    // A port of a bridge that is down, or without a carrier, has no state to set.
    if (value === undefined || options?.readOnly || options?.writeOnly || name === 'state') continue
    settings[name] = plain(value)
  }
  return settings
}
