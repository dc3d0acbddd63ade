/** Prefixes of IP addresses, in one form. */
import { ipv4, ipv6 } from '../../../codec/addresses.js'
import { Writer } from '../../../codec/writer.js'
import { invalidArgument } from '../../../errors.js'
import { addressBits, parsePrefix } from '../../../link/ip-prefix.js'
import type { IpFamily } from '../../../rtnetlink/family.js'

export interface Prefix {
  readonly family: IpFamily
  /** Bits. */
  readonly length: number
  /** Whether it is one address. */
  readonly single: boolean
  /** `192.0.2.7`, `192.0.2.0/24` */
  readonly text: string
  readonly first: bigint
  readonly last: bigint
}

/** @throws LinkwrightError `ERR_INVALID_ARG_VALUE` */
export function prefixOf(given: unknown, path: string): Prefix {
  const { family, address, length } = parsePrefix(given as string, path)
  const codec = family === 'inet' ? ipv4 : ipv6
  const writer = new Writer()
  codec.write(writer, address)
  const bytes = writer.copy()
  const first = BigInt(`0x${Buffer.from(bytes).toString('hex')}`)
  const bits = addressBits(family)
  const last = first | ((1n << BigInt(bits - length)) - 1n)
  if (length < bits && (first >> BigInt(bits - length)) << BigInt(bits - length) !== first) {
    throw invalidArgument(path, 'a prefix without bits beyond its length', given)
  }
  const single = length === bits
  const plain = codec.read(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0, bytes.length)
  return { family, length, single, text: single ? plain : `${plain}/${length}`, first, last }
}

/** Those that no other one covers. */
export function withoutContained(prefixes: readonly Prefix[]): Prefix[] {
  const kept: Prefix[] = []
  for (const prefix of prefixes.toSorted((a, b) => a.length - b.length)) {
    if (!kept.some(({ first, last }) => first <= prefix.first && prefix.last <= last)) kept.push(prefix)
  }
  return kept
}

/** fe80::/64 with the modified EUI-64 of a MAC address (RFC 4291, appendix A). */
export function linkLocalOf(mac: string): string {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = mac.split(':').map(byte => Number.parseInt(byte, 16))
  const groups = [((a ^ 2) << 8) | b, (c << 8) | 0xff, 0xfe00 | d, (e << 8) | f]
  return `fe80::${groups.map(group => group.toString(16)).join(':')}`
}
