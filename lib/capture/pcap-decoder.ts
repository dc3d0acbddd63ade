/** Files in the classic format (draft-ietf-opsawg-pcap): one interface, one header a frame. */
import type { ByteQueue } from './byte-queue.js'
import {
  type DecodedPacket,
  type Decoder,
  LONGEST_FRAME,
  malformed,
  type RecordedInterface,
  truncated
} from './decoder.js'

export const PCAP_MAGIC = { MICROSECONDS: 0xa1b2c3d4, NANOSECONDS: 0xa1b23c4d } as const

const FILE_HEADER = 24
const PACKET_HEADER = 16

export class PcapDecoder implements Decoder {
  readonly #queue: ByteQueue
  readonly #littleEndian: boolean
  readonly #fraction: bigint
  #interface: RecordedInterface | undefined

  /** @param littleEndian the order in which the magic number made sense */
  constructor(queue: ByteQueue, littleEndian: boolean, nanoseconds: boolean) {
    this.#queue = queue
    this.#littleEndian = littleEndian
    this.#fraction = nanoseconds ? 1n : 1000n
  }

  next(packet: DecodedPacket): boolean {
    const queue = this.#queue
    this.#interface ??= this.#readHeader()
    if (!this.#interface || queue.length < PACKET_HEADER) return false
    const { data, start, position } = queue
    const length = data.getUint32(start + 8, this.#littleEndian)
    if (length > LONGEST_FRAME) throw malformed(position + 8, `a frame of ${length} bytes`)
    if (queue.length < PACKET_HEADER + length) return false
    packet.interface = this.#interface
    const seconds = BigInt(data.getUint32(start, this.#littleEndian))
    const fraction = BigInt(data.getUint32(start + 4, this.#littleEndian))
    packet.timestamp = seconds * 1_000_000_000n + fraction * this.#fraction
    packet.bytes = queue.bytes
    packet.offset = start + PACKET_HEADER
    packet.length = length
    packet.originalLength = Math.max(length, data.getUint32(start + 12, this.#littleEndian))
    packet.flags = 0
    packet.dropped = 0
    packet.comment = undefined
    queue.take(PACKET_HEADER + length)
    return true
  }

  end(): void {
    if (!this.#interface || this.#queue.length > 0) throw truncated(this.#queue.position)
  }

  #readHeader(): RecordedInterface | undefined {
    const queue = this.#queue
    if (queue.length < FILE_HEADER) return undefined
    const { data, start } = queue
    const major = data.getUint16(start + 4, this.#littleEndian)
    if (major !== 2) throw malformed(4, `version ${major} of the format`)
    const link = data.getUint32(start + 20, this.#littleEndian)
    const header: RecordedInterface = {
      id: 0,
      name: undefined,
      description: undefined,
      comment: undefined,
      linkType: link & 0xffff,
      snapLength: data.getUint32(start + 16, this.#littleEndian),
      // Four bits count words of two bytes, if the bit above says that they do.
      fcsLength: link & 0x0400_0000 ? (link >>> 28) * 2 : 0,
      statistics: undefined
    }
    queue.take(FILE_HEADER)
    return header
  }
}
