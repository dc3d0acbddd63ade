/** What rtnetlink can be asked, RTM_* of linux/rtnetlink.h, and which schema each message has. */
import type { Schema } from '../codec/message.js'
import { addressMessage } from './address.js'
import { linkMessage } from './link.js'
import { neighbourMessage } from './neighbour.js'
import { nsidMessage } from './nsid.js'
import { routeMessage } from './route.js'
import { ruleMessage } from './rule.js'
import { statisticsMessage } from './statistics.js'
import { classMessage, filterMessage, qdiscMessage } from './traffic-control.js'

export const RTM = {
  RTM_NEWLINK: 16,
  RTM_DELLINK: 17,
  RTM_GETLINK: 18,
  RTM_SETLINK: 19,
  RTM_NEWADDR: 20,
  RTM_DELADDR: 21,
  RTM_GETADDR: 22,
  RTM_NEWROUTE: 24,
  RTM_DELROUTE: 25,
  RTM_GETROUTE: 26,
  RTM_NEWNEIGH: 28,
  RTM_DELNEIGH: 29,
  RTM_GETNEIGH: 30,
  RTM_NEWRULE: 32,
  RTM_DELRULE: 33,
  RTM_GETRULE: 34,
  RTM_NEWQDISC: 36,
  RTM_DELQDISC: 37,
  RTM_GETQDISC: 38,
  RTM_NEWTCLASS: 40,
  RTM_DELTCLASS: 41,
  RTM_GETTCLASS: 42,
  RTM_NEWTFILTER: 44,
  RTM_DELTFILTER: 45,
  RTM_GETTFILTER: 46,
  RTM_NEWNSID: 88,
  RTM_DELNSID: 89,
  RTM_GETNSID: 90,
  RTM_NEWSTATS: 92,
  RTM_GETSTATS: 94,
  RTM_NEWNEXTHOP: 104,
  RTM_DELNEXTHOP: 105,
  RTM_NEWLINKPROP: 108,
  RTM_DELLINKPROP: 109
} as const

export type RtnetlinkVerb = keyof typeof RTM

const names = new Map<number, string>(Object.entries(RTM).map(([name, type]) => [type, name]))

/** Verbs come in fours: new, delete, get, set. */
const schemas = new Map<number, Schema>([
  [16, linkMessage],
  [20, addressMessage],
  [24, routeMessage],
  [28, neighbourMessage],
  [32, ruleMessage],
  [36, qdiscMessage],
  [40, classMessage],
  [44, filterMessage],
  [88, nsidMessage],
  [92, statisticsMessage],
  [108, linkMessage]
])

/** The protocol NETLINK_ROUTE. */
export const rtnetlink = {
  name: 'NETLINK_ROUTE',
  number: 0,
  verbOf: (type: number): string => names.get(type) ?? `RTM_${type}`,
  schemaOf: (type: number): Schema | undefined => schemas.get(type & ~3)
}
