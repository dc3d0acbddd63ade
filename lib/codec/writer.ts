/** A growing buffer that messages are written into. */

import { invalidArgument } from '../errors.js'
import { compareReleases } from '../kernel-release.js'
import { hostLittleEndian } from './endian.js'

const ATTRIBUTE_HEADER = 4
/** linux/netlink.h */
export const NLA_F_NESTED = 0x8000
export const NLA_F_NET_BYTEORDER = 0x4000
export const NLA_TYPE_MASK = 0x3fff

const encoder = new TextEncoder()

/** Copies of small messages lie side by side in slabs: an ArrayBuffer each would cost more than encoding them. */
const SLAB = 16_384
let slab = new ArrayBuffer(SLAB)
let slabUsed = 0

export class Writer {
  #bytes: Uint8Array
  #data: DataView
  length = 0
  /** Whether the message creates an object: attributes that are only taken then are refused otherwise. */
  creating = false
  /** The newest kernel release that an attribute written so far needs, or ''. */
  since = ''
  /** Whether an attribute written so far may be ignored by a kernel that was built without it. */
  uncertain = false

  constructor(capacity = 4096) {
    this.#bytes = new Uint8Array(capacity)
    this.#data = new DataView(this.#bytes.buffer)
  }

  /** A copy of what was written. */
  copy(): Uint8Array {
    const { length } = this
    if (length > SLAB / 4) return this.#bytes.slice(0, length)
    if (slabUsed + length > SLAB) {
      slab = new ArrayBuffer(SLAB)
      slabUsed = 0
    }
    const copy = new Uint8Array(slab, slabUsed, length)
    slabUsed += (length + 7) & ~7
    for (let at = 0; at < length; at++) copy[at] = this.#bytes[at] as number
    return copy
  }

  /** Forgets everything, to be used again. */
  reset(): void {
    this.#bytes.fill(0, 0, this.length)
    this.length = 0
    this.creating = false
    this.since = ''
    this.uncertain = false
  }

  /** Makes room for `size` zeroed bytes and returns where they begin. */
  reserve(size: number): number {
    const start = this.length
    const end = start + size
    if (end > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(end, this.#bytes.length * 2))
      grown.set(this.#bytes)
      this.#bytes = grown
      this.#data = new DataView(grown.buffer)
    }
    this.length = end
    return start
  }

  /** Remembers that an attribute needs a kernel of this release. */
  noteSince(release: string): void {
    if (compareReleases(release, this.since) > 0) this.since = release
  }

  u8(value: number): void {
    const at = this.reserve(1)
    this.#data.setUint8(at, value)
  }

  u16(value: number, littleEndian = hostLittleEndian): void {
    const at = this.reserve(2)
    this.#data.setUint16(at, value, littleEndian)
  }

  u32(value: number, littleEndian = hostLittleEndian): void {
    const at = this.reserve(4)
    this.#data.setUint32(at, value, littleEndian)
  }

  u64(value: bigint, littleEndian = hostLittleEndian): void {
    const at = this.reserve(8)
    this.#data.setBigUint64(at, BigInt.asUintN(64, value), littleEndian)
  }

  byteAt(at: number): number {
    return this.#bytes[at] as number
  }

  /** Text in UTF-8. What is short and ASCII goes without an encoder, which costs more than the text. */
  text(value: string): void {
    const start = this.reserve(value.length)
    for (let at = 0; at < value.length; at++) {
      const unit = value.charCodeAt(at)
      if (unit > 0x7f || at > 127) {
        this.length = start
        this.raw(encoder.encode(value))
        return
      }
      this.#bytes[start + at] = unit
    }
  }

  raw(bytes: Uint8Array): void {
    const at = this.reserve(bytes.length)
    this.#bytes.set(bytes, at)
  }

  setU16(at: number, value: number): void {
    this.#data.setUint16(at, value, hostLittleEndian)
  }

  setU32(at: number, value: number): void {
    this.#data.setUint32(at, value, hostLittleEndian)
  }

  /** Pads to a multiple of four from the beginning of the buffer. */
  align(): void {
    const excess = this.length & 3
    if (excess) this.reserve(4 - excess)
  }

  /** Writes one attribute around `payload`. */
  attribute(type: number, payload: () => void): void {
    const start = this.beginAttribute()
    payload()
    this.endAttribute(start, type)
  }

  /** Leaves room for the header of an attribute and returns where it is. */
  beginAttribute(): number {
    this.align()
    return this.reserve(ATTRIBUTE_HEADER)
  }

  /** Completes the attribute that began at `start`. */
  endAttribute(start: number, type: number): void {
    const length = this.length - start
    if (length > 0xffff) throw invalidArgument('', `at most ${0xffff - ATTRIBUTE_HEADER} bytes`, `${length} bytes`)
    this.setU16(start, length)
    this.setU16(start + 2, type)
    this.align()
  }
}
