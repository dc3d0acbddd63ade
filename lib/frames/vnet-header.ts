/** The virtio-net header before a frame: what is left to do, or was done, of its checksum and segmentation. */
import { endianness } from 'node:os'
import { invalidArgument } from '../errors.js'

/** Bytes that mean something; longer headers carry zeros behind them, or what only guests use. */
export const VNET_HEADER_SIZE = 10

/** Kinds of super-frames. `udp` is UDP fragmentation (UFO), which is obsolete; `udpL4` is UDP segmentation (USO). */
export type GsoType = 'none' | 'tcpv4' | 'udp' | 'tcpv6' | 'udpL4'

/** Frames with headers before them: a `FrameBatch`. */
export interface FramesWithHeaders {
  readonly bytes: Uint8Array
  readonly offsets: Uint32Array
  readonly length: number
  readonly vnetHeaderSize: number
}

const FLAG = { NEEDS_CSUM: 1, DATA_VALID: 2 }
const GSO: Record<GsoType, number> = { none: 0, tcpv4: 1, udp: 3, tcpv6: 4, udpL4: 5 }
const GSO_NAMES = new Map(Object.entries(GSO).map(([name, number]) => [number, name as GsoType]))
const GSO_ECN = 0x80

const OFFSET = { flags: 0, gsoType: 1, headerLength: 2, gsoSize: 4, checksumStart: 6, checksumOffset: 8 }
/** Where the low and the high byte of an integer are, in the machine's byte order. */
const [LOW, HIGH] = endianness() === 'LE' ? [0, 1] : [1, 0]

/**
 * A view of a virtio-net header, in the machine's byte order (devices with another `vnetEndian` carry other headers). It
 * is made once and set on one frame after the other by {@link at}, which allocates nothing.
 *
 * ```ts
 * const header = new VnetHeader()
 * for (let i = 0; i < batch.length; i++) if (header.of(batch, i) && header.gsoType !== 'none') large++
 * ```
 */
export class VnetHeader {
  bytes: Uint8Array
  /** Where the header begins in it. */
  offset = 0

  /** @param bytes of a header, 10 at least; an empty one of its own when left out */
  constructor(bytes: Uint8Array = new Uint8Array(VNET_HEADER_SIZE)) {
    this.bytes = bytes
    if (!this.at(bytes)) throw invalidArgument('bytes', `${VNET_HEADER_SIZE} bytes at least`, bytes.length)
  }

  /** Sets the view on the bytes from `offset` on. `false`, and it stays where it is, if that are less than 10. */
  at(bytes: Uint8Array, offset = 0): boolean {
    if (!(offset >= 0 && bytes.length - offset >= VNET_HEADER_SIZE)) return false
    this.bytes = bytes
    this.offset = offset
    return true
  }

  /** Sets the view on the header of a frame. `false`, and it stays where it is, if the batch has none. */
  of(batch: FramesWithHeaders, index: number): boolean {
    const { vnetHeaderSize, length } = batch
    if (vnetHeaderSize < VNET_HEADER_SIZE || !(index < length)) return false
    return this.at(batch.bytes, (batch.offsets[index] as number) - vnetHeaderSize)
  }

  /** VIRTIO_NET_HDR_F_* as bits. */
  get flags(): number {
    return this.bytes[this.offset + OFFSET.flags] as number
  }

  set flags(bits: number) {
    this.bytes[this.offset + OFFSET.flags] = bits
  }

  /**
   * The checksum is not computed: that of the bytes from `checksumStart` to the end of the frame is to be put
   * `checksumOffset` bytes behind there, where the sum of the pseudo header is now.
   */
  get needsChecksum(): boolean {
    return (this.flags & FLAG.NEEDS_CSUM) !== 0
  }

  set needsChecksum(on: boolean) {
    this.#set(FLAG.NEEDS_CSUM, on)
  }

  /** The checksum was verified, or the frame never left this machine: it need not be looked at. */
  get dataValid(): boolean {
    return (this.flags & FLAG.DATA_VALID) !== 0
  }

  set dataValid(on: boolean) {
    this.#set(FLAG.DATA_VALID, on)
  }

  /** Whether it is a super-frame, and of what; a number where that is not known here. */
  get gsoType(): GsoType | number {
    const type = (this.bytes[this.offset + OFFSET.gsoType] as number) & ~GSO_ECN
    return GSO_NAMES.get(type) ?? type
  }

  set gsoType(type: GsoType | number) {
    const number = typeof type === 'number' ? type : GSO[type]
    if (!Number.isInteger(number) || number < 0 || number >= GSO_ECN) {
      throw invalidArgument('gsoType', `one of ${Object.keys(GSO).join(', ')}`, type)
    }
    this.bytes[this.offset + OFFSET.gsoType] = number | (this.ecn ? GSO_ECN : 0)
  }

  /** A super-frame of TCP with CWR set, which belongs to its first segment only. */
  get ecn(): boolean {
    return ((this.bytes[this.offset + OFFSET.gsoType] as number) & GSO_ECN) !== 0
  }

  set ecn(on: boolean) {
    const at = this.offset + OFFSET.gsoType
    this.bytes[at] = ((this.bytes[at] as number) & ~GSO_ECN) | (on ? GSO_ECN : 0)
  }

  /** Bytes of Ethernet, IP and TCP or UDP headers together. A hint: forwarded frames carry other values. */
  get headerLength(): number {
    return this.#get(OFFSET.headerLength)
  }

  set headerLength(bytes: number) {
    this.#put(OFFSET.headerLength, bytes)
  }

  /** Bytes of payload in each segment but the last. */
  get gsoSize(): number {
    return this.#get(OFFSET.gsoSize)
  }

  set gsoSize(bytes: number) {
    this.#put(OFFSET.gsoSize, bytes)
  }

  /** Where the checksum begins, in bytes from the beginning of the frame. */
  get checksumStart(): number {
    return this.#get(OFFSET.checksumStart)
  }

  set checksumStart(bytes: number) {
    this.#put(OFFSET.checksumStart, bytes)
  }

  /** Where it is to be put, in bytes from `checksumStart`: 16 in TCP, 6 in UDP. */
  get checksumOffset(): number {
    return this.#get(OFFSET.checksumOffset)
  }

  set checksumOffset(bytes: number) {
    this.#put(OFFSET.checksumOffset, bytes)
  }

  /** Nothing is to be done with the frame, and nothing is known of it. */
  clear(): void {
    this.bytes.fill(0, this.offset, this.offset + VNET_HEADER_SIZE)
  }

  toJSON(): Record<string, unknown> {
    const { needsChecksum, dataValid, gsoType, ecn, headerLength, gsoSize, checksumStart, checksumOffset } = this
    return { needsChecksum, dataValid, gsoType, ecn, headerLength, gsoSize, checksumStart, checksumOffset }
  }

  #set(flag: number, on: boolean): void {
    this.flags = on ? this.flags | flag : this.flags & ~flag
  }

  #get(field: number): number {
    const at = this.offset + field
    return (this.bytes[at + LOW] as number) | ((this.bytes[at + HIGH] as number) << 8)
  }

  #put(field: number, value: number): void {
    const at = this.offset + field
    this.bytes[at + LOW] = value
    this.bytes[at + HIGH] = value >>> 8
  }
}
