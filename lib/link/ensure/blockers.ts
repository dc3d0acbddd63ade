/** Links that are no longer wanted and in the way of others: the kernel takes these only when those are gone. */
import type { Link, LinkRef } from '../link.js'
import type { Situation } from './situation.js'
import type { Wanted } from './wanted.js'

const MACVLAN_KINDS = new Set<string | undefined>(['macvlan', 'macvtap'])

/** Those of `unwanted` that have to go first, and why. */
export function blockers(
  { wanted, snapshot }: Situation,
  unwanted: readonly Link[],
  claims: ReadonlyMap<string, string>
): Map<Link, string> {
  const found = new Map<Link, string>()
  if (unwanted.length === 0) return found
  const onLower = new Map<number, Wanted[]>()
  const ports = new Map<number, Wanted>()
  const vnis = new Map<unknown, Wanted>()
  for (const each of wanted.values()) {
    const { link } = each.options as { link?: LinkRef }
    const lower = link === undefined ? undefined : snapshot.indexOf(link)
    if (lower !== undefined) onLower.set(lower, [...(onLower.get(lower) ?? []), each])
    const index = snapshot.indexOf(each.name)
    if (each.options['master'] && index !== undefined) ports.set(index, each)
    if (each.kind === 'vxlan') vnis.set(each.options['id'], each)
  }
  for (const link of unwanted) {
    const claimed = link.altnames.find(name => claims.has(name))
    if (claimed !== undefined) found.set(link, `${claimed} is the name of another`)
    const lower = link.link ?? 0
    const port = MACVLAN_KINDS.has(link.kind) ? ports.get(lower) : undefined
    const data = link.data as { id?: number } | undefined
    const vni = link.kind === 'vxlan' ? vnis.get(data?.id) : undefined
    const rival = port ?? vni ?? onLower.get(lower)?.find(each => excludes(link, each))
    if (rival && rival.name !== link.name) found.set(link, `${rival.name} cannot be made beside it`)
  }
  return found
}

/** Whether the kernel refuses a link beside another on the same lower device. */
function excludes(link: Link, wanted: Wanted): boolean {
  const data = (link.data ?? {}) as { mode?: unknown; id?: unknown; protocol?: unknown }
  const { mode, id, protocol = '802.1Q', address } = wanted.options
  if (MACVLAN_KINDS.has(link.kind) && MACVLAN_KINDS.has(wanted.kind)) {
    return data.mode === 'passthru' || mode === 'passthru' || link.address === String(address).toLowerCase()
  }
  return link.kind === 'vlan' && wanted.kind === 'vlan' && data.id === id && data.protocol === protocol
}
