/** Looks at options before anything is written: what gets past here cannot become another line of a configuration. */
import { isIP, isIPv4, isIPv6 } from 'node:net'
import { invalidArgument } from '../../errors.js'
import { type IpPrefix, parsePrefix } from '../../link/ip-prefix.js'
import { checkKeys } from '../../options.js'
import type { AddressRange } from './options.js'
import { addressNumber, isHostOf } from './subnet.js'

const MAC = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i
const BYTES = /^[0-9a-f]{2}(:[0-9a-f]{2}){1,127}$/i
const LABEL = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/i
const PATH = /^\/[\w./@+=-]*$/
/** Seconds: dnsmasq makes shorter leases longer without a word. */
const SHORTEST_LEASE = 120
const LONGEST_LEASE = 0xffff_fffe
/** Least MTU of IPv4 (RFC 2132) and of IPv6. */
export const LEAST_MTU = { inet: 68, inet6: 1280 } as const

/** Checks properties of an object that may only have these. */
export function keysOf(value: unknown, path: string, ...allowed: string[]): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalidArgument(path, 'an object', value)
  for (const key of Object.keys(value)) {
    if (!allowed.includes(key)) throw invalidArgument(`${path}.${key}`, `one of ${allowed.join(', ')}`, key)
  }
}

export { checkKeys }

/** Goes through a list that may be left out. */
export function eachOf<T>(list: readonly T[] | undefined, path: string, check: (item: T, path: string) => void): void {
  if (list === undefined) return
  if (!Array.isArray(list)) throw invalidArgument(path, 'an array', list)
  for (const [at, item] of list.entries()) check(item, `${path}[${at}]`)
}

function matches(pattern: RegExp, value: unknown, path: string, expected: string): void {
  // A pattern's $ matches before a last newline only with the flag m, which none of these has.
  if (typeof value !== 'string' || !pattern.test(value)) throw invalidArgument(path, expected, value)
}

export function networkName(value: unknown, path: string): void {
  matches(/^[A-Za-z0-9_][\w.-]{0,63}$/, value, path, 'a name of letters, digits, ".", "_" and "-"')
}

/** Names that dnsmasq takes for what they are: it knows patterns (`br*`) and aliases (`br0:1`). */
export function interfaceName(value: unknown, path: string): void {
  matches(/^[\w.@+-]{1,15}$/, value, path, 'the name of an interface')
}

export function mac(value: unknown, path: string): void {
  matches(MAC, value, path, 'a MAC address such as 52:54:00:12:34:56')
}

export function clientId(value: unknown, path: string): void {
  matches(BYTES, value, path, 'bytes in hexadecimal, such as 00:03:00:01:52:54:00:12:34:56')
}

/** A name of one or more labels. */
export function domainName(value: unknown, path: string): void {
  const right = typeof value === 'string' && value.length <= 253 && value.split('.').every(label => LABEL.test(label))
  if (!right) throw invalidArgument(path, 'a domain name of letters, digits, "-" and "_"', value)
}

export function hostname(value: unknown, path: string): void {
  matches(LABEL, value, path, 'a host name of letters, digits, "-" and "_"')
}

/** Of a reservation: among its words dnsmasq takes these for a lease time, or for an order to ignore the guest. */
export function guestName(value: unknown, path: string): void {
  hostname(value, path)
  if (/^(\d+[smhdw]?|infinite|ignore)$/i.test(value as string)) {
    throw invalidArgument(path, 'a host name that dnsmasq does not take for something else', value)
  }
}

export function filePath(value: unknown, path: string): void {
  matches(PATH, value, path, 'an absolute path of letters, digits and . _ / @ + = -')
}

export function text(value: unknown, path: string): void {
  matches(/^[ !#-[\]-~]{1,255}$/, value, path, 'up to 255 printable ASCII characters without " and \\')
}

export function integer(value: unknown, path: string, least: number, most: number): void {
  if (!Number.isInteger(value) || (value as number) < least || (value as number) > most) {
    throw invalidArgument(path, `an integer from ${least} to ${most}`, value)
  }
}

export function boolean(value: unknown, path: string): void {
  if (value !== undefined && typeof value !== 'boolean') throw invalidArgument(path, 'true or false', value)
}

export function milliseconds(value: unknown, path: string): void {
  if (value !== undefined) integer(value, path, 0, 0x7fff_ffff)
}

export function lease(value: unknown, path: string): void {
  if (value === undefined || value === Number.POSITIVE_INFINITY) return
  if (!Number.isInteger(value) || (value as number) < SHORTEST_LEASE || (value as number) > LONGEST_LEASE) {
    throw invalidArgument(path, `seconds from ${SHORTEST_LEASE}, or Infinity`, value)
  }
}

export function address(value: unknown, path: string): void {
  if (typeof value !== 'string' || isIP(value) === 0 || value.includes('%')) {
    throw invalidArgument(path, 'an IPv4 or IPv6 address', value)
  }
}

export function ipv4(value: unknown, path: string): void {
  if (typeof value !== 'string' || !isIPv4(value)) throw invalidArgument(path, 'an IPv4 address', value)
}

export function ipv6(value: unknown, path: string): void {
  if (typeof value !== 'string' || !isIPv6(value) || value.includes('%'))
    throw invalidArgument(path, 'an IPv6 address', value)
}

/** An address that the interface has, with its prefix length written out. */
export function ownAddress(value: string, path: string): IpPrefix {
  const prefix = parsePrefix(value, path)
  if (!value.includes('/')) throw invalidArgument(path, 'an address with its prefix length (192.0.2.1/24)', value)
  return prefix
}

/** The subnet that an address is a host's of. */
export function subnetOf(value: string, path: string, subnets: readonly IpPrefix[]): IpPrefix {
  const found = subnets.find(prefix => isHostOf(prefix, value))
  if (found) return found
  const names = subnets.map(prefix => `${prefix.address}/${prefix.length}`)
  throw invalidArgument(
    path,
    `an address of a host in a subnet of ${names.join(', ') || 'addresses, which has none'}`,
    value
  )
}

/** A range within one of the subnets, which it returns. */
export function range(value: AddressRange, path: string, subnets: readonly IpPrefix[]): IpPrefix {
  keysOf(value, path, 'start', 'end')
  const check = subnets[0]?.family === 'inet6' ? ipv6 : ipv4
  check(value.start, `${path}.start`)
  check(value.end, `${path}.end`)
  const prefix = subnetOf(value.start, `${path}.start`, subnets)
  subnetOf(value.end, `${path}.end`, [prefix])
  if (addressNumber(value.end) < addressNumber(value.start)) {
    throw invalidArgument(`${path}.end`, `an address from ${value.start}`, value.end)
  }
  return prefix
}
