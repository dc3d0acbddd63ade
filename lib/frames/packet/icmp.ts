/** ICMP and ICMPv6 headers. */
import { setU16At, u8At, u16At } from './fields.js'
import { HeaderView } from './header-view.js'

const HEADER = 8

/** Setting a field leaves the checksum as it is: see `PacketView.fillChecksums()`. */
export class IcmpView extends HeaderView {
  /** Sets the view on the payload of an IP packet; `false` if the header is not whole. */
  at(bytes: Uint8Array, offset: number, length: number): boolean {
    const end = Math.min(offset + length, bytes.length)
    if (end - offset < HEADER) return this.miss()
    return this.place(bytes, offset, offset + HEADER, end)
  }

  get type(): number {
    return u8At(this.bytes, this.offset)
  }

  set type(value: number) {
    this.bytes[this.offset] = value
  }

  get code(): number {
    return u8At(this.bytes, this.offset + 1)
  }

  set code(value: number) {
    this.bytes[this.offset + 1] = value
  }

  get checksum(): number {
    return u16At(this.bytes, this.offset + 2)
  }

  set checksum(value: number) {
    setU16At(this.bytes, this.offset + 2, value)
  }

  /** Of an echo request or reply. */
  get identifier(): number {
    return u16At(this.bytes, this.offset + 4)
  }

  /** Of an echo request or reply. */
  get sequence(): number {
    return u16At(this.bytes, this.offset + 6)
  }
}
