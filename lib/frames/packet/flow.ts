/** A hash by which the frames of one connection are kept together. */
import type { EthernetView } from './ethernet.js'
import { s32At, u16At } from './fields.js'
import type { Ipv4View } from './ipv4.js'
import type { Ipv6View } from './ipv6.js'
import type { TcpView } from './tcp.js'
import type { UdpView } from './udp.js'

const ADDRESS_WORDS_IPV6 = 4

/** The headers that tell a flow. */
export interface FlowHeaders {
  ethernet: EthernetView | undefined
  ipv4: Ipv4View | undefined
  ipv6: Ipv6View | undefined
  tcp: TcpView | undefined
  udp: UdpView | undefined
}

/** One word more (the inner loop of MurmurHash3). */
function mix(hash: number, word: number): number {
  const scrambled = Math.imul(word, 0xcc9e2d51)
  const mixed = hash ^ Math.imul((scrambled << 15) | (scrambled >>> 17), 0x1b873593)
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe6546b64) | 0
}

/** Every bit of the input has its say in every bit of the result (MurmurHash3's finalizer). */
function finish(hash: number): number {
  const once = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  const twice = Math.imul(once ^ (once >>> 13), 0xc2b2ae35)
  return (twice ^ (twice >>> 16)) >>> 0
}

function mixAddress(bytes: Uint8Array, at: number, words: number): number {
  let hash = 0
  for (let word = 0; word < words; word++) hash = mix(hash, s32At(bytes, at + 4 * word))
  return hash
}

function mixMac(bytes: Uint8Array, at: number): number {
  return mix(mix(0, u16At(bytes, at)), s32At(bytes, at + 2))
}

/** See `PacketView.flowHash()`. */
export function hashFlow(packet: FlowHeaders, symmetric: boolean): number {
  const { ethernet, ipv4, ipv6 } = packet
  let source = 0
  let destination = 0
  let kind = 0
  if (ipv4) {
    source = mix(0, s32At(ipv4.bytes, ipv4.offset + 12))
    destination = mix(0, s32At(ipv4.bytes, ipv4.offset + 16))
    kind = ipv4.protocol
  } else if (ipv6) {
    source = mixAddress(ipv6.bytes, ipv6.offset + 8, ADDRESS_WORDS_IPV6)
    destination = mixAddress(ipv6.bytes, ipv6.offset + 24, ADDRESS_WORDS_IPV6)
    kind = ipv6.protocol
  } else if (ethernet) {
    source = mixMac(ethernet.bytes, ethernet.offset + 6)
    destination = mixMac(ethernet.bytes, ethernet.offset)
    kind = ethernet.type
  }
  const ports = packet.tcp ?? packet.udp
  if (ports && !(ipv4 ?? ipv6)?.fragment) {
    source = mix(source, ports.sourcePort)
    destination = mix(destination, ports.destinationPort)
  }
  const both = symmetric ? (source + destination) | 0 : mix(source, destination)
  return finish(mix(both, kind))
}
