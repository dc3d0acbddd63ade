/** Addresses in frames: as text, and as numbers to compare without an allocation. */
import { ipv4, ipv6, mac } from '../../codec/addresses.js'
import type { Codec } from '../../codec/codec.js'
import { Writer } from '../../codec/writer.js'
import { invalidArgument } from '../../errors.js'
import { setU32At, setU48At, u32At, u48At } from './fields.js'

const MAC_BYTES = 6
const IPV4_BYTES = 4
export const IPV6_BYTES = 16

/** Text is parsed by the codecs, into this. */
const scratch = new Writer(IPV6_BYTES)
const parsed = new Uint8Array(IPV6_BYTES)

function parse(codec: Codec<string>, text: string): Uint8Array {
  scratch.reset()
  codec.write(scratch, text)
  for (let at = 0; at < scratch.length; at++) parsed[at] = scratch.byteAt(at)
  return parsed
}

function format(codec: Codec<string>, bytes: Uint8Array, at: number, length: number): string {
  // A view that was never set on a frame has no address.
  if (at + length > bytes.length) return ''
  return codec.read(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), at, length)
}

/** The Ethernet address at a position, as a number of 48 bits: fast to read, to compare and to look up in a `Map`. */
export const macAt: (bytes: Uint8Array, at: number) => number = u48At

/** `0x525400123456` for `52:54:00:12:34:56`. */
export function macNumber(text: string): number {
  return u48At(parse(mac, text), 0)
}

/** `52:54:00:12:34:56` for `0x525400123456`. */
export function macText(address: number): string {
  checkNumber(address, MAC_BYTES)
  setU48At(parsed, 0, address)
  return format(mac, parsed, 0, MAC_BYTES)
}

/** `0xc0000201` for `192.0.2.1`. */
export function ipv4Number(text: string): number {
  return u32At(parse(ipv4, text), 0)
}

/** `192.0.2.1` for `0xc0000201`. */
export function ipv4Text(address: number): string {
  checkNumber(address, IPV4_BYTES)
  setU32At(parsed, 0, address)
  return format(ipv4, parsed, 0, IPV4_BYTES)
}

export function macTextAt(bytes: Uint8Array, at: number): string {
  return format(mac, bytes, at, MAC_BYTES)
}

export function ipv4TextAt(bytes: Uint8Array, at: number): string {
  return format(ipv4, bytes, at, IPV4_BYTES)
}

export function ipv6TextAt(bytes: Uint8Array, at: number): string {
  return format(ipv6, bytes, at, IPV6_BYTES)
}

export function setMacAt(bytes: Uint8Array, at: number, address: string | number): void {
  if (typeof address === 'number') checkNumber(address, MAC_BYTES)
  setU48At(bytes, at, typeof address === 'number' ? address : macNumber(address))
}

export function setIpv4At(bytes: Uint8Array, at: number, address: string | number): void {
  if (typeof address === 'number') checkNumber(address, IPV4_BYTES)
  setU32At(bytes, at, typeof address === 'number' ? address : ipv4Number(address))
}

export function setIpv6At(bytes: Uint8Array, at: number, address: string | Uint8Array): void {
  const from = typeof address === 'string' ? parse(ipv6, address) : address
  if (from.length !== IPV6_BYTES) throw invalidArgument('', `an IPv6 address or its ${IPV6_BYTES} bytes`, address)
  for (let byte = 0; byte < IPV6_BYTES; byte++) bytes[at + byte] = from[byte] as number
}

function checkNumber(address: number, size: number): void {
  if (!Number.isInteger(address) || address < 0 || address >= 2 ** (8 * size)) {
    throw invalidArgument('', `an address of ${8 * size} bits`, address)
  }
}
