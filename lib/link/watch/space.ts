/** The tables of one namespace that are watched, and what announcements say of them. */
import { hostLittleEndian } from '../../codec/endian.js'
import {
  RTNLGRP_IPV4_IFADDR,
  RTNLGRP_IPV4_ROUTE,
  RTNLGRP_IPV4_RULE,
  RTNLGRP_IPV6_IFADDR,
  RTNLGRP_IPV6_IFINFO,
  RTNLGRP_IPV6_ROUTE,
  RTNLGRP_IPV6_RULE,
  RTNLGRP_LINK,
  RTNLGRP_NEIGH,
  RTNLGRP_NEXTHOP,
  RTNLGRP_NSID
} from '../../netlink/constants.js'
import type { Message } from '../../netlink/framing.js'
import { AF_BRIDGE, AF_UNSPEC } from '../../rtnetlink/family.js'
import { neighbourMessage } from '../../rtnetlink/neighbour.js'
import { RTM } from '../../rtnetlink/verbs.js'
import { FdbEntry } from '../fdb.js'
import type { Link } from '../link.js'
import { Route } from '../routes.js'
import type { IndexInterest, WatchInterest } from './events.js'
import type { Rule } from './filter.js'
import type { Kind, Nsid } from './kind.js'
import { fdbKey } from './kinds/fdb.js'
import { routeScope } from './kinds/routes.js'
import { type Difference, Table } from './table.js'

const LINKS = [RTM.RTM_NEWLINK, RTM.RTM_DELLINK]
const ADDRESSES = [RTM.RTM_NEWADDR, RTM.RTM_DELADDR]
const ROUTES = [RTM.RTM_NEWROUTE, RTM.RTM_DELROUTE]
const RULES = [RTM.RTM_NEWRULE, RTM.RTM_DELRULE]
const NEIGHBOURS = [RTM.RTM_NEWNEIGH, RTM.RTM_DELNEIGH]
const NEXTHOPS = [RTM.RTM_NEWNEXTHOP, RTM.RTM_DELNEXTHOP]
const NSIDS = [RTM.RTM_NEWNSID, RTM.RTM_DELNSID]

/** Multicast groups and a filter for what is watched. All depends on links: what goes with them goes silently. */
export function announcements(interest: WatchInterest, allNamespaces: boolean): { groups: number[]; rules: Rule[] } {
  const { links, addresses, routes, neighbours, fdb } = interest
  const groups = new Set<number>([RTNLGRP_LINK])
  const rules: Rule[] = []
  if (links) {
    groups.add(RTNLGRP_IPV6_IFINFO)
    rules.push({ types: LINKS, index: typeof links === 'object' ? links.index : undefined })
  }
  if (addresses || routes) {
    groups.add(RTNLGRP_IPV4_IFADDR).add(RTNLGRP_IPV6_IFADDR)
    rules.push({ types: [...LINKS, ...ADDRESSES], index: routes ? undefined : indexOf(addresses) })
  }
  if (routes) {
    groups.add(RTNLGRP_IPV4_ROUTE).add(RTNLGRP_IPV6_ROUTE).add(RTNLGRP_NEXTHOP)
    rules.push({ types: [...ROUTES, ...NEXTHOPS] })
  }
  if (interest.rules) {
    groups.add(RTNLGRP_IPV4_RULE).add(RTNLGRP_IPV6_RULE)
    rules.push({ types: [...LINKS, ...RULES] })
  }
  if (neighbours || fdb) groups.add(RTNLGRP_NEIGH)
  if (neighbours) {
    const index = indexOf(neighbours)
    rules.push({ types: NEIGHBOURS, notFamily: AF_BRIDGE, index }, { types: LINKS, family: AF_UNSPEC, index })
  }
  if (fdb) {
    // An entry that moves away from a port is announced as one of the other port.
    rules.push({ types: NEIGHBOURS, family: AF_BRIDGE }, { types: LINKS, index: indexOf(fdb) })
  }
  if (allNamespaces) {
    groups.add(RTNLGRP_NSID)
    rules.push({ types: NSIDS })
  }
  return { groups: [...groups], rules }
}

function indexOf(interest: boolean | IndexInterest | undefined): readonly number[] | undefined {
  return typeof interest === 'object' ? interest.index : undefined
}

type Tables = Partial<Record<'link' | 'address' | 'route' | 'rule' | 'neighbour' | 'fdb', Table>>

/** ifi_flags as they were announced last; what is gone has none. */
type Flags = Map<number, number>

export class Space {
  readonly tables: readonly Table[]
  readonly #by: Tables = {}
  readonly #flags: Flags = new Map()

  constructor(
    kinds: readonly Kind[],
    readonly nsid: Nsid
  ) {
    this.tables = kinds.map(kind => new Table(kind, nsid))
    for (const table of this.tables) this.#by[table.kind.object] = table
  }

  get dirty(): boolean {
    return this.tables.some(table => table.dirty)
  }

  /** Announcements were missed: what was heard before says nothing any more. */
  forget(): void {
    this.#flags.clear()
  }

  markAll(): void {
    for (const table of this.tables) table.markAll()
  }

  /** Marks what may have changed. The kernel's tables are the truth: what the announcement says besides is not used. */
  hear({ type, data, start, end }: Message): void {
    if (end - start < 8) return
    const family = data.getUint8(start)
    const index = data.getInt32(start + 4, hostLittleEndian)
    if (type === RTM.RTM_NEWLINK || type === RTM.RTM_DELLINK) {
      const gone = type === RTM.RTM_DELLINK && family === AF_UNSPEC
      this.#hearLink(index, family, gone ? undefined : data.getUint32(start + 8, hostLittleEndian))
    } else if (isOneOf(ADDRESSES, type)) {
      this.#by.address?.mark(String(index))
      // Routes go with their source address, and multicast addresses come with the first one.
      this.#by.route?.markAll()
      this.#by.fdb?.mark(String(index))
    } else if (isOneOf(ROUTES, type)) {
      const route = new Route({ data, start, end } as Message)
      this.#by.route?.mark(routeScope(route.family as string, route.tableId))
    } else if (isOneOf(RULES, type)) {
      this.#by.rule?.markAll()
    } else if (isOneOf(NEXTHOPS, type)) {
      this.#by.route?.markAll()
    } else if (isOneOf(NEIGHBOURS, type) && family !== AF_BRIDGE) {
      this.#by.neighbour?.mark(String(index))
    } else if (isOneOf(NEIGHBOURS, type) && end - start >= neighbourMessage.headerLength) {
      this.#by.fdb?.mark(String(index))
      this.#by.fdb?.markKey(fdbKey(new FdbEntry({ data, start, end } as Message)))
    }
  }

  /** What else has to be read because a link turned out to have changed: counts and sizes that links have of others. */
  follow({ before, after }: Difference<Link>): void {
    for (const link of [before, after]) {
      // A lower device with a `linkNetnsid` is in another namespace.
      for (const other of [link?.master, link?.linkNetnsid === undefined ? link?.link : undefined]) {
        if (other) this.#by.link?.mark(String(other))
      }
    }
  }

  #hearLink(index: number, family: number, flags: number | undefined): void {
    this.#by.link?.mark(String(index))
    // A bridge says with its own family that a port left.
    if (family === AF_BRIDGE) this.#by.fdb?.mark(String(index))
    if (family !== AF_UNSPEC) return
    if (flags !== undefined && this.#flags.get(index) === flags) return
    if (flags === undefined) this.#flags.delete(index)
    else this.#flags.set(index, flags)
    this.#by.address?.mark(String(index))
    this.#by.neighbour?.mark(String(index))
    this.#by.fdb?.mark(String(index))
    this.#by.route?.markAll()
    this.#by.rule?.markAll()
  }
}

function isOneOf(types: readonly number[], type: number): boolean {
  return types.includes(type)
}
