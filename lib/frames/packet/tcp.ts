/** TCP headers. */
import { setU16At, setU32At, u8At, u16At, u32At } from './fields.js'
import { HeaderView } from './header-view.js'
import { TCP_FLAG } from './numbers.js'

const HEADER = 20
const OPTION = { END: 0, NOP: 1, MSS: 2 }

/** Setting a field leaves the checksum as it is: see `PacketView.fillChecksums()`. */
export class TcpView extends HeaderView {
  /** Sets the view on the payload of an IP packet; `false` if the header, options included, is not whole. */
  at(bytes: Uint8Array, offset: number, length: number): boolean {
    const end = Math.min(offset + length, bytes.length)
    if (end - offset < HEADER) return this.miss()
    const header = ((bytes[offset + 12] as number) >>> 4) * 4
    if (header < HEADER || offset + header > end) return this.miss()
    return this.place(bytes, offset, offset + header, end)
  }

  /** Bytes, options included. */
  get headerLength(): number {
    return this.payloadOffset - this.offset
  }

  get sourcePort(): number {
    return u16At(this.bytes, this.offset)
  }

  set sourcePort(port: number) {
    setU16At(this.bytes, this.offset, port)
  }

  get destinationPort(): number {
    return u16At(this.bytes, this.offset + 2)
  }

  set destinationPort(port: number) {
    setU16At(this.bytes, this.offset + 2, port)
  }

  get sequence(): number {
    return u32At(this.bytes, this.offset + 4)
  }

  set sequence(value: number) {
    setU32At(this.bytes, this.offset + 4, value)
  }

  get acknowledgement(): number {
    return u32At(this.bytes, this.offset + 8)
  }

  set acknowledgement(value: number) {
    setU32At(this.bytes, this.offset + 8, value)
  }

  /** Bits of `TCP_FLAG`. */
  get flags(): number {
    return u8At(this.bytes, this.offset + 13)
  }

  set flags(value: number) {
    this.bytes[this.offset + 13] = value
  }

  get syn(): boolean {
    return (this.flags & TCP_FLAG.SYN) !== 0
  }

  get ack(): boolean {
    return (this.flags & TCP_FLAG.ACK) !== 0
  }

  get fin(): boolean {
    return (this.flags & TCP_FLAG.FIN) !== 0
  }

  get rst(): boolean {
    return (this.flags & TCP_FLAG.RST) !== 0
  }

  get psh(): boolean {
    return (this.flags & TCP_FLAG.PSH) !== 0
  }

  /** Not scaled. */
  get window(): number {
    return u16At(this.bytes, this.offset + 14)
  }

  set window(value: number) {
    setU16At(this.bytes, this.offset + 14, value)
  }

  get checksum(): number {
    return u16At(this.bytes, this.offset + 16)
  }

  set checksum(value: number) {
    setU16At(this.bytes, this.offset + 16, value)
  }

  get urgentPointer(): number {
    return u16At(this.bytes, this.offset + 18)
  }

  /** Longest segment that the sender takes (of a SYN), `undefined` if it does not say. */
  get maximumSegmentSize(): number | undefined {
    const at = this.#maximumSegmentSizeAt()
    return at < 0 ? undefined : u16At(this.bytes, at)
  }

  /** Lowers what a SYN says of the longest segment to what fits through a tunnel; `false` if nothing was changed. */
  clampMaximumSegmentSize(most: number): boolean {
    const at = this.#maximumSegmentSizeAt()
    if (at < 0 || u16At(this.bytes, at) <= most) return false
    setU16At(this.bytes, at, most)
    return true
  }

  #maximumSegmentSizeAt(): number {
    const { bytes, payloadOffset: end } = this
    for (let at = this.offset + HEADER; at < end; ) {
      const kind = bytes[at] as number
      if (kind === OPTION.END) return -1
      if (kind === OPTION.NOP) {
        at++
        continue
      }
      const length = at + 1 < end ? (bytes[at + 1] as number) : 0
      if (length < 2 || at + length > end) return -1
      if (kind === OPTION.MSS && length === 4) return at + 2
      at += length
    }
    return -1
  }
}
