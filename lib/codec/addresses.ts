/** Hardware and IP addresses, as text. */
import { isIPv4, isIPv6 } from 'node:net'
import { type Codec, refuse } from './codec.js'
import { zeroExtended } from './short.js'

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))
const MAC = /^[0-9a-f]{2}([:-][0-9a-f]{2}){5}$/i

/** An Ethernet address, `52:54:00:12:34:56`. Addresses of other lengths (InfiniBand) are read too. */
export const mac: Codec<string> & { size: number } = {
  expects: 'a MAC address such as 52:54:00:12:34:56',
  size: 6,
  write(writer, value) {
    if (typeof value !== 'string' || !MAC.test(value)) refuse(this, value)
    for (let at = 0; at < 17; at += 3) writer.u8(Number.parseInt(value.slice(at, at + 2), 16))
  },
  read(data, offset, length) {
    if (length === 0) return ''
    let text = HEX[data.getUint8(offset)] as string
    for (let at = 1; at < length; at++) text += `:${HEX[data.getUint8(offset + at)]}`
    return text
  }
}

/** `192.0.2.1` */
export const ipv4: Codec<string> & { size: 4 } = {
  expects: 'an IPv4 address',
  size: 4,
  write(writer, value) {
    if (typeof value !== 'string' || !isIPv4(value)) refuse(this, value)
    for (const part of value.split('.')) writer.u8(Number(part))
  },
  read(data, offset, length) {
    if (length < 4) return this.read(zeroExtended(data, offset, length, 4), 0, 4)
    return `${data.getUint8(offset)}.${data.getUint8(offset + 1)}.${data.getUint8(offset + 2)}.${data.getUint8(offset + 3)}`
  }
}

/** `2001:db8::1`, read in the form of RFC 5952. */
export const ipv6: Codec<string> & { size: 16 } = {
  expects: 'an IPv6 address',
  size: 16,
  write(writer, value) {
    if (typeof value !== 'string' || !isIPv6(value) || value.includes('%')) refuse(this, value)
    for (const group of ipv6Groups(value)) writer.u16(group, false)
  },
  read(data, offset, length) {
    if (length < 16) return this.read(zeroExtended(data, offset, length, 16), 0, 16)
    const groups: number[] = []
    for (let at = 0; at < 16; at += 2) groups.push(data.getUint16(offset + at))
    return formatIpv6(groups)
  }
}

/** An address of either family; the length tells which. One of another length reads as bytes in hexadecimal. */
export const ip: Codec<string> = {
  expects: 'an IPv4 or IPv6 address',
  write(writer, value) {
    if (typeof value === 'string' && isIPv4(value)) ipv4.write(writer, value)
    else if (typeof value === 'string' && isIPv6(value)) ipv6.write(writer, value)
    else refuse(this, value)
  },
  read: (data, offset, length) => (length === 4 ? ipv4 : length === 16 ? ipv6 : mac).read(data, offset, length)
}

function ipv6Groups(text: string): number[] {
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text)
  if (dotted) {
    const [, head, a, b, c, d] = dotted
    const high = (Number(a) << 8) | Number(b)
    const low = (Number(c) << 8) | Number(d)
    return ipv6Groups(`${head}${high.toString(16)}:${low.toString(16)}`)
  }
  const [head = '', tail] = text.split('::')
  const parse = (part: string) => (part === '' ? [] : part.split(':').map(group => Number.parseInt(group, 16)))
  const before = parse(head)
  if (tail === undefined) return before
  const after = parse(tail)
  return [...before, ...new Array<number>(8 - before.length - after.length).fill(0), ...after]
}

function formatIpv6(groups: number[]): string {
  const mapped = groups.slice(0, 5).every(group => group === 0) && groups[5] === 0xffff
  if (mapped) {
    const [high = 0, low = 0] = groups.slice(6)
    return `::ffff:${high >> 8}.${high & 0xff}.${low >> 8}.${low & 0xff}`
  }
  // RFC 5952: the longest run of two or more zero groups, the first of equals.
  let start = -1
  let length = 1
  for (let at = 0; at < 8; at++) {
    let end = at
    while (end < 8 && groups[end] === 0) end++
    if (end - at > length) {
      start = at
      length = end - at
    }
    at = Math.max(at, end - 1)
  }
  const hex = (part: number[]) => part.map(group => group.toString(16)).join(':')
  if (start < 0) return hex(groups)
  return `${hex(groups.slice(0, start))}::${hex(groups.slice(start + length))}`
}
