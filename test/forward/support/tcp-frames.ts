/** TCP in Ethernet frames, as the kernel leaves them to a card. */
import { checksum } from '../../support/frames.js'

const ETHERNET = 14
const TCP = 20

/** What the checksum field holds while the checksum is not computed: the sum of the pseudo header. */
function pseudoSum(addresses: Buffer, length: number, protocol: number): number {
  const rest = Buffer.alloc(8)
  rest.writeUInt32BE(length, 0)
  rest.writeUInt32BE(protocol, 4)
  return ~checksum(Buffer.concat([addresses, rest])) & 0xffff
}

/** A frame with a TCP segment, whose checksum is not computed. */
export function unfinishedTcp(version: 4 | 6, payload: Buffer, tag?: number): Buffer {
  const tcp = Buffer.alloc(TCP)
  tcp.writeUInt16BE(1000, 0)
  tcp.writeUInt16BE(2000, 2)
  tcp.writeUInt32BE(1, 4)
  tcp.writeUInt32BE(1, 8)
  tcp.writeUInt16BE(0x5018, 12)
  tcp.writeUInt16BE(1000, 14)
  const ip = Buffer.alloc(version === 4 ? 20 : 40)
  const length = TCP + payload.length
  if (version === 4) {
    ip.writeUInt16BE(0x4500, 0)
    ip.writeUInt16BE(ip.length + length, 2)
    ip.writeUInt16BE(0x4000, 6)
    ip.writeUInt16BE(0x4006, 8)
    Buffer.from([10, 7, 0, 1, 10, 7, 0, 2]).copy(ip, 12)
    ip.writeUInt16BE(checksum(ip), 10)
  } else {
    ip.writeUInt8(0x60, 0)
    ip.writeUInt16BE(length, 4)
    ip.writeUInt16BE(0x0640, 6)
    ip.writeUInt16BE(0xfd07, 8)
    ip.writeUInt8(1, 23)
    ip.writeUInt16BE(0xfd07, 24)
    ip.writeUInt8(2, 39)
  }
  tcp.writeUInt16BE(pseudoSum(ip.subarray(version === 4 ? 12 : 8, version === 4 ? 20 : 40), length, 6), 16)
  const tagged = tag === undefined ? Buffer.alloc(0) : Buffer.from([0x81, 0, tag >> 8, tag & 0xff])
  const type = Buffer.from(version === 4 ? [0x08, 0x00] : [0x86, 0xdd])
  return Buffer.concat([Buffer.from('020000000002020000000001', 'hex'), tagged, type, ip, tcp, payload])
}

export interface ParsedTcp {
  sequence: number
  payload: Buffer
  /** Whether the checksums of IPv4 and TCP are right. */
  right: boolean
}

/** Takes such a frame apart. */
export function parseTcp(frame: Buffer): ParsedTcp {
  const at = frame.readUInt16BE(12) === 0x8100 ? ETHERNET + 4 : ETHERNET
  const ipv4 = frame.readUInt16BE(at - 2) === 0x0800
  const ip = frame.subarray(at, at + (ipv4 ? 20 : 40))
  const tcp = frame.subarray(at + ip.length)
  const sum = ~pseudoSum(ip.subarray(ipv4 ? 12 : 8, ipv4 ? 20 : 40), tcp.length, 6) & 0xffff
  const pseudo = Buffer.alloc(2)
  pseudo.writeUInt16BE(~sum & 0xffff, 0)
  const lengthSaid = ipv4 ? ip.readUInt16BE(2) - 20 : ip.readUInt16BE(4)
  return {
    sequence: tcp.readUInt32BE(4),
    payload: tcp.subarray(TCP),
    right: checksum(Buffer.concat([pseudo, tcp])) === 0 && (!ipv4 || checksum(ip) === 0) && lengthSaid === tcp.length
  }
}
