/** Files in pcapng: sections of blocks, in the byte order of whoever wrote them. */
import type { ByteQueue } from './byte-queue.js'
import {
  type DecodedPacket,
  type Decoder,
  LONGEST_FRAME,
  malformed,
  type RecordedInterface,
  truncated
} from './decoder.js'
import { BLOCK, BLOCK_OVERHEAD, BYTE_ORDER_MAGIC, OPTION, PACKET_OVERHEAD, padded } from './pcapng.js'

/** Longest block that is decoded: a frame of the longest kind with comments, or an interface that says much of itself. */
const LONGEST_BLOCK = 0x10_0000
const SECTION_HEADER = 28
const INTERFACE_HEADER = 20
const STATISTICS_HEADER = 24
const SIMPLE_PACKET_HEADER = 16
/** What is kept of an interface for as long as a section lasts is limited. */
const MOST_INTERFACES = 65_536
const LONGEST_NAME = 1024
const NANOSECONDS_OF_SECOND = 1_000_000_000n
const MICROSECONDS = 6

/** How to make nanoseconds of an interface's ticks. */
interface Clock {
  multiplier: bigint
  divisor: bigint
  offset: bigint
}

interface Described extends RecordedInterface {
  readonly clock: Clock
}

const decoder = new TextDecoder()

export class PcapngDecoder implements Decoder {
  readonly #queue: ByteQueue
  #littleEndian = true
  #interfaces: Described[] = []
  /** Length of a block that is being skipped, whose end is still to be checked. */
  #skipped = 0
  /** Where the block begins that is looked at. */
  #block = 0

  constructor(queue: ByteQueue) {
    this.#queue = queue
  }

  next(packet: DecodedPacket): boolean {
    const queue = this.#queue
    while (true) {
      if (this.#skipped > 0) {
        if (queue.missing > 0 || queue.length < 4) return false
        this.#checkTrailer(queue.start, this.#skipped)
        queue.take(4)
        this.#skipped = 0
      }
      this.#block = queue.position
      if (queue.length < BLOCK_OVERHEAD) return false
      const type = this.#u32(queue.start)
      if (type === BLOCK.SECTION) this.#readByteOrder()
      const length = this.#u32(queue.start + 4)
      if (length < BLOCK_OVERHEAD || length % 4 !== 0) throw malformed(this.#block + 4, `a block of ${length} bytes`)
      if (!isDecoded(type)) {
        queue.skip(length - 4)
        this.#skipped = length
        continue
      }
      if (length > LONGEST_BLOCK) throw malformed(this.#block + 4, `a block of type ${type} and ${length} bytes`)
      if (queue.length < length) return false
      this.#checkTrailer(queue.start + length - 4, length)
      const isPacket = this.#readBlock(type, queue.start, length, packet)
      queue.take(length)
      if (isPacket) return true
    }
  }

  end(): void {
    if (this.#skipped > 0 || this.#queue.length > 0) throw truncated(this.#block)
  }

  #u16(at: number): number {
    return this.#queue.data.getUint16(at, this.#littleEndian)
  }

  #u32(at: number): number {
    return this.#queue.data.getUint32(at, this.#littleEndian)
  }

  /** A section may have been written by another machine than the one before. */
  #readByteOrder(): void {
    const { data, start } = this.#queue
    const magic = data.getUint32(start + 8, true)
    this.#littleEndian = magic === BYTE_ORDER_MAGIC
    if (!this.#littleEndian && data.getUint32(start + 8, false) !== BYTE_ORDER_MAGIC) {
      throw malformed(this.#block + 8, 'no byte-order magic')
    }
  }

  #checkTrailer(at: number, length: number): void {
    if (this.#u32(at) === length) return
    throw malformed(this.#block, `two lengths (${length} and ${this.#u32(at)}) of the block`)
  }

  /** Whether it is a frame. */
  #readBlock(type: number, start: number, length: number, packet: DecodedPacket): boolean {
    switch (type) {
      case BLOCK.SECTION:
        this.#readSection(start, length)
        return false
      case BLOCK.INTERFACE:
        this.#readInterface(start, length)
        return false
      case BLOCK.STATISTICS:
        this.#readStatistics(start, length)
        return false
      case BLOCK.SIMPLE_PACKET:
        this.#readSimplePacket(start, length, packet)
        return true
      default:
        this.#readPacket(type === BLOCK.PACKET, start, length, packet)
        return true
    }
  }

  #readSection(start: number, length: number): void {
    this.#need(length, SECTION_HEADER, 'section header')
    const major = this.#u16(start + 12)
    const minor = this.#u16(start + 14)
    if (major !== 1 || (minor !== 0 && minor !== 2)) throw malformed(this.#block + 12, `version ${major}.${minor}`)
    this.#interfaces = []
  }

  #readInterface(start: number, length: number): void {
    this.#need(length, INTERFACE_HEADER, 'interface description')
    if (this.#interfaces.length === MOST_INTERFACES) throw malformed(this.#block, 'too many interfaces')
    let name: string | undefined
    let description: string | undefined
    let comment: string | undefined
    let resolution = MICROSECONDS
    let seconds = 0n
    let fcsLength = 0
    const { data, bytes } = this.#queue
    this.#eachOption(start + 16, start + length - 4, (code, at, size) => {
      if (code === OPTION.INTERFACE.NAME) name = this.#text(at, size)
      else if (code === OPTION.INTERFACE.DESCRIPTION) description = this.#text(at, size)
      else if (code === OPTION.COMMENT) comment = this.#text(at, size)
      else if (code === OPTION.INTERFACE.TSRESOL && size === 1) resolution = bytes[at] as number
      else if (code === OPTION.INTERFACE.TSOFFSET && size === 8) seconds = data.getBigInt64(at, this.#littleEndian)
      else if (code === OPTION.INTERFACE.FCSLEN && size === 1) fcsLength = fcsBytes(bytes[at] as number)
    })
    this.#interfaces.push({
      id: this.#interfaces.length,
      name,
      description,
      comment,
      linkType: this.#u16(start + 8),
      snapLength: this.#u32(start + 12),
      fcsLength,
      statistics: undefined,
      clock: clockOf(resolution, seconds)
    })
  }

  #readStatistics(start: number, length: number): void {
    this.#need(length, STATISTICS_HEADER, 'interface statistics')
    const about = this.#interfaceOf(this.#u32(start + 8))
    let received: bigint | undefined
    let dropped: bigint | undefined
    const { data } = this.#queue
    this.#eachOption(start + 20, start + length - 4, (code, at, size) => {
      if (size !== 8) return
      if (code === OPTION.STATISTICS.RECEIVED) received = data.getBigUint64(at, this.#littleEndian)
      else if (code === OPTION.STATISTICS.DROPPED) dropped = data.getBigUint64(at, this.#littleEndian)
    })
    about.statistics = { received, dropped }
  }

  #readSimplePacket(start: number, length: number, packet: DecodedPacket): void {
    this.#need(length, SIMPLE_PACKET_HEADER, 'simple packet')
    const on = this.#interfaceOf(0)
    const original = this.#u32(start + 8)
    const room = length - SIMPLE_PACKET_HEADER
    const captured = on.snapLength > 0 ? Math.min(original, on.snapLength) : original
    if (captured > room) throw malformed(this.#block + 8, `a frame of ${captured} bytes in a block of ${length}`)
    this.#setPacket(packet, on, 0n, start + 12, captured, original)
  }

  /** @param obsolete a packet block: its interface shares a word with a count of drops */
  #readPacket(obsolete: boolean, start: number, length: number, packet: DecodedPacket): void {
    this.#need(length, PACKET_OVERHEAD, 'packet')
    const captured = this.#u32(start + 20)
    if (captured > length - PACKET_OVERHEAD) {
      throw malformed(this.#block + 20, `a frame of ${captured} bytes in a block of ${length}`)
    }
    const on = this.#interfaceOf(obsolete ? this.#u16(start + 8) : this.#u32(start + 8))
    const ticks = (BigInt(this.#u32(start + 12)) << 32n) | BigInt(this.#u32(start + 16))
    const { multiplier, divisor, offset } = on.clock
    const time = (ticks * multiplier) / divisor + offset
    this.#setPacket(packet, on, time, start + 28, captured, this.#u32(start + 24))
    const drops = obsolete ? this.#u16(start + 10) : 0
    // 0xffff: not known.
    packet.dropped = drops === 0xffff ? 0 : drops
    const options = start + 28 + padded(captured)
    if (options < start + length - 4) this.#readPacketOptions(options, start + length - 4, packet)
  }

  #setPacket(
    packet: DecodedPacket,
    on: Described,
    timestamp: bigint,
    offset: number,
    length: number,
    originalLength: number
  ): void {
    if (length > LONGEST_FRAME) throw malformed(this.#block, `a frame of ${length} bytes`)
    packet.interface = on
    packet.timestamp = timestamp
    packet.bytes = this.#queue.bytes
    packet.offset = offset
    packet.length = length
    packet.originalLength = Math.max(length, originalLength)
    packet.flags = 0
    packet.dropped = 0
    packet.comment = undefined
  }

  #readPacketOptions(from: number, to: number, packet: DecodedPacket): void {
    const { data } = this.#queue
    this.#eachOption(from, to, (code, at, size) => {
      if (code === OPTION.PACKET.FLAGS && size === 4) packet.flags = this.#u32(at)
      else if (code === OPTION.PACKET.DROPCOUNT && size === 8) {
        packet.dropped = Number(data.getBigUint64(at, this.#littleEndian))
      } else if (code === OPTION.COMMENT) {
        packet.comment = decoder.decode(this.#queue.bytes.subarray(at, at + size))
      }
    })
  }

  #eachOption(from: number, to: number, each: (code: number, at: number, length: number) => void): void {
    for (let at = from; at + 4 <= to; ) {
      const code = this.#u16(at)
      const length = this.#u16(at + 2)
      if (code === OPTION.END) return
      if (at + 4 + length > to) {
        throw malformed(
          this.#block + at - this.#queue.start,
          `an option of ${length} bytes that reaches beyond its block`
        )
      }
      each(code, at + 4, length)
      at += 4 + padded(length)
    }
  }

  #text(at: number, length: number): string {
    return decoder.decode(this.#queue.bytes.subarray(at, at + Math.min(length, LONGEST_NAME)))
  }

  #interfaceOf(id: number): Described {
    const found = this.#interfaces[id]
    if (!found) throw malformed(this.#block + 8, `interface ${id}, which is not described,`)
    return found
  }

  #need(length: number, least: number, what: string): void {
    if (length < least) throw malformed(this.#block + 4, `a block of ${length} bytes for a ${what}`)
  }
}

function isDecoded(type: number): boolean {
  return (
    type === BLOCK.ENHANCED_PACKET ||
    type === BLOCK.SECTION ||
    type === BLOCK.INTERFACE ||
    type === BLOCK.STATISTICS ||
    type === BLOCK.SIMPLE_PACKET ||
    type === BLOCK.PACKET
  )
}

/** The draft counts bits, most writers count bytes; no check sequence has more than eight of these. */
function fcsBytes(value: number): number {
  return value > 8 ? value >>> 3 : value
}

/** @param resolution if_tsresol: a negative power of ten, or of two with the highest bit */
function clockOf(resolution: number, seconds: bigint): Clock {
  const exponent = BigInt(resolution & 0x7f)
  const ticksPerSecond = (resolution & 0x80 ? 2n : 10n) ** exponent
  const offset = seconds * NANOSECONDS_OF_SECOND
  return NANOSECONDS_OF_SECOND % ticksPerSecond === 0n
    ? { multiplier: NANOSECONDS_OF_SECOND / ticksPerSecond, divisor: 1n, offset }
    : { multiplier: NANOSECONDS_OF_SECOND, divisor: ticksPerSecond, offset }
}
