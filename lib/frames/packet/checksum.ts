/** The Internet checksum (RFC 1071) and its incremental update (RFC 1624). */

/** So many words of 16 bits can be added before an integer of 31 bits could overflow. */
const WORDS_AT_ONCE = 0x4000

/** The sum of some bytes in ones' complement, as words of 16 bits in network order, added to `initial`; 16 bits. */
export function onesSum(bytes: Uint8Array, offset: number, length: number, initial = 0): number {
  let sum = initial
  let at = offset
  const end = offset + length
  while (at + 1 < end) {
    const until = Math.min(end - 1, at + 2 * WORDS_AT_ONCE)
    for (; at < until; at += 2) sum += ((bytes[at] as number) << 8) | (bytes[at + 1] as number)
    sum = (sum & 0xffff) + (sum >>> 16)
  }
  if (at < end) sum += (bytes[at] as number) << 8
  return fold(sum)
}

/**
 * The checksum over some bytes: 0 over data that carries a right one.
 *
 * @param initial what was added up already (a pseudo-header)
 */
export function internetChecksum(bytes: Uint8Array, offset: number, length: number, initial = 0): number {
  return ~onesSum(bytes, offset, length, initial) & 0xffff
}

/** What a checksum becomes when a word of 16 bits that it covers changes: a port, one half of an IPv4 address. */
export function updatedChecksum(checksum: number, before: number, after: number): number {
  return ~fold((~checksum & 0xffff) + (~before & 0xffff) + (after & 0xffff)) & 0xffff
}

function fold(sum: number): number {
  const once = (sum & 0xffff) + (sum >>> 16)
  return (once & 0xffff) + (once >>> 16)
}
