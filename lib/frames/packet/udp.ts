/** UDP headers. */
import { setU16At, u16At } from './fields.js'
import { HeaderView } from './header-view.js'

const HEADER = 8

/** Setting a field leaves the checksum as it is: see `PacketView.fillChecksums()`. */
export class UdpView extends HeaderView {
  /** Sets the view on the payload of an IP packet; `false` if the header is not whole. */
  at(bytes: Uint8Array, offset: number, length: number): boolean {
    const end = Math.min(offset + length, bytes.length)
    if (end - offset < HEADER) return this.miss()
    return this.place(bytes, offset, offset + HEADER, end)
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

  /** Bytes of header and data, as the datagram says itself. */
  get length(): number {
    return u16At(this.bytes, this.offset + 4)
  }

  /** 0 says that there is none. */
  get checksum(): number {
    return u16At(this.bytes, this.offset + 6)
  }

  set checksum(value: number) {
    setU16At(this.bytes, this.offset + 6, value)
  }
}
