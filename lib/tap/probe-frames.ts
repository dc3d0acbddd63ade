/** Frames that a kernel is tried out with. */
import type { FrameBatch } from '../frames/batch.js'
import { ETHERTYPE, IPPROTO, TCP_FLAG } from '../frames/packet/numbers.js'
import { PacketView } from '../frames/packet/packet.js'
import { VnetHeader } from '../frames/vnet-header.js'

export interface ProbeFrame {
  version: 4 | 6
  protocol: 'tcp' | 'udp'
  /** Bytes of payload. */
  payload: number
  /** Bytes of payload in each segment of a super-frame; left out for a frame that is none. */
  segment?: number
  /** TCP says that the window was reduced, in the first segment only. */
  cwr?: boolean
}

/** From a locally administered address to another. */
const MACS = [0x02, 0, 0, 0, 0x0f, 0xfe, 0x02, 0, 0, 0, 0x0f, 0x0f]
/** 192.0.2.1 to 192.0.2.2, and 2001:db8::1 to 2001:db8::2: for documentation, nobody's. */
const ADDRESSES = {
  4: [192, 0, 2, 1, 192, 0, 2, 2],
  6: [0x20, 0x01, 0x0d, 0xb8, ...zeros(11), 1, 0x20, 0x01, 0x0d, 0xb8, ...zeros(11), 2]
}
const ETHERNET = 14
const IP = { 4: 20, 6: 40 }
const TRANSPORT = { tcp: 20, udp: 8 }
const CHECKSUM = { tcp: 16, udp: 6 }

/** Whether a frame is one of these; a namespace of one's own is not silent. */
export function isProbeFrame(frame: Uint8Array): boolean {
  return MACS.every((byte, index) => frame[index] === byte)
}

/**
 * Adds a frame to a batch with virtio-net headers.
 *
 * @param partial the checksum is left to the receiver; else it is there, and said to be right (`dataValid`)
 * @returns whether there was room
 */
export function pushProbeFrame(batch: FrameBatch, frame: ProbeFrame, partial: boolean): boolean {
  const { version, protocol, payload, segment } = frame
  const transport = ETHERNET + IP[version]
  const headers = transport + TRANSPORT[protocol]
  const offset = batch.allocate(headers + payload)
  if (offset < 0) return false
  const bytes = batch.frame(batch.length - 1)
  // Of a length that is prime, so that no segment is like another.
  for (let at = headers; at < bytes.length; at++) bytes[at] = (at - headers) % 251
  bytes.set(version === 4 ? ipv4Header(frame) : ipv6Header(frame), ETHERNET)
  bytes.set(protocol === 'tcp' ? tcpHeader(frame) : udpHeader(frame), transport)
  bytes.set([...MACS, ...u16(version === 4 ? ETHERTYPE.IPV4 : ETHERTYPE.IPV6)])
  const header = new VnetHeader(batch.vnetHeaderBytes(batch.length - 1))
  const packet = new PacketView()
  packet.at(bytes, 0, bytes.length)
  header.needsChecksum = partial
  header.dataValid = !partial
  if (!partial) {
    packet.fillChecksums()
    return true
  }
  packet.fillPartialChecksums()
  header.checksumStart = transport
  header.checksumOffset = CHECKSUM[protocol]
  if (segment === undefined) return true
  header.gsoType = protocol === 'udp' ? 'udpL4' : version === 4 ? 'tcpv4' : 'tcpv6'
  header.ecn = frame.cwr === true
  header.gsoSize = segment
  header.headerLength = headers
  return true
}

function ipv4Header({ protocol, payload }: ProbeFrame): number[] {
  const length = IP[4] + TRANSPORT[protocol] + payload
  const dontFragment = 0x40
  return [0x45, 0, ...u16(length), 0x12, 0x34, dontFragment, 0, 64, number(protocol), 0, 0, ...ADDRESSES[4]]
}

function ipv6Header({ protocol, payload }: ProbeFrame): number[] {
  return [0x60, 0, 0, 0, ...u16(TRANSPORT[protocol] + payload), number(protocol), 64, ...ADDRESSES[6]]
}

function tcpHeader({ cwr }: ProbeFrame): number[] {
  const flags = TCP_FLAG.ACK | TCP_FLAG.PSH | (cwr ? TCP_FLAG.CWR : 0)
  // Sequence numbers that wrap.
  return [...PORTS, 0xff, 0xff, 0xfe, 0, 0, 0, 0, 1, (TRANSPORT.tcp / 4) << 4, flags, 0xff, 0xff, 0, 0, 0, 0]
}

function udpHeader({ payload }: ProbeFrame): number[] {
  return [...PORTS, ...u16(TRANSPORT.udp + payload), 0, 0]
}

const PORTS = [0x12, 0x34, 0x56, 0x78]

function number(protocol: ProbeFrame['protocol']): number {
  return protocol === 'tcp' ? IPPROTO.TCP : IPPROTO.UDP
}

function u16(value: number): [number, number] {
  return [value >>> 8, value & 0xff]
}

function zeros(count: number): number[] {
  return Array<number>(count).fill(0)
}
