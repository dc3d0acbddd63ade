/** What the frames of a capture begin with (LINKTYPE_*). */
import { invalidArgument } from '../errors.js'

export const LINKTYPE = {
  /** An Ethernet header: TAP, macvtap. */
  ethernet: 1,
  /** An IPv4 or IPv6 header: TUN. */
  raw: 101,
  /** An IPv4 header. */
  ipv4: 228,
  /** An IPv6 header. */
  ipv6: 229
} as const

export type LinkTypeName = keyof typeof LINKTYPE

/** The number of a link type that is given by name or number. */
export function linkTypeNumber(value: LinkTypeName | number, path: string): number {
  const number = typeof value === 'string' && Object.hasOwn(LINKTYPE, value) ? LINKTYPE[value] : value
  if (typeof number !== 'number' || !Number.isInteger(number) || number < 0 || number > 0xffff) {
    throw invalidArgument(path, `${Object.keys(LINKTYPE).join(', ')}, or a number of 16 bits`, value)
  }
  return number
}
