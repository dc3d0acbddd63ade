/** What rtnetlink can be asked, RTM_* of linux/rtnetlink.h, and which schema each message has. */
import type { Located } from '../codec/codec.js'
import type { Writer } from '../codec/writer.js'
import { addressMessage } from './address.js'
import { linkMessage } from './link.js'
import { neighbourMessage } from './neighbour.js'
import { routeMessage } from './route.js'

/** What the engine needs to know of a message's layout. */
export interface Schema {
  /** Bytes from the beginning of the payload to the first attribute. */
  readonly headerLength: number
  write(writer: Writer, value: object): void
  read(data: DataView, start: number, end: number): { toJSON(): Record<string, unknown> }
  locate(data: DataView, start: number, end: number, target: number): Located | undefined
  nameOf(id: number): string | undefined
}

/** A netlink protocol: its number, and names and layouts of its messages. */
export interface Protocol {
  readonly name: string
  readonly number: number
  verbOf(type: number): string
  schemaOf(type: number): Schema | undefined
}

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
  RTM_NEWLINKPROP: 108,
  RTM_DELLINKPROP: 109
} as const

export type RtnetlinkVerb = keyof typeof RTM

const names = new Map<number, string>(Object.entries(RTM).map(([name, type]) => [type, name]))

/** Verbs come in fours: new, delete, get, set. */
const schemas = new Map<number, Schema>([
  [16, linkMessage as unknown as Schema],
  [20, addressMessage as unknown as Schema],
  [24, routeMessage as unknown as Schema],
  [28, neighbourMessage as unknown as Schema],
  [108, linkMessage as unknown as Schema]
])

export const rtnetlink: Protocol = {
  name: 'NETLINK_ROUTE',
  number: 0,
  verbOf: type => names.get(type) ?? `RTM_${type}`,
  schemaOf: type => schemas.get(type & ~3)
}
