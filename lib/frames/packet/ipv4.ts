/** IPv4 headers. */
import { ipv4TextAt, setIpv4At } from './addresses.js'
import { internetChecksum } from './checksum.js'
import { s32At, setU16At, u8At, u16At, u32At } from './fields.js'
import { HeaderView } from './header-view.js'

const HEADER = 20
const CHECKSUM = 10
const MORE_FRAGMENTS = 0x2000
const DONT_FRAGMENT = 0x4000

/** Setting a field leaves the checksum as it is: `fillChecksum()` when all is set. */
export class Ipv4View extends HeaderView {
  /** The packet says that it is longer than what is there. */
  truncated = false

  /**
   * Sets the view on the payload of a frame, whose padding is no part of the packet. `false` if it is no IPv4 packet,
   * or its header is not whole.
   */
  at(bytes: Uint8Array, offset: number, length: number): boolean {
    this.truncated = false
    const end = Math.min(offset + length, bytes.length)
    if (end - offset < HEADER || (bytes[offset] as number) >>> 4 !== 4) return this.miss()
    const header = ((bytes[offset] as number) & 0xf) * 4
    const total = u16At(bytes, offset + 2)
    if (header < HEADER || total < header || offset + header > end) return this.miss()
    this.truncated = offset + total > end
    return this.place(bytes, offset, offset + header, Math.min(offset + total, end))
  }

  /** Bytes, options included. */
  get headerLength(): number {
    return this.payloadOffset - this.offset
  }

  /** Differentiated services code point, 0 to 63. */
  get dscp(): number {
    return (this.bytes[this.offset + 1] as number) >>> 2
  }

  set dscp(value: number) {
    this.bytes[this.offset + 1] = (value << 2) | this.ecn
  }

  /** Explicit congestion notification, 0 to 3. */
  get ecn(): number {
    return (this.bytes[this.offset + 1] as number) & 3
  }

  set ecn(value: number) {
    this.bytes[this.offset + 1] = (this.dscp << 2) | (value & 3)
  }

  /** Bytes of the whole packet, as it says itself. */
  get totalLength(): number {
    return u16At(this.bytes, this.offset + 2)
  }

  get identification(): number {
    return u16At(this.bytes, this.offset + 4)
  }

  set identification(value: number) {
    setU16At(this.bytes, this.offset + 4, value)
  }

  get dontFragment(): boolean {
    return (u16At(this.bytes, this.offset + 6) & DONT_FRAGMENT) !== 0
  }

  get moreFragments(): boolean {
    return (u16At(this.bytes, this.offset + 6) & MORE_FRAGMENTS) !== 0
  }

  /** Bytes. */
  get fragmentOffset(): number {
    return (u16At(this.bytes, this.offset + 6) & 0x1fff) * 8
  }

  /** This is one of several fragments. */
  get fragment(): boolean {
    return (u16At(this.bytes, this.offset + 6) & (MORE_FRAGMENTS | 0x1fff)) !== 0
  }

  get ttl(): number {
    return u8At(this.bytes, this.offset + 8)
  }

  set ttl(value: number) {
    this.bytes[this.offset + 8] = value
  }

  /** What the payload is: one of `IPPROTO`. */
  get protocol(): number {
    return u8At(this.bytes, this.offset + 9)
  }

  get checksum(): number {
    return u16At(this.bytes, this.offset + CHECKSUM)
  }

  set checksum(value: number) {
    setU16At(this.bytes, this.offset + CHECKSUM, value)
  }

  get source(): string {
    return ipv4TextAt(this.bytes, this.offset + 12)
  }

  set source(address: string | number) {
    setIpv4At(this.bytes, this.offset + 12, address)
  }

  /** As a number of 32 bits. */
  get sourceNumber(): number {
    return u32At(this.bytes, this.offset + 12)
  }

  get destination(): string {
    return ipv4TextAt(this.bytes, this.offset + 16)
  }

  set destination(address: string | number) {
    setIpv4At(this.bytes, this.offset + 16, address)
  }

  /** As a number of 32 bits. */
  get destinationNumber(): number {
    return u32At(this.bytes, this.offset + 16)
  }

  /** Whether the source is an address of 32 bits; allocates nothing. */
  isFrom(address: number): boolean {
    return s32At(this.bytes, this.offset + 12) === (address | 0)
  }

  /** Whether the destination is an address of 32 bits; allocates nothing. */
  isTo(address: number): boolean {
    return s32At(this.bytes, this.offset + 16) === (address | 0)
  }

  /** The header's checksum is right. */
  get checksumValid(): boolean {
    return internetChecksum(this.bytes, this.offset, this.headerLength) === 0
  }

  /** Computes the header's checksum anew. */
  fillChecksum(): void {
    this.checksum = 0
    this.checksum = internetChecksum(this.bytes, this.offset, this.headerLength)
  }
}
