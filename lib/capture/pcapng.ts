/** The pcapng format (draft-ietf-opsawg-pcapng): its numbers, and its blocks as bytes. */
import { hostLittleEndian } from '../codec/endian.js'

export const BLOCK = {
  SECTION: 0x0a0d0d0a,
  INTERFACE: 1,
  /** Obsolete. */
  PACKET: 2,
  SIMPLE_PACKET: 3,
  STATISTICS: 5,
  ENHANCED_PACKET: 6
} as const

export const BYTE_ORDER_MAGIC = 0x1a2b3c4d

export const OPTION = {
  END: 0,
  COMMENT: 1,
  SECTION: { HARDWARE: 2, OS: 3, APPLICATION: 4 },
  INTERFACE: { NAME: 2, DESCRIPTION: 3, TSRESOL: 9, FILTER: 11, FCSLEN: 13, TSOFFSET: 14 },
  PACKET: { FLAGS: 2, DROPCOUNT: 4, QUEUE: 6 },
  STATISTICS: { START: 2, END: 3, RECEIVED: 4, DROPPED: 5, FILTER_ACCEPTED: 6 }
} as const

/** Bits of epb_flags. */
export const PACKET_FLAG = {
  INBOUND: 1,
  OUTBOUND: 2,
  DIRECTION: 3,
  /** Bytes of the frame check sequence, in four bits from FCS_SHIFT on; 0 if that is not said. */
  FCS_SHIFT: 5,
  FCS_MASK: 0xf,
  CHECKSUM_NOT_READY: 1 << 9,
  CHECKSUM_VALID: 1 << 10,
  SEGMENTATION_OFFLOADED: 1 << 11
} as const

/** Type, length, and the length again. */
export const BLOCK_OVERHEAD = 12
/** Bytes of an enhanced packet block without data and options. */
export const PACKET_OVERHEAD = 32
/** if_tsresol of our interfaces: 10^-9 s. */
export const NANOSECONDS = 9
/** Longest text of an option. */
export const LONGEST_OPTION = 0xffff

export function padded(length: number): number {
  return (length + 3) & ~3
}

export interface Option {
  code: number
  value: string | Uint8Array | number | bigint
}

const encoder = new TextEncoder()

/** An option's value: text as UTF-8, numbers in 32 bits and big ones in 64 of the machine's order. */
function optionBytes(value: Option['value']): Uint8Array {
  if (typeof value === 'string') return encoder.encode(value)
  if (typeof value === 'number') return new Uint8Array(Uint32Array.of(value).buffer)
  if (typeof value === 'bigint') return new Uint8Array(BigUint64Array.of(value).buffer)
  return value
}

/** A list of options, with its end; nothing for an empty one. */
export function encodeOptions(options: readonly Option[]): Uint8Array {
  if (options.length === 0) return new Uint8Array(0)
  const values = options.map(({ code, value }) => ({ code, bytes: optionBytes(value) }))
  const encoded = new Uint8Array(values.reduce((sum, { bytes }) => sum + 4 + padded(bytes.length), 4))
  const data = new DataView(encoded.buffer)
  let at = 0
  for (const { code, bytes } of values) {
    data.setUint16(at, code, hostLittleEndian)
    data.setUint16(at + 2, bytes.length, hostLittleEndian)
    encoded.set(bytes, at + 4)
    at += 4 + padded(bytes.length)
  }
  return encoded
}

/** A block around its fixed part and options. */
function encodeBlock(type: number, fixed: Uint8Array, options: readonly Option[]): Uint8Array {
  const list = encodeOptions(options)
  const length = BLOCK_OVERHEAD + fixed.length + list.length
  const block = new Uint8Array(length)
  const data = new DataView(block.buffer)
  data.setUint32(0, type, hostLittleEndian)
  data.setUint32(4, length, hostLittleEndian)
  block.set(fixed, 8)
  block.set(list, 8 + fixed.length)
  data.setUint32(length - 4, length, hostLittleEndian)
  return block
}

/** What a file begins with. */
export function sectionHeader(options: readonly Option[]): Uint8Array {
  const fixed = new DataView(new ArrayBuffer(16))
  fixed.setUint32(0, BYTE_ORDER_MAGIC, hostLittleEndian)
  fixed.setUint16(4, 1, hostLittleEndian)
  fixed.setUint16(6, 0, hostLittleEndian)
  // How long the section becomes is not known when it begins.
  fixed.setBigInt64(8, -1n, hostLittleEndian)
  return encodeBlock(BLOCK.SECTION, new Uint8Array(fixed.buffer), options)
}

/** Frames of this interface refer to it by its number: how many were described before it. */
export function interfaceDescription(linkType: number, snapLength: number, options: readonly Option[]): Uint8Array {
  const fixed = new DataView(new ArrayBuffer(8))
  fixed.setUint16(0, linkType, hostLittleEndian)
  fixed.setUint32(4, snapLength, hostLittleEndian)
  return encodeBlock(BLOCK.INTERFACE, new Uint8Array(fixed.buffer), options)
}

/** @param time nanoseconds since 1970 */
export function interfaceStatistics(interfaceId: number, time: bigint, options: readonly Option[]): Uint8Array {
  const fixed = Uint32Array.of(interfaceId, Number(time >> 32n), Number(time & 0xffff_ffffn))
  return encodeBlock(BLOCK.STATISTICS, new Uint8Array(fixed.buffer), options)
}

/** Start and end of a statistics block are written as two halves, whatever the byte order. */
export function timestampBytes(time: bigint): Uint8Array {
  return new Uint8Array(Uint32Array.of(Number(time >> 32n), Number(time & 0xffff_ffffn)).buffer)
}
