/** What is looked at, each thing once. */

import { LinkwrightError } from '../../errors.js'
import { type HookedChain, Nftables } from '../../firewall/nftables.js'
import type { Ruleset } from '../../firewall/objects.js'
import type { Address } from '../../link/addresses.js'
import type { FdbEntry } from '../../link/fdb.js'
import type { Link } from '../../link/link.js'
import type { Netlink } from '../../link/netlink.js'
import { readSysctls } from '../step.js'
import type { DiagnoseOptions } from './diagnosis.js'

export interface Situation {
  readonly net: Netlink
  readonly options: DiagnoseOptions
  readonly link: Link
  /** All of the namespace, by ifindex. */
  readonly links: ReadonlyMap<number, Link>
  /** The bridge that the link is a port of. */
  readonly bridge: Link | undefined
  /** What a macvtap, macvlan or VLAN is on, if that is in this namespace. */
  readonly lower: Link | undefined
  /** Other ports of the bridge. */
  readonly others: readonly Link[]
  readonly fdb: readonly FdbEntry[]
  readonly addresses: readonly Address[]
  /** `undefined` where it may not be read. */
  readonly ruleset: Ruleset | undefined
  /** A file below /proc/sys; `undefined` if there is none. */
  sysctl(name: string): Promise<string | undefined>
}

export async function situationOf(net: Netlink, ref: Parameters<Netlink['links']['get']>[0], options: DiagnoseOptions) {
  const link = await net.links.get(ref)
  const [all, fdb, addresses, ruleset] = await Promise.all([
    net.links.list(),
    net.fdb.list(),
    net.addresses.list(),
    readRuleset(net)
  ])
  const links = new Map(all.map(each => [each.index, each]))
  const master = link.master === undefined ? undefined : links.get(link.master)
  const bridge = link.port ? master : undefined
  const situation: Situation = {
    net,
    options,
    link,
    links,
    bridge,
    lower:
      link.link !== undefined && link.linkNetnsid === undefined && hasLower(link) ? links.get(link.link) : undefined,
    others: bridge ? all.filter(each => each.master === bridge.index && each.index !== link.index) : [],
    fdb,
    addresses,
    ruleset,
    sysctl: async name => (await readSysctls(net, [name]))[0]
  }
  return situation
}

const LOWER_KINDS = new Set(['macvtap', 'macvlan', 'ipvtap', 'ipvlan', 'vlan'])

function hasLower({ kind = '' }: Link): boolean {
  return LOWER_KINDS.has(kind)
}

async function readRuleset(net: Netlink): Promise<Ruleset | undefined> {
  const netns = await net.openNetns()
  try {
    using firewall = await Nftables.open({ netns: { fd: netns.fds[0] as number } })
    return await firewall.ruleset()
  } catch (error) {
    if (error instanceof LinkwrightError && ['EPERM', 'EPROTONOSUPPORT', 'EINVAL', 'EOPNOTSUPP'].includes(error.code))
      return undefined
    throw error
  } finally {
    await netns.close()
  }
}

/** Base chains of a family at a hook, in their order, with their rules. */
export function chainsAt({ ruleset }: Situation, families: readonly string[], hook: string): HookedChain[] {
  if (!ruleset) return []
  const { chains, rules } = ruleset
  return chains
    .filter(chain => chain.hook === hook && families.includes(chain.family))
    .toSorted((a, b) => (a.priority ?? 0) - (b.priority ?? 0))
    .map(chain => ({ ...chain, rules: rules.filter(rule => isIn(rule, chain, chain.name)) }))
}

/** Whether a rule is in a chain of the table of another chain. */
export function isIn(
  rule: { family: string; table: string; chain: string },
  place: { family: string; table: string },
  chain: string
): boolean {
  return rule.family === place.family && rule.table === place.table && rule.chain === chain
}

/** Addresses that the guest is told to have, or that its bridge has learned from it. */
export function guestMacs({ link, fdb, options }: Situation): string[] {
  const own = fdb.filter(({ index, state, flags }) => index === link.index && !state.permanent && !flags.self)
  const all = [options.mac?.toLowerCase(), ...own.map(({ lladdr }) => lladdr)]
  return [...new Set(all.filter(mac => mac !== undefined))]
}
