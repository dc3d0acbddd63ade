/** Frames of guests, honest and forged: bytes and nothing else, so that they can be as wrong as one likes. */
import { addressNumber } from '../../../lib/host/dnsmasq/subnet.js'
import { checksum, ETHERTYPE, ethernet, ipv4, udp } from '../../support/frames.js'

export { ETHERTYPE, ethernet, ipv4, udp }

export const UDP = 17
export const TCP = 6
export const ICMPV6 = 58
const HOP_BY_HOP = 0
const ROUTING = 43
const FRAGMENT = 44
const DESTINATION = 60

export const macBytes = (mac: string) => Buffer.from(mac.replaceAll(':', ''), 'hex')
const ip4Bytes = (ip: string) => Buffer.from(ip.split('.').map(Number))
const ip6Bytes = (ip: string) => Buffer.from(addressNumber(ip).toString(16).padStart(32, '0'), 'hex')

export interface ArpFields {
  htype?: number
  ptype?: number
  hlen?: number
  plen?: number
  operation?: number
  senderMac: string
  senderIp: string
  targetMac?: string
  targetIp?: string
}

/** The body of an ARP packet; addresses as they are, whatever the lengths say. */
export function arp(fields: ArpFields): Buffer {
  const { htype = 1, ptype = 0x0800, hlen = 6, plen = 4, operation = 1 } = fields
  const { senderMac, senderIp, targetMac = '00:00:00:00:00:00', targetIp = '192.0.2.1' } = fields
  const head = Buffer.from([
    htype >> 8,
    htype & 255,
    ptype >> 8,
    ptype & 255,
    hlen,
    plen,
    operation >> 8,
    operation & 255
  ])
  return Buffer.concat([head, macBytes(senderMac), ip4Bytes(senderIp), macBytes(targetMac), ip4Bytes(targetIp)])
}

/** An IPv4 packet that is one fragment of several. `offset` in bytes. */
export function ipv4Fragment(
  source: string,
  destination: string,
  protocol: number,
  payload: Uint8Array,
  offset: number,
  more: boolean
): Buffer {
  const packet = ipv4(source, destination, protocol, payload)
  packet.writeUInt16BE((offset >> 3) | (more ? 0x2000 : 0), 6)
  packet.writeUInt16BE(0, 10)
  packet.writeUInt16BE(checksum(packet.subarray(0, 20)), 10)
  return packet
}

/** An IPv6 packet whose first header behind its own is `next`. */
export function ipv6(source: string, destination: string, next: number, payload: Uint8Array, hops = 255): Buffer {
  const header = Buffer.from([0x60, 0, 0, 0, payload.length >> 8, payload.length & 255, next, hops])
  return Buffer.concat([header, ip6Bytes(source), ip6Bytes(destination), payload])
}

/** Extension headers in front of a payload: what comes first, and all of it. */
export interface Chain {
  readonly next: number
  readonly bytes: Buffer
}

const options = (next: number, bytes: number) => {
  const padding = Buffer.alloc(bytes - 4)
  return Buffer.concat([Buffer.from([next, bytes / 8 - 1, 1, bytes - 4]), padding])
}

export const plain = (next: number, bytes: Buffer): Chain => ({ next, bytes })
export const hopByHop = ({ next, bytes }: Chain): Chain => ({
  next: HOP_BY_HOP,
  // Router alert, as MLD has it.
  bytes: Buffer.concat([Buffer.from([next, 0, 5, 2, 0, 0, 1, 0]), bytes])
})
export const destinationOptions = ({ next, bytes }: Chain, length = 8): Chain => ({
  next: DESTINATION,
  bytes: Buffer.concat([options(next, length), bytes])
})
export const routing = ({ next, bytes }: Chain): Chain => ({
  next: ROUTING,
  bytes: Buffer.concat([Buffer.from([next, 0, 253, 0, 0, 0, 0, 0]), bytes])
})
/** A header of a number of its own that looks like one with options (HIP, Shim6). */
export const other = (number: number, { next, bytes }: Chain): Chain => ({
  next: number,
  bytes: Buffer.concat([Buffer.from([next, 0, 0, 0, 0, 0, 0, 0]), bytes])
})
/** `offset` in bytes. */
export const fragment = ({ next, bytes }: Chain, offset = 0, more = false): Chain => {
  const place = offset | (more ? 1 : 0)
  return { next: FRAGMENT, bytes: Buffer.concat([Buffer.from([next, 0, place >> 8, place & 255, 0, 0, 0, 7]), bytes]) }
}

export const packet6 = (source: string, destination: string, { next, bytes }: Chain): Buffer =>
  ipv6(source, destination, next, bytes)

/** An ICMPv6 message with the checksum for these addresses. */
export function icmp6(source: string, destination: string, type: number, body: Uint8Array): Buffer {
  const message = Buffer.concat([Buffer.from([type, 0, 0, 0]), body])
  const length = Buffer.alloc(8)
  length.writeUInt32BE(message.length, 0)
  length.writeUInt32BE(ICMPV6, 4)
  const sum = checksum(Buffer.concat([ip6Bytes(source), ip6Bytes(destination), length, message]))
  message.writeUInt16BE(sum, 2)
  return message
}

const option = (type: number, mac: string) => Buffer.concat([Buffer.from([type, 1]), macBytes(mac)])
export const sourceOption = (mac: string) => option(1, mac)
export const targetOption = (mac: string) => option(2, mac)
export const nonceOption = Buffer.from([14, 1, 1, 2, 3, 4, 5, 6])

export const [RS, RA, NS, NA, REDIRECT] = [133, 134, 135, 136, 137]

/** Bodies of neighbour discovery, behind type, code and checksum. */
export const nd = {
  rs: (...opts: Buffer[]) => Buffer.concat([Buffer.alloc(4), ...opts]),
  ra: (...opts: Buffer[]) => Buffer.concat([Buffer.from([64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0]), ...opts]),
  ns: (target: string, ...opts: Buffer[]) => Buffer.concat([Buffer.alloc(4), ip6Bytes(target), ...opts]),
  na: (target: string, ...opts: Buffer[]) => Buffer.concat([Buffer.from([0x20, 0, 0, 0]), ip6Bytes(target), ...opts]),
  redirect: (target: string, destination: string, ...opts: Buffer[]) =>
    Buffer.concat([Buffer.alloc(4), ip6Bytes(target), ip6Bytes(destination), ...opts])
}

/** A frame with VLAN tags put in. */
export function tagged(frame: Buffer, ...tags: [protocol: number, vid: number][]): Buffer {
  const bytes = tags.map(([protocol, vid]) => Buffer.from([protocol >> 8, protocol & 255, vid >> 8, vid & 255]))
  return Buffer.concat([frame.subarray(0, 12), ...bytes, frame.subarray(12)])
}
