/** IPv6 headers and their extension headers. */
import { IPV6_BYTES, ipv6TextAt, setIpv6At } from './addresses.js'
import { setU32At, u8At, u16At, u32At } from './fields.js'
import { HeaderView } from './header-view.js'
import { IPPROTO } from './numbers.js'

const HEADER = 40
const SOURCE = 8
const DESTINATION = 24
/** Chains that are longer are followed no further: they are made to keep somebody busy. */
const MOST_EXTENSIONS = 12

/** The payload of the view begins behind the extension headers. */
export class Ipv6View extends HeaderView {
  /** What follows the extension headers: one of `IPPROTO`. */
  protocol = 0
  /** The packet says that it is longer than what is there. */
  truncated = false
  /** This is one of several fragments. */
  fragment = false
  /** Where in the whole payload this fragment begins, in bytes. */
  fragmentOffset = 0
  /**
   * Where in `bytes` the destination is that checksums cover: the last one of a routing header that has some left to
   * visit; -1 if its kind is not known. @internal
   */
  finalDestinationOffset = 0

  /**
   * Sets the view on the payload of a frame, whose padding is no part of the packet. `false` if it is no IPv6 packet,
   * or its header is not whole.
   */
  at(bytes: Uint8Array, offset: number, length: number): boolean {
    this.protocol = 0
    this.truncated = false
    this.fragment = false
    this.fragmentOffset = 0
    this.finalDestinationOffset = offset + DESTINATION
    const end = Math.min(offset + length, bytes.length)
    if (end - offset < HEADER || (bytes[offset] as number) >>> 4 !== 6) return this.miss()
    const stated = offset + HEADER + u16At(bytes, offset + 4)
    this.truncated = stated > end
    this.protocol = bytes[offset + 6] as number
    this.place(bytes, offset, offset + HEADER, Math.min(stated, end))
    let extensions = 0
    while (extensions < MOST_EXTENSIONS && this.#skipExtension()) extensions++
    return true
  }

  /** Moves the payload behind the extension header that it begins with, if that is whole. */
  #skipExtension(): boolean {
    const { bytes, payloadOffset: at, end, protocol } = this
    // The length of most is at their second byte; eight bytes is the shortest.
    if (end - at < 8 || this.fragmentOffset > 0) return false
    let length = ((bytes[at + 1] as number) + 1) * 8
    if (protocol === IPPROTO.FRAGMENT) length = 8
    else if (protocol === IPPROTO.AH) length = ((bytes[at + 1] as number) + 2) * 4
    else if (protocol !== IPPROTO.HOPOPTS && protocol !== IPPROTO.ROUTING && protocol !== IPPROTO.DSTOPTS) return false
    if (at + length > end) return false
    if (protocol === IPPROTO.FRAGMENT) {
      const field = u16At(bytes, at + 2)
      this.fragmentOffset = field & 0xfff8
      // Whole packets may carry this header too (RFC 6946).
      this.fragment = (field & 0xfff9) !== 0
    } else if (protocol === IPPROTO.ROUTING && bytes[at + 3] !== 0) {
      this.finalDestinationOffset = lastOfRoute(bytes[at + 2] as number, at, length)
    }
    this.protocol = bytes[at] as number
    this.payloadOffset = at + length
    return true
  }

  /** Bytes, extension headers included. */
  get headerLength(): number {
    return this.payloadOffset - this.offset
  }

  /** The first byte is the version's; the class lies across two. */
  get trafficClass(): number {
    return (u16At(this.bytes, this.offset) >>> 4) & 0xff
  }

  set trafficClass(value: number) {
    const word = u32At(this.bytes, this.offset)
    setU32At(this.bytes, this.offset, (word & ~0x0ff0_0000) | ((value & 0xff) << 20))
  }

  /** 20 bits. */
  get flowLabel(): number {
    return u32At(this.bytes, this.offset) & 0xf_ffff
  }

  /** Type of the header that follows first, which may be an extension header. */
  get nextHeader(): number {
    return u8At(this.bytes, this.offset + 6)
  }

  get hopLimit(): number {
    return u8At(this.bytes, this.offset + 7)
  }

  set hopLimit(value: number) {
    this.bytes[this.offset + 7] = value
  }

  get source(): string {
    return ipv6TextAt(this.bytes, this.offset + SOURCE)
  }

  /** As text, or as 16 bytes. */
  set source(address: string | Uint8Array) {
    setIpv6At(this.bytes, this.offset + SOURCE, address)
  }

  get destination(): string {
    return ipv6TextAt(this.bytes, this.offset + DESTINATION)
  }

  /** As text, or as 16 bytes. */
  set destination(address: string | Uint8Array) {
    setIpv6At(this.bytes, this.offset + DESTINATION, address)
  }

  /** Whether the source is an address of 16 bytes; allocates nothing. */
  isFrom(address: Uint8Array): boolean {
    return this.#equals(SOURCE, address)
  }

  /** Whether the destination is an address of 16 bytes; allocates nothing. */
  isTo(address: Uint8Array): boolean {
    return this.#equals(DESTINATION, address)
  }

  #equals(field: number, address: Uint8Array): boolean {
    const at = this.offset + field
    for (let byte = 0; byte < IPV6_BYTES; byte++) if (this.bytes[at + byte] !== address[byte]) return false
    return true
  }
}

/** Types of routing headers. */
const ROUTE = { SOURCE: 0, HOME_ADDRESS: 2, SEGMENTS: 4 }
const ROUTE_HEADER = 8

/** Where the last destination of a routing header is. */
function lastOfRoute(type: number, at: number, length: number): number {
  if (length < ROUTE_HEADER + IPV6_BYTES) return -1
  if (type === ROUTE.SOURCE || type === ROUTE.HOME_ADDRESS) return at + length - IPV6_BYTES
  // Segments are listed from the last to the first (RFC 8754), and others may follow them.
  return type === ROUTE.SEGMENTS ? at + ROUTE_HEADER : -1
}
