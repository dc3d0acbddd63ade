/** Sending what was captured. */
import { readFile, stat } from 'node:fs/promises'
import { setImmediate } from 'node:timers/promises'
import { closedError, invalidArgument, nativeError } from '../errors.js'
import type { FrameBatch } from '../frames/batch.js'
import type { FrameQueue } from '../frames/queue.js'
import { checkKeys } from '../options.js'
import { type ByteSource, isRepeatable } from './byte-source.js'
import type { DecodedPacket } from './decoder.js'
import { LINKTYPE, type LinkTypeName, linkTypeNumber } from './link-types.js'
import { Pacer } from './pacer.js'
import { PACKET_FLAG } from './pcapng.js'
import { type CapturedPacket, PacketReader, toPacket } from './read.js'

export interface ReplayOptions {
  /** How many times faster than recorded; 1 by default, `'max'` for as fast as the device takes it. */
  speed?: number | 'max' | undefined
  /** How many times in all, one right behind the other; 1 by default, `Infinity` until aborted. Not from a stream. */
  loop?: number | undefined
  /** What the frames begin with: as those of the device do, by default. Frames of other kinds are skipped. */
  linkType?: LinkTypeName | number | undefined
  /** Which frames to send; it gets a copy of each. */
  filter?: ((packet: CapturedPacket) => boolean) | undefined
  /**
   * Whether frames are sent at their time to a fraction of a millisecond, which keeps the processor busy while the next
   * is less than two away; true by default. Otherwise they are one or two milliseconds late, together with their neighbours.
   */
  precise?: boolean | undefined
  /** Kept up to date while it runs. */
  counters?: ReplayCounters | undefined
  signal?: AbortSignal | undefined
}

const KEYS: ReadonlySet<string> = new Set<keyof ReplayOptions>([
  'speed',
  'loop',
  'linkType',
  'filter',
  'precise',
  'counters',
  'signal'
])

export class ReplayCounters {
  /** Frames that the device took. */
  sent = 0
  /** Bytes of those frames. */
  bytes = 0
  /** Frames that it did not take (the link is down, too short, too long). */
  refused = 0
  /** Frames of which the capture has only the beginning; they are sent like this. */
  truncated = 0
  /** Frames of another kind of link, or that the filter left out. */
  skipped = 0
  /** Milliseconds by which the most belated frame was late. */
  maxDelay = 0
}

/** Milliseconds of sending after which timers and other I/O get their turn. */
const BUDGET = 1
/** Bytes of a file that is kept in memory while it is repeated. */
const SMALL_FILE = 8 * 1024 * 1024
/** Link types whose frames begin with an IP header. */
const IP_LINKTYPES: ReadonlySet<number> = new Set([LINKTYPE.raw, LINKTYPE.ipv4, LINKTYPE.ipv6])
/** The device is gone: nothing can be sent any more. */
const GONE: ReadonlySet<string | undefined> = new Set(['EBADFD', 'ENOLINK', 'EBADF', 'ENODEV'])

/**
 * Sends the frames of a capture through a queue, with the pauses that they were recorded with. What is due at once goes
 * out in one batch. Frames of all interfaces and directions are sent, in the order of the file; `filter` chooses. They are
 * sent as they were captured: what was offloaded then (checksums, segmentation) is not done now.
 *
 * @param source of a capture: a path, the bytes, or a stream of them
 * @returns what became of the frames
 * @throws LinkwrightError what `readCapture()` throws; `EBADFD` or `ENOLINK` (the device was deleted), `ERR_CLOSED`; the
 * signal's reason
 */
export async function replay(
  source: ByteSource,
  queue: FrameQueue,
  options: ReplayOptions = {}
): Promise<ReplayCounters> {
  checkKeys(options, KEYS)
  const { speed = 1, loop = 1, precise = true, counters = new ReplayCounters() } = options
  const { linkType = queue.layer === 'ip' ? 'raw' : 'ethernet' } = options
  if (speed !== 'max' && !(typeof speed === 'number' && speed > 0 && speed < Number.POSITIVE_INFINITY)) {
    throw invalidArgument('speed', 'a number above 0, or "max"', speed)
  }
  if (!(loop === Number.POSITIVE_INFINITY || (Number.isInteger(loop) && loop > 0))) {
    throw invalidArgument('loop', 'a whole number from 1, or Infinity', loop)
  }
  if (loop > 1 && !isRepeatable(source)) throw invalidArgument('loop', '1 with a stream, which comes only once', loop)
  const player = new Player(queue, new Pacer(speed === 'max' ? Number.POSITIVE_INFINITY : speed, precise), counters, {
    ...options,
    linkType: linkTypeNumber(linkType, 'linkType')
  })
  const repeated = loop > 1 ? await inMemory(source) : source
  for (let round = 0; round < loop; round++) {
    const reader = new PacketReader(repeated)
    try {
      // A capture without frames would be read for ever.
      if (!(await player.play(reader))) break
    } finally {
      await reader.close()
    }
  }
  return counters
}

/** Small files are not opened again for each round. */
async function inMemory(source: ByteSource): Promise<ByteSource> {
  if (typeof source !== 'string') return source
  try {
    const { size } = await stat(source)
    return size <= SMALL_FILE ? await readFile(source) : source
  } catch (error) {
    throw nativeError(error, { syscall: `open(${source})` })
  }
}

class Player {
  readonly #queue: FrameQueue
  readonly #batch: FrameBatch
  readonly #pacer: Pacer
  readonly #counters: ReplayCounters
  readonly #options: ReplayOptions & { linkType: number }
  /** When other work had its turn last. */
  #turn = performance.now()
  /** A moment that is past: what is due before needs no look at the clock. */
  #now = 0

  constructor(
    queue: FrameQueue,
    pacer: Pacer,
    counters: ReplayCounters,
    options: ReplayOptions & { linkType: number }
  ) {
    this.#queue = queue
    this.#batch = queue.createBatch()
    this.#pacer = pacer
    this.#counters = counters
    this.#options = options
  }

  /** Sends one capture; `false` if there was nothing to send. */
  async play(reader: PacketReader): Promise<boolean> {
    const { signal } = this.#options
    let any = false
    this.#pacer.rewind()
    while (true) {
      if (reader.next()) {
        if (!this.#wanted(reader.packet)) {
          this.#counters.skipped++
          continue
        }
        any = true
        const due = this.#pacer.due(reader.packet.timestamp)
        if (!this.#isDue(due)) await this.#wait(due)
        if (this.#add(reader.packet)) continue
        await this.#send()
        if (!this.#add(reader.packet)) this.#counters.refused++
      } else {
        // What is due does not wait for the file.
        await this.#send()
        if (!(await reader.fill(signal))) return any
      }
    }
  }

  #wanted(packet: DecodedPacket): boolean {
    const { linkType, filter } = this.#options
    const found = packet.interface.linkType
    if (found !== linkType && !(linkType === LINKTYPE.raw && IP_LINKTYPES.has(found))) return false
    return filter === undefined || filter(toPacket(packet))
  }

  #isDue(due: number): boolean {
    if (due === 0) return true
    if (due > this.#now) this.#now = performance.now()
    if (due > this.#now) return false
    this.#counters.maxDelay = Math.max(this.#counters.maxDelay, this.#now - due)
    return true
  }

  async #wait(due: number): Promise<void> {
    await this.#send()
    await this.#pacer.until(due, this.#options.signal)
    this.#now = performance.now()
    this.#turn = this.#now
    this.#counters.maxDelay = Math.max(this.#counters.maxDelay, this.#now - due)
  }

  /** `false` if the batch is full. */
  #add(packet: DecodedPacket): boolean {
    const { length, originalLength, bytes, offset, flags } = packet
    // The device makes its own check sequence. What a frame says of its own counts more than what its interface does.
    const fcsLength = (flags >>> PACKET_FLAG.FCS_SHIFT) & PACKET_FLAG.FCS_MASK || packet.interface.fcsLength
    const kept = Math.max(0, Math.min(length, originalLength - fcsLength))
    if (!this.#batch.push(bytes.subarray(offset, offset + kept))) return false
    if (length < originalLength) this.#counters.truncated++
    return true
  }

  async #send(): Promise<void> {
    const { signal } = this.#options
    signal?.throwIfAborted()
    const queue = this.#queue
    if (queue.closed) throw closedError('the queue')
    const batch = this.#batch
    for (let from = 0; from < batch.length; ) {
      const written = queue.writeBatch(batch, from)
      this.#count(from, from + written)
      from += written
      if (from === batch.length) break
      const code = queue.writeErrorCode
      if (code === 'EAGAIN') await queue.writable(signal)
      else if (GONE.has(code)) throw queue.writeError
      else {
        this.#counters.refused++
        from++
      }
    }
    batch.clear()
    this.#now = performance.now()
    if (this.#now - this.#turn < BUDGET) return
    await setImmediate()
    this.#turn = performance.now()
  }

  #count(from: number, to: number): void {
    this.#counters.sent += to - from
    for (let i = from; i < to; i++) this.#counters.bytes += this.#batch.lengths[i] as number
  }
}
