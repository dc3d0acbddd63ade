/** One interface of a capture: turns its frames into blocks. */
import { hostLittleEndian } from '../codec/endian.js'
import { closedError, invalidArgument } from '../errors.js'
import type { FrameDirection, Mirror, MirroredFrames } from '../frames/mirror.js'
import { VNET_HEADER_SIZE } from '../frames/vnet-header.js'
import { checkKeys } from '../options.js'
import type { ChunkedWriter } from './chunks.js'
import type { WallClock } from './clock.js'
import { type LinkTypeName, linkTypeNumber } from './link-types.js'
import {
  BLOCK,
  encodeOptions,
  interfaceDescription,
  interfaceStatistics,
  LONGEST_OPTION,
  NANOSECONDS,
  OPTION,
  type Option,
  PACKET_FLAG,
  PACKET_OVERHEAD,
  padded,
  timestampBytes
} from './pcapng.js'

export interface InterfaceOptions {
  /** What frames begin with: `ethernet` by default (TAP, macvtap), `raw` for IP packets (TUN), or a LINKTYPE number. */
  linkType?: LinkTypeName | number | undefined
  description?: string | undefined
  comment?: string | undefined
  /** Which frames to capture; it is called for each and must be quick. */
  filter?: ((bytes: Uint8Array, offset: number, length: number) => boolean) | undefined
  /** What the filter does, in words for the file. */
  filterText?: string | undefined
}

/** What else is known of a frame. */
export interface FrameDetails {
  direction?: FrameDirection | undefined
  /** Nanoseconds since 1970; now by default. */
  timestamp?: bigint | undefined
  /** Bytes that it had before it was cut. */
  originalLength?: number | undefined
  comment?: string | undefined
  /** The queue that it came through. */
  queue?: number | undefined
}

export interface InterfaceCounters {
  /** Frames that went into the capture. */
  frames: number
  /** Bytes of those frames, as far as they were kept. */
  bytes: number
  /** Frames that did not, because what takes the capture was too slow or failed. */
  dropped: number
  /** Frames of which only the beginning was kept. */
  truncated: number
  /** Frames that the filter left out. */
  filtered: number
}

/** The capture that it belongs to. */
export interface Recorder {
  readonly writer: ChunkedWriter
  readonly clock: WallClock
  readonly snapLength: number
  readonly closed: boolean
  /** Makes sure that the interface has a number; `false` if there is no room for its description. */
  describe(added: CapturedInterface): boolean
}

const KEYS: ReadonlySet<string> = new Set<keyof InterfaceOptions>([
  'linkType',
  'description',
  'comment',
  'filter',
  'filterText'
])

/** Up to here a loop copies faster than a call. */
const SHORT_COPY = 96
/** Bytes of the options of a block. */
const FLAGS = 8
const DROPCOUNT = 12
const END = 4
/** linux/virtio_net.h */
const VNET_NEEDS_CSUM = 1
const VNET_DATA_VALID = 2
const VNET_GSO_ECN = 0x80

const NO_OPTIONS = new Uint8Array(0)

/** An interface of a capture, got from `capture.add()`. */
export class CapturedInterface {
  readonly name: string
  /** LINKTYPE number. */
  readonly linkType: number
  readonly counters: InterfaceCounters = { frames: 0, bytes: 0, dropped: 0, truncated: 0, filtered: 0 }
  /** Its number in the file, or -1 as long as it is not described there. @internal */
  id = -1
  /** @internal */
  readonly description: Uint8Array
  readonly #recorder: Recorder
  readonly #filter: InterfaceOptions['filter']
  readonly #start: bigint
  /** Frames that were dropped since the last that was not. */
  #lost = 0

  /** @internal */
  constructor(recorder: Recorder, name: string, options: InterfaceOptions) {
    checkKeys(options, KEYS)
    const { linkType = 'ethernet', description, comment, filter, filterText } = options
    if (typeof name !== 'string' || name === '') throw invalidArgument('name', 'the name of an interface', name)
    if (filter !== undefined && typeof filter !== 'function') throw invalidArgument('filter', 'a function', filter)
    for (const [path, text] of Object.entries({ name, description, comment, filterText })) {
      // The filter's text has a byte before it.
      if (text !== undefined && (typeof text !== 'string' || Buffer.byteLength(text) >= LONGEST_OPTION)) {
        throw invalidArgument(path, `text of less than ${LONGEST_OPTION} bytes`, text)
      }
    }
    this.name = name
    this.linkType = linkTypeNumber(linkType, 'linkType')
    const mirror: Mirror = (frames, from, to, direction) => this.#show(frames, from, to, direction)
    // Whoever filters sees whole frames.
    this.mirror = filter ? mirror : Object.assign(mirror, { snapLength: recorder.snapLength })
    this.#recorder = recorder
    this.#filter = filter
    this.#start = recorder.clock.now()
    const about: Option[] = [
      { code: OPTION.INTERFACE.NAME, value: name },
      { code: OPTION.INTERFACE.TSRESOL, value: Uint8Array.of(NANOSECONDS) }
    ]
    if (description !== undefined) about.push({ code: OPTION.INTERFACE.DESCRIPTION, value: description })
    if (filterText !== undefined) {
      about.push({ code: OPTION.INTERFACE.FILTER, value: Buffer.concat([Buffer.of(0), Buffer.from(filterText)]) })
    }
    if (comment !== undefined) about.push({ code: OPTION.COMMENT, value: comment })
    this.description = interfaceDescription(this.linkType, recorder.snapLength, about)
  }

  /**
   * For `mirror` of a queue or port: captures what it reads and writes. It never throws; if the filter does, the capture ends, with
   * that as its error.
   */
  readonly mirror: Mirror

  /**
   * Captures frames of a batch, those from `from` to before `to`; their virtio-net headers are left out. Nothing is
   * allocated per frame that stays.
   *
   * @param timestamp of all of them, in nanoseconds since 1970: now by default, and where the batch has none of its own
   * @returns frames that went into the capture; the others were dropped or filtered
   */
  write(
    batch: MirroredFrames,
    direction?: FrameDirection,
    timestamp?: bigint,
    from = 0,
    to: number = batch.length
  ): number {
    const recorder = this.#recorder
    if (recorder.closed) throw closedError('the capture')
    if (!(Number.isInteger(from) && from >= 0 && from <= batch.length)) {
      throw invalidArgument('from', `a frame of the batch (0 to ${batch.length})`, from)
    }
    if (!(Number.isInteger(to) && to >= from && to <= batch.length)) {
      throw invalidArgument('to', `from ${from} to ${batch.length}`, to)
    }
    const { bytes, offsets, lengths, timestamps, originalLengths, vnetHeaderSize = 0 } = batch
    const time = timestamp ?? (timestamps ? 0n : recorder.clock.now())
    let high = Number(BigInt.asUintN(32, time >> 32n))
    let low = Number(BigInt.asUintN(32, time))
    const halves = timestamps && timestamp === undefined ? wordsOf(timestamps) : undefined
    const flags = directionFlag(direction)
    const before = this.counters.frames
    for (let i = from; i < to; i++) {
      const offset = offsets[i] as number
      const length = lengths[i] as number
      if (this.#filter && !this.#accepts(bytes, offset, length)) continue
      if (halves) {
        high = halves[2 * i + HIGH] as number
        low = halves[2 * i + LOW] as number
      }
      const original = originalLengths ? (originalLengths[i] as number) : length
      const offloads = vnetHeaderSize >= VNET_HEADER_SIZE ? offloadFlags(bytes, offset - vnetHeaderSize) : 0
      this.#put(bytes, offset, length, original, flags | offloads, high, low, NO_OPTIONS)
    }
    return this.counters.frames - before
  }

  /**
   * Captures one frame, from wherever it is.
   *
   * @returns whether it went into the capture; otherwise it was dropped or filtered
   */
  writeFrame(frame: Uint8Array, details: FrameDetails = {}): boolean {
    const recorder = this.#recorder
    if (recorder.closed) throw closedError('the capture')
    const { direction, timestamp, originalLength, comment, queue } = details
    if (this.#filter && !this.#accepts(frame, 0, frame.length)) return false
    const more: Option[] = []
    if (queue !== undefined) more.push({ code: OPTION.PACKET.QUEUE, value: queue })
    if (comment !== undefined) {
      if (Buffer.byteLength(comment) > LONGEST_OPTION) {
        throw invalidArgument('comment', `text of at most ${LONGEST_OPTION} bytes`, comment)
      }
      more.push({ code: OPTION.COMMENT, value: comment })
    }
    const time = timestamp ?? recorder.clock.now()
    const high = Number(BigInt.asUintN(32, time >> 32n))
    const low = Number(BigInt.asUintN(32, time))
    // Without their end: that follows behind all options.
    const list = encodeOptions(more)
    const options = list.subarray(0, Math.max(0, list.length - END))
    const original = Math.max(originalLength ?? 0, frame.length)
    return this.#put(frame, 0, frame.length, original, directionFlag(direction), high, low, options)
  }

  /** What is said of it at the end of the file. @internal */
  statistics(time: bigint): Uint8Array {
    const { frames, dropped, filtered } = this.counters
    return interfaceStatistics(this.id, time, [
      { code: OPTION.STATISTICS.START, value: timestampBytes(this.#start) },
      { code: OPTION.STATISTICS.END, value: timestampBytes(time) },
      { code: OPTION.STATISTICS.RECEIVED, value: BigInt(frames + dropped + filtered) },
      { code: OPTION.STATISTICS.DROPPED, value: BigInt(dropped) },
      { code: OPTION.STATISTICS.FILTER_ACCEPTED, value: BigInt(frames + dropped) }
    ])
  }

  #show(frames: MirroredFrames, from: number, to: number, direction: FrameDirection): void {
    if (this.#recorder.closed) return
    try {
      const { lost = 0 } = frames
      this.counters.dropped += lost
      this.#lost += lost
      this.write(frames, direction, undefined, from, to)
    } catch (error) {
      this.#recorder.writer.stop(error)
    }
  }

  #accepts(bytes: Uint8Array, offset: number, length: number): boolean {
    if (this.#filter?.(bytes, offset, length)) return true
    this.counters.filtered++
    return false
  }

  /** An enhanced packet block. */
  #put(
    bytes: Uint8Array,
    offset: number,
    length: number,
    originalLength: number,
    flags: number,
    high: number,
    low: number,
    options: Uint8Array
  ): boolean {
    const { counters } = this
    const { writer, snapLength } = this.#recorder
    // What is not in memory cannot be kept, whatever the tables say.
    const captured = Math.max(0, Math.min(length, snapLength, bytes.length - offset))
    const data = padded(captured)
    const list = (flags ? FLAGS : 0) + (this.#lost > 0 ? DROPCOUNT : 0) + options.length
    const size = PACKET_OVERHEAD + data + (list > 0 ? list + END : 0)
    if ((this.id < 0 && !this.#recorder.describe(this)) || !writer.reserve(size)) {
      counters.dropped++
      this.#lost++
      return false
    }
    const { words, position } = writer
    let at = position >>> 2
    words[at++] = BLOCK.ENHANCED_PACKET
    words[at++] = size
    words[at++] = this.id
    words[at++] = high
    words[at++] = low
    words[at++] = captured
    words[at++] = originalLength
    // The padding, which the frame writes over as far as it reaches.
    if (data > captured) words[at + (captured >>> 2)] = 0
    copy(bytes, offset, captured, writer.bytes, at << 2)
    at += data >>> 2
    if (flags) {
      words[at++] = OPTION_HEADER.flags
      words[at++] = flags
    }
    if (this.#lost > 0) {
      words[at++] = OPTION_HEADER.dropcount
      words[at + LOW] = this.#lost
      words[at + HIGH] = Math.floor(this.#lost / 0x1_0000_0000)
      at += 2
      this.#lost = 0
    }
    if (options.length > 0) {
      writer.bytes.set(options, at << 2)
      at += options.length >>> 2
    }
    if (list > 0) words[at++] = OPTION.END
    words[at] = size
    writer.advance(size)
    counters.frames++
    counters.bytes += captured
    if (captured < originalLength) counters.truncated++
    return true
  }
}

/** Which of the two words of 64 bits comes first in memory. */
const LOW = hostLittleEndian ? 0 : 1
const HIGH = 1 - LOW

/** Code and length of an option as one word. */
function optionHeader(code: number, length: number): number {
  return hostLittleEndian ? code | (length << 16) : (code << 16) | length
}

const OPTION_HEADER = {
  flags: optionHeader(OPTION.PACKET.FLAGS, 4),
  dropcount: optionHeader(OPTION.PACKET.DROPCOUNT, 8)
}

function wordsOf(times: BigUint64Array): Uint32Array {
  return new Uint32Array(times.buffer, times.byteOffset, 2 * times.length)
}

function directionFlag(direction: FrameDirection | undefined): number {
  return direction === 'inbound' ? PACKET_FLAG.INBOUND : direction === 'outbound' ? PACKET_FLAG.OUTBOUND : 0
}

/** What a virtio-net header says, for those who would wonder about wrong checksums and impossible lengths. */
function offloadFlags(bytes: Uint8Array, header: number): number {
  const flags = bytes[header] as number
  return (
    (flags & VNET_NEEDS_CSUM ? PACKET_FLAG.CHECKSUM_NOT_READY : 0) |
    (flags & VNET_DATA_VALID ? PACKET_FLAG.CHECKSUM_VALID : 0) |
    ((bytes[header + 1] as number) & ~VNET_GSO_ECN ? PACKET_FLAG.SEGMENTATION_OFFLOADED : 0)
  )
}

function copy(from: Uint8Array, offset: number, length: number, to: Uint8Array, at: number): void {
  if (length > SHORT_COPY) to.set(from.subarray(offset, offset + length), at)
  else for (let i = 0; i < length; i++) to[at + i] = from[offset + i] as number
}
