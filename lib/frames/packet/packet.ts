/** All headers of a frame at once. */
import type { FrameBatch } from '../batch.js'
import { ArpView } from './arp.js'
import { internetChecksum, onesSum } from './checksum.js'
import { EthernetView } from './ethernet.js'
import { hashFlow } from './flow.js'
import { IcmpView } from './icmp.js'
import { Ipv4View } from './ipv4.js'
import { Ipv6View } from './ipv6.js'
import { ETHERTYPE, IPPROTO } from './numbers.js'
import { TcpView } from './tcp.js'
import { UdpView } from './udp.js'

const UDP_HEADER = 8

/**
 * The headers of a frame, each a view that is there if the frame has such a header. One object serves for all frames, one
 * after the other, and nothing is allocated:
 *
 * ```ts
 * const packet = new PacketView()
 * for (let i = 0; i < batch.length; i++) {
 *   if (packet.of(batch, i) && packet.udp?.destinationPort === 53) names++
 * }
 * ```
 *
 * Setting fields leaves checksums as they are; `fillChecksums()` makes them right again.
 */
export class PacketView {
  ethernet: EthernetView | undefined
  arp: ArpView | undefined
  ipv4: Ipv4View | undefined
  ipv6: Ipv6View | undefined
  udp: UdpView | undefined
  tcp: TcpView | undefined
  /** ICMP or, in IPv6, ICMPv6. */
  icmp: IcmpView | undefined
  readonly #ethernet = new EthernetView()
  readonly #arp = new ArpView()
  readonly #ipv4 = new Ipv4View()
  readonly #ipv6 = new Ipv6View()
  readonly #udp = new UdpView()
  readonly #tcp = new TcpView()
  readonly #icmp = new IcmpView()

  /**
   * Sets the view on an Ethernet frame (TAP, macvtap).
   *
   * @returns `false` if it is shorter than an Ethernet header
   */
  at(bytes: Uint8Array, offset: number, length: number): boolean {
    this.#forget()
    const ethernet = this.#ethernet
    if (!ethernet.at(bytes, offset, length)) return false
    this.ethernet = ethernet
    const { type, payloadOffset: at } = ethernet
    const left = ethernet.end - at
    if (type === ETHERTYPE.IPV4) this.#atIpv4(bytes, at, left)
    else if (type === ETHERTYPE.IPV6) this.#atIpv6(bytes, at, left)
    else if (type === ETHERTYPE.ARP && this.#arp.at(bytes, at, left)) this.arp = this.#arp
    return true
  }

  /** Sets the view on a frame of a batch; `false` if it has no such frame, or that is shorter than an Ethernet header. */
  of(batch: FrameBatch, index: number): boolean {
    if (index >= 0 && index < batch.length) {
      return this.at(batch.bytes, batch.offsets[index] as number, batch.lengths[index] as number)
    }
    this.#forget()
    return false
  }

  /**
   * Sets the view on an IP packet without an Ethernet header (TUN).
   *
   * @returns `false` if it is neither IPv4 nor IPv6
   */
  atIp(bytes: Uint8Array, offset: number, length: number): boolean {
    this.#forget()
    this.#atIpv4(bytes, offset, length)
    if (!this.ipv4) this.#atIpv6(bytes, offset, length)
    return this.ipv4 !== undefined || this.ipv6 !== undefined
  }

  /** Type of what IP carries, behind IPv6 extension headers: one of `IPPROTO`; `undefined` without IP. */
  get protocol(): number | undefined {
    return this.ipv4?.protocol ?? this.ipv6?.protocol
  }

  /**
   * A hash of 32 bits over addresses, protocol and ports; of fragments without the ports, of what is not IP over the
   * Ethernet header. Frames of one connection have the same, so that it can choose a queue, a worker or a tunnel's port.
   *
   * @param symmetric the same for both directions
   */
  flowHash(symmetric = false): number {
    return hashFlow(this, symmetric)
  }

  /**
   * Computes the checksums anew: that of the IPv4 header, and that of TCP, UDP, ICMP or ICMPv6 over the whole payload.
   *
   * @returns `false` if the latter was left as it is: a fragment, a packet that is not whole, a route of
   * an unknown kind (IPv6), or another protocol
   */
  fillChecksums(): boolean {
    this.ipv4?.fillChecksum()
    const length = this.#transportLength()
    if (length === 0) return false
    const header = this.udp ?? this.tcp ?? this.icmp
    if (!header) return false
    header.checksum = 0
    const checksum = internetChecksum(header.bytes, header.offset, length, this.#pseudoHeader(length))
    // 0 would say that there is no checksum; in ones' complement it has another face.
    header.checksum = this.udp && checksum === 0 ? 0xffff : checksum
    return true
  }

  /**
   * The same for frames whose virtio-net header says that TCP's or UDP's checksum is still to be completed (NEEDS_CSUM):
   * the field gets the sum of the pseudo-header only.
   *
   * @returns `false` if it was left as it is
   */
  fillPartialChecksums(): boolean {
    this.ipv4?.fillChecksum()
    const header = this.udp ?? this.tcp
    const length = this.#transportLength()
    if (!header || length === 0) return false
    header.checksum = this.#pseudoHeader(length)
    return true
  }

  /**
   * Whether all checksums are right, as far as that can be told: what `fillChecksums()` would leave alone is not looked
   * at, nor is a UDP datagram over IPv4 without one.
   */
  get checksumsValid(): boolean {
    if (this.ipv4 && !this.ipv4.checksumValid) return false
    const header = this.udp ?? this.tcp ?? this.icmp
    const length = this.#transportLength()
    if (!header || length === 0) return true
    if (this.udp?.checksum === 0) return this.ipv4 !== undefined
    return internetChecksum(header.bytes, header.offset, length, this.#pseudoHeader(length)) === 0
  }

  #forget(): void {
    this.ethernet = undefined
    this.arp = undefined
    this.ipv4 = undefined
    this.ipv6 = undefined
    this.udp = undefined
    this.tcp = undefined
    this.icmp = undefined
  }

  #atIpv4(bytes: Uint8Array, offset: number, length: number): void {
    const ip = this.#ipv4
    if (!ip.at(bytes, offset, length)) return
    this.ipv4 = ip
    if (ip.fragmentOffset === 0) this.#atTransport(ip.protocol, IPPROTO.ICMP, bytes, ip.payloadOffset, ip.payloadLength)
  }

  #atIpv6(bytes: Uint8Array, offset: number, length: number): void {
    const ip = this.#ipv6
    if (!ip.at(bytes, offset, length)) return
    this.ipv6 = ip
    if (ip.fragmentOffset === 0) {
      this.#atTransport(ip.protocol, IPPROTO.ICMPV6, bytes, ip.payloadOffset, ip.payloadLength)
    }
  }

  #atTransport(protocol: number, icmp: number, bytes: Uint8Array, offset: number, length: number): void {
    if (protocol === IPPROTO.TCP) {
      if (this.#tcp.at(bytes, offset, length)) this.tcp = this.#tcp
    } else if (protocol === IPPROTO.UDP) {
      if (this.#udp.at(bytes, offset, length)) this.udp = this.#udp
    } else if (protocol === icmp) {
      if (this.#icmp.at(bytes, offset, length)) this.icmp = this.#icmp
    }
  }

  /** Bytes that the transport's checksum covers, or 0 where it cannot be told. */
  #transportLength(): number {
    const { ipv4, ipv6, udp } = this
    const ip = ipv4 ?? ipv6
    if (!ip || ip.truncated || ip.fragment || (ipv6 && ipv6.finalDestinationOffset < 0)) return 0
    if (!udp) return ip.payloadLength
    return udp.length >= UDP_HEADER && udp.length <= ip.payloadLength ? udp.length : 0
  }

  /** Addresses, protocol and length, which the checksums of all but ICMP cover as well (RFC 8200, 8.1). */
  #pseudoHeader(length: number): number {
    const { ipv4, ipv6 } = this
    if (ipv4) {
      return ipv4.protocol === IPPROTO.ICMP ? 0 : onesSum(ipv4.bytes, ipv4.offset + 12, 8, ipv4.protocol + length)
    }
    if (!ipv6) return 0
    const source = onesSum(ipv6.bytes, ipv6.offset + 8, 16, ipv6.protocol + length)
    return onesSum(ipv6.bytes, ipv6.finalDestinationOffset, 16, source)
  }
}
