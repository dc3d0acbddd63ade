/** Ethernet, ARP, IPv4 and ICMP, as much as tests need: to build frames, to take them apart, to answer them. */

export const ETHERTYPE = { ipv4: 0x0800, arp: 0x0806, ipv6: 0x86dd } as const
export const BROADCAST = 'ff:ff:ff:ff:ff:ff'

const ARP_REQUEST = 1
const ARP_REPLY = 2
const ICMP = 1
const UDP = 17
const ECHO_REPLY = 0
const ECHO_REQUEST = 8

/** Who answers. */
export interface Host {
  mac: string
  ip: string
}

export interface Ethernet {
  destination: string
  source: string
  type: number
  payload: Buffer
}

export interface Arp {
  operation: number
  senderMac: string
  senderIp: string
  targetMac: string
  targetIp: string
}

export interface Ipv4 {
  source: string
  destination: string
  protocol: number
  payload: Buffer
}

const macBytes = (mac: string) => Buffer.from(mac.replaceAll(':', ''), 'hex')
const macText = (bytes: Buffer) => (bytes.toString('hex').match(/../g) ?? []).join(':')
const ipBytes = (ip: string) => Buffer.from(ip.split('.').map(Number))
const ipText = (bytes: Buffer) => [...bytes].join('.')

export function ethernet(destination: string, source: string, type: number, payload: Uint8Array): Buffer {
  const frame = Buffer.concat([macBytes(destination), macBytes(source), Buffer.alloc(2), payload])
  frame.writeUInt16BE(type, 12)
  return frame
}

export function parseEthernet(frame: Buffer): Ethernet {
  return {
    destination: macText(frame.subarray(0, 6)),
    source: macText(frame.subarray(6, 12)),
    type: frame.readUInt16BE(12),
    payload: frame.subarray(14)
  }
}

function arp(operation: number, sender: Host, target: Host): Buffer {
  const head = Buffer.from([0, 1, 8, 0, 6, 4, 0, operation])
  return Buffer.concat([head, macBytes(sender.mac), ipBytes(sender.ip), macBytes(target.mac), ipBytes(target.ip)])
}

/** "Who has this address?", to everybody. */
export function arpRequest(sender: Host, ip: string): Buffer {
  return ethernet(BROADCAST, sender.mac, ETHERTYPE.arp, arp(ARP_REQUEST, sender, { mac: '00:00:00:00:00:00', ip }))
}

/** `undefined` for frames that are not ARP. */
export function parseArp(frame: Buffer): Arp | undefined {
  const { type, payload } = parseEthernet(frame)
  if (type !== ETHERTYPE.arp || payload.length < 28) return undefined
  return {
    operation: payload.readUInt16BE(6),
    senderMac: macText(payload.subarray(8, 14)),
    senderIp: ipText(payload.subarray(14, 18)),
    targetMac: macText(payload.subarray(18, 24)),
    targetIp: ipText(payload.subarray(24, 28))
  }
}

/** The Internet checksum (RFC 1071): 0 over data that carries a right one. */
export function checksum(data: Buffer): number {
  let sum = 0
  for (let at = 0; at + 1 < data.length; at += 2) sum += data.readUInt16BE(at)
  if (data.length % 2) sum += (data.at(-1) as number) << 8
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return ~sum & 0xffff
}

export function ipv4(source: string, destination: string, protocol: number, payload: Uint8Array): Buffer {
  const header = Buffer.alloc(20)
  header[0] = 0x45
  header.writeUInt16BE(20 + payload.length, 2)
  header[8] = 64
  header[9] = protocol
  ipBytes(source).copy(header, 12)
  ipBytes(destination).copy(header, 16)
  header.writeUInt16BE(checksum(header), 10)
  return Buffer.concat([header, payload])
}

/** `undefined` for packets that are not whole IPv4 packets with a right checksum. */
export function parseIpv4(packet: Buffer): Ipv4 | undefined {
  if (packet.length < 20 || (packet.readUInt8(0) & 0xf0) !== 0x40) return undefined
  const header = packet.subarray(0, (packet.readUInt8(0) & 0xf) * 4)
  if (checksum(header) !== 0) return undefined
  return {
    source: ipText(packet.subarray(12, 16)),
    destination: ipText(packet.subarray(16, 20)),
    protocol: packet.readUInt8(9),
    payload: packet.subarray(header.length, packet.readUInt16BE(2))
  }
}

/** A UDP datagram without a checksum, which IPv4 allows. */
export function udp(sourcePort: number, destinationPort: number, data: Uint8Array): Buffer {
  const header = Buffer.alloc(8)
  header.writeUInt16BE(sourcePort, 0)
  header.writeUInt16BE(destinationPort, 2)
  header.writeUInt16BE(8 + data.length, 4)
  return Buffer.concat([header, data])
}

/** A whole frame with a UDP datagram in it. */
export function udpFrame(from: Host, to: Host, port: number, data: Uint8Array): Buffer {
  return ethernet(to.mac, from.mac, ETHERTYPE.ipv4, ipv4(from.ip, to.ip, UDP, udp(port, port, data)))
}

/** The echo reply to a packet that asks `ip` for one; `undefined` for all others. */
export function answerPacket(packet: Buffer, ip: string): Buffer | undefined {
  const parsed = parseIpv4(packet)
  if (!parsed || parsed.destination !== ip || parsed.protocol !== ICMP) return undefined
  if (parsed.payload[0] !== ECHO_REQUEST || checksum(parsed.payload) !== 0) return undefined
  const reply = Buffer.from(parsed.payload)
  reply[0] = ECHO_REPLY
  reply.writeUInt16BE(0, 2)
  reply.writeUInt16BE(checksum(reply), 2)
  return ipv4(ip, parsed.source, ICMP, reply)
}

/** What a host answers to a frame: ARP requests for its address and ICMP echo requests to it. */
export function answerFrame(frame: Buffer, self: Host): Buffer | undefined {
  const { source, destination, type, payload } = parseEthernet(frame)
  const asked = parseArp(frame)
  if (asked) {
    if (asked.operation !== ARP_REQUEST || asked.targetIp !== self.ip) return undefined
    const to = { mac: asked.senderMac, ip: asked.senderIp }
    return ethernet(source, self.mac, ETHERTYPE.arp, arp(ARP_REPLY, self, to))
  }
  if (type !== ETHERTYPE.ipv4 || destination !== self.mac) return undefined
  const reply = answerPacket(payload, self.ip)
  return reply && ethernet(source, self.mac, ETHERTYPE.ipv4, reply)
}
