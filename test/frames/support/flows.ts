/**
 * TCP and UDP frames built field by field: what a host without offloads would send, and the super-frame that one with
 * offloads hands over instead. Knows nothing of what is tested.
 */
import { VnetHeader } from '../../../lib/index.js'
import { checksum } from '../../support/frames.js'

export const TCP_FLAG = { FIN: 0x01, SYN: 0x02, PSH: 0x08, ACK: 0x10, URG: 0x20, ECE: 0x40, CWR: 0x80 } as const

export interface Flow {
  layer?: 'ethernet' | 'ip'
  version: 4 | 6
  protocol: 'tcp' | 'udp'
  sourceMac?: string
  destinationMac?: string
  /** VLAN identifiers; of two, the first is the outer one of 802.1ad. */
  tags?: number[]
  source?: string
  destination?: string
  sourcePort?: number
  destinationPort?: number
  /** IPv4. */
  identification?: number
  dontFragment?: boolean
  ipOptions?: Buffer
  /** IPv6 extension headers in order: type, and bytes without the type of the next. */
  extensions?: [number, Buffer][]
  /** What a routing header in `extensions` leads to. */
  finalDestination?: string
  trafficClass?: number
  hopLimit?: number
  sequence?: number
  acknowledgement?: number
  window?: number
  tcpOptions?: Buffer
}

/** What differs from segment to segment. */
export interface Part {
  identification?: number
  sequence?: number
  flags?: number
}

export interface SuperFrame {
  header: Buffer
  frame: Buffer
}

const PROTOCOL = { tcp: 6, udp: 17 } as const

const hex = (text: string) => Buffer.from(text.replaceAll(':', ''), 'hex')

export function addressBytes(text: string): Buffer {
  if (!text.includes(':')) return Buffer.from(text.split('.').map(Number))
  const [left = '', right] = text.split('::')
  const groups = (part: string) => (part === '' ? [] : part.split(':'))
  const tail = right === undefined ? [] : groups(right)
  const zeros = Array.from({ length: 8 - groups(left).length - tail.length }, () => '0')
  return hex([...groups(left), ...zeros, ...tail].map(group => group.padStart(4, '0')).join(''))
}

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16BE(value & 0xffff)
  return bytes
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value >>> 0)
  return bytes
}

const source = (flow: Flow) => addressBytes(flow.source ?? (flow.version === 4 ? '192.0.2.1' : '2001:db8::1'))
const destination = (flow: Flow) => addressBytes(flow.destination ?? (flow.version === 4 ? '192.0.2.2' : '2001:db8::2'))

function pseudoHeader(flow: Flow, length: number): Buffer {
  const to = flow.finalDestination === undefined ? destination(flow) : addressBytes(flow.finalDestination)
  const protocol = PROTOCOL[flow.protocol]
  const rest = flow.version === 4 ? [Buffer.from([0, protocol]), u16(length)] : [u32(length), u32(protocol)]
  return Buffer.concat([source(flow), to, ...rest])
}

/** Header and payload with 0 for a checksum. */
function transport(flow: Flow, payload: Uint8Array, part: Part): Buffer {
  const { sourcePort = 4000, destinationPort = 5000, window = 501, acknowledgement = 0x01020304 } = flow
  const ports = Buffer.concat([u16(sourcePort), u16(destinationPort)])
  if (flow.protocol === 'udp') return Buffer.concat([ports, u16(8 + payload.length), u16(0), payload])
  const options = flow.tcpOptions ?? Buffer.alloc(0)
  const { flags = TCP_FLAG.ACK, sequence = flow.sequence ?? 0 } = part
  const offset = Buffer.from([(5 + options.length / 4) << 4, flags])
  return Buffer.concat([
    ports,
    u32(sequence),
    u32(acknowledgement),
    offset,
    u16(window),
    u16(0),
    u16(0),
    options,
    payload
  ])
}

/** Everything before TCP or UDP. */
function lower(flow: Flow, length: number, part: Part): Buffer {
  const { trafficClass = 0, hopLimit = 64 } = flow
  const protocol = PROTOCOL[flow.protocol]
  let ip: Buffer
  if (flow.version === 4) {
    const options = flow.ipOptions ?? Buffer.alloc(0)
    const { identification = flow.identification ?? 0 } = part
    ip = Buffer.concat([
      Buffer.from([0x45 + options.length / 4, trafficClass]),
      u16(20 + options.length + length),
      u16(identification),
      u16(flow.dontFragment === false ? 0 : 0x4000),
      Buffer.from([hopLimit, protocol, 0, 0]),
      source(flow),
      destination(flow),
      options
    ])
    ip.writeUInt16BE(checksum(ip), 10)
  } else {
    const types = [...(flow.extensions ?? []).map(([type]) => type), protocol]
    const extensions = (flow.extensions ?? []).map(([, bytes], index) =>
      Buffer.concat([Buffer.from([types[index + 1] as number]), bytes])
    )
    const all = Buffer.concat(extensions)
    ip = Buffer.concat([
      u32((6 << 28) | (trafficClass << 20) | 0x12345),
      u16(all.length + length),
      Buffer.from([types[0] as number, hopLimit]),
      source(flow),
      destination(flow),
      all
    ])
  }
  if (flow.layer === 'ip') return ip
  const tags = (flow.tags ?? []).map((tag, index, { length: count }) =>
    Buffer.concat([u16(count === 2 && index === 0 ? 0x88a8 : 0x8100), u16(tag)])
  )
  return Buffer.concat([
    hex(flow.destinationMac ?? '02:00:00:00:00:02'),
    hex(flow.sourceMac ?? '02:00:00:00:00:01'),
    ...tags,
    u16(flow.version === 4 ? 0x0800 : 0x86dd),
    ip
  ])
}

const checksumAt = (flow: Flow) => (flow.protocol === 'tcp' ? 16 : 6)

/** A frame with right lengths and checksums. */
export function wireFrame(flow: Flow, payload: Uint8Array, part: Part = {}): Buffer {
  const upper = transport(flow, payload, part)
  const sum = checksum(Buffer.concat([pseudoHeader(flow, upper.length), upper]))
  upper.writeUInt16BE(flow.protocol === 'udp' && sum === 0 ? 0xffff : sum, checksumAt(flow))
  return Buffer.concat([lower(flow, upper.length, part), upper])
}

/** The same with a checksum that is left to the receiver, and the virtio-net header that says so. */
export function partialFrame(flow: Flow, payload: Uint8Array, part: Part = {}): SuperFrame {
  const upper = transport(flow, payload, part)
  // The checksum function inverts, and the sum of the pseudo header is to be there as it is.
  const sum = ~checksum(pseudoHeader(flow, upper.length)) & 0xffff
  upper.writeUInt16BE(sum, checksumAt(flow))
  const before = lower(flow, upper.length, part)
  const header = new VnetHeader()
  header.needsChecksum = true
  header.checksumStart = before.length
  header.checksumOffset = checksumAt(flow)
  return { header: Buffer.from(header.bytes), frame: Buffer.concat([before, upper]) }
}

/** A super-frame whose segments carry `size` bytes each. */
export function superFrame(flow: Flow, payload: Uint8Array, size: number, part: Part = {}): SuperFrame {
  const { header: bytes, frame } = partialFrame(flow, payload, part)
  const header = new VnetHeader(bytes)
  header.gsoType = flow.protocol === 'udp' ? 'udpL4' : flow.version === 4 ? 'tcpv4' : 'tcpv6'
  header.ecn = ((part.flags ?? 0) & TCP_FLAG.CWR) !== 0
  header.gsoSize = size
  header.headerLength = frame.length - payload.length
  return { header: bytes, frame }
}

/** What a super-frame is on the wire. */
export function segmentsOf(flow: Flow, payload: Uint8Array, size: number, part: Part = {}): Buffer[] {
  const { flags = TCP_FLAG.ACK, sequence = flow.sequence ?? 0, identification = flow.identification ?? 0 } = part
  const segments: Buffer[] = []
  for (let at = 0; at === 0 || at < payload.length; at += size) {
    const last = at + size >= payload.length
    const cleared = (last ? 0 : TCP_FLAG.FIN | TCP_FLAG.PSH) | (at === 0 ? 0 : TCP_FLAG.CWR)
    segments.push(
      wireFrame(flow, payload.subarray(at, at + size), {
        flags: flags & ~cleared,
        sequence: sequence + at,
        identification: identification + segments.length
      })
    )
  }
  return segments
}

/** Bytes that differ from place to place. */
export function pattern(length: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(length)
  for (let i = 0, state = seed >>> 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    bytes[i] = state >>> 24
  }
  return bytes
}

const TIMESTAMPS = Buffer.from('0101080a0000000100000002', 'hex')
/** A hop-by-hop header with a router alert, a destination options header with padding. */
const HOP_BY_HOP: [number, Buffer] = [0, Buffer.from('00050200000100', 'hex')]
const DESTINATION_OPTIONS: [number, Buffer] = [60, Buffer.from('01010c000000000000000000000000', 'hex')]
const FAR = '2001:db8::77'
/** Two addresses in a source route (type 0), one for a mobile node (type 2), one of segment routing (type 4). */
const SOURCE_ROUTE: [number, Buffer] = [
  43,
  Buffer.concat([Buffer.from('04000200000000', 'hex'), addressBytes('2001:db8::66'), addressBytes(FAR)])
]
const HOME_ADDRESS: [number, Buffer] = [43, Buffer.concat([Buffer.from('02020100000000', 'hex'), addressBytes(FAR)])]
const SEGMENT_ROUTE: [number, Buffer] = [
  43,
  Buffer.concat([Buffer.from('04040101000000', 'hex'), addressBytes(FAR), addressBytes('2001:db8::66')])
]
/** The same with nothing left to visit: the destination is that of the IP header. */
const ROUTE_DONE: [number, Buffer] = [43, Buffer.concat([Buffer.from('02020000000000', 'hex'), addressBytes(FAR)])]

/** Every shape of headers. */
export const FLOWS: Record<string, Flow> = {
  'TCP over IPv4': { version: 4, protocol: 'tcp' },
  'TCP over IPv4 with timestamps': { version: 4, protocol: 'tcp', tcpOptions: TIMESTAMPS },
  'TCP over IPv4 with 40 bytes of options': { version: 4, protocol: 'tcp', tcpOptions: Buffer.alloc(40, 1) },
  'TCP over IPv4 that wraps': { version: 4, protocol: 'tcp', identification: 0xfffe, sequence: 0xfffffff0 },
  'TCP over IPv4 without DF': { version: 4, protocol: 'tcp', dontFragment: false, identification: 7 },
  'TCP over IPv4 with IP options': { version: 4, protocol: 'tcp', ipOptions: Buffer.from('94040000', 'hex') },
  'TCP over IPv4 with all IP options': { version: 4, protocol: 'tcp', ipOptions: Buffer.alloc(40, 1) },
  'TCP over IPv4, tagged': { version: 4, protocol: 'tcp', tags: [0x6007] },
  'TCP over IPv4, tagged twice': { version: 4, protocol: 'tcp', tags: [100, 200] },
  'TCP over IPv4 without Ethernet': { version: 4, protocol: 'tcp', layer: 'ip' },
  'TCP over IPv6': { version: 6, protocol: 'tcp', trafficClass: 0xb9 },
  'TCP over IPv6, tagged': { version: 6, protocol: 'tcp', tags: [5], tcpOptions: TIMESTAMPS },
  'TCP over IPv6, tagged twice': { version: 6, protocol: 'tcp', tags: [5, 6] },
  'TCP over IPv6 without Ethernet': { version: 6, protocol: 'tcp', layer: 'ip' },
  'TCP over IPv6 with extension headers': {
    version: 6,
    protocol: 'tcp',
    extensions: [HOP_BY_HOP, DESTINATION_OPTIONS]
  },
  'TCP over IPv6 with a source route': {
    version: 6,
    protocol: 'tcp',
    extensions: [SOURCE_ROUTE],
    finalDestination: FAR
  },
  'TCP over IPv6 with a home address': {
    version: 6,
    protocol: 'tcp',
    extensions: [HOME_ADDRESS],
    finalDestination: FAR
  },
  'TCP over IPv6 with a segment route': {
    version: 6,
    protocol: 'tcp',
    extensions: [SEGMENT_ROUTE],
    finalDestination: FAR
  },
  'TCP over IPv6 with a route that ended': { version: 6, protocol: 'tcp', extensions: [ROUTE_DONE] },
  'UDP over IPv4': { version: 4, protocol: 'udp', identification: 0x1234 },
  'UDP over IPv4, tagged twice': { version: 4, protocol: 'udp', tags: [1, 2], dontFragment: false },
  'UDP over IPv4 with IP options': { version: 4, protocol: 'udp', ipOptions: Buffer.alloc(8, 1) },
  'UDP over IPv4 without Ethernet': { version: 4, protocol: 'udp', layer: 'ip' },
  'UDP over IPv6': { version: 6, protocol: 'udp' },
  'UDP over IPv6, tagged': { version: 6, protocol: 'udp', tags: [4094] },
  'UDP over IPv6 with extension headers': { version: 6, protocol: 'udp', extensions: [DESTINATION_OPTIONS] },
  'UDP over IPv6 without Ethernet': { version: 6, protocol: 'udp', layer: 'ip' }
}
