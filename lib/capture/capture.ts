/** Frames of any number of interfaces, written to one pcapng file or stream. */
import { release, type } from 'node:os'
import type { Writable } from 'node:stream'
import { closedError, invalidArgument, nativeError } from '../errors.js'
import type { Mirrored } from '../frames/mirror.js'
import { checkKeys } from '../options.js'
import { untilAborted } from './aborting.js'
import { CapturedInterface, type InterfaceOptions } from './captured-interface.js'
import { CHUNK_BYTES, ChunkedWriter } from './chunks.js'
import { WallClock } from './clock.js'
import { LONGEST_OPTION, OPTION, type Option, sectionHeader } from './pcapng.js'
import { openSink, type Sink } from './sink.js'

export interface CaptureOptions {
  /** Most bytes of a frame that are kept; 262,144 by default, which keeps every frame whole. */
  snapLength?: number | undefined
  /** Bytes of memory for frames that the file or stream has not taken yet, from 1 MiB; 4 MiB by default. */
  buffer?: number | undefined
  /** Milliseconds after which what was captured is written though it is little; 100 by default. */
  flushInterval?: number | undefined
  /** About the whole capture; shown in its properties. */
  comment?: string | undefined
  /** Whether a stream is ended with the capture; true by default. */
  end?: boolean | undefined
}

const KEYS: ReadonlySet<string> = new Set<keyof CaptureOptions>([
  'snapLength',
  'buffer',
  'flushInterval',
  'comment',
  'end'
])

/** What tcpdump and Wireshark take for a limit (MAXIMUM_SNAPLEN). */
const LONGEST_SNAP = 262_144
const DEFAULT_BUFFER = 8 * CHUNK_BYTES
const LARGEST_BUFFER = 0x4000_0000

/** Counts since the capture was opened. */
export interface CaptureCounters {
  /** Frames that went into the capture. */
  frames: number
  /** Bytes of those frames, as far as they were kept. */
  bytes: number
  /** Frames that did not, because what takes the capture was too slow or failed. */
  dropped: number
  /** Frames of which only the beginning was kept. */
  truncated: number
}

/**
 * A capture in pcapng, for Wireshark, tcpdump and `readCapture()`: with nanoseconds, interface names and directions.
 *
 * ```ts
 * await using capture = await Capture.open('vnet0.pcapng')
 * capture.mirror(tap.frames())
 * ```
 *
 * Capturing never holds up the traffic: frames are copied into memory of a fixed size and written from there. When that is
 * full because the file or stream is too slow, frames are left out of the capture, and counted there and in the file.
 *
 * Close it, or its end is lost.
 */
export class Capture {
  /** @internal */
  readonly writer: ChunkedWriter
  /** @internal */
  readonly clock = new WallClock()
  readonly snapLength: number
  readonly #sink: Sink
  readonly #interfaces: CapturedInterface[] = []
  /** What it looks at, until it is closed. */
  readonly #mirrored: [source: Mirrored, by: CapturedInterface][] = []
  /** Interfaces whose description is in the file: the next number. */
  #described = 0
  #closing: Promise<void> | undefined

  private constructor(sink: Sink, snapLength: number, chunks: number, flushInterval: number) {
    this.#sink = sink
    this.snapLength = snapLength
    this.writer = new ChunkedWriter(sink, chunks, flushInterval)
  }

  /**
   * Begins a capture.
   *
   * @param target path of a file, which is written anew (one that is made here is for its owner only), or of a FIFO that somebody reads (`wireshark -k -i FIFO`); a
   * Writable of Node; a WritableStream
   * @throws LinkwrightError what opening the file runs into (`ENXIO`: nobody reads the FIFO), `ERR_INVALID_ARG_VALUE`
   */
  static async open(
    target: string | Writable | WritableStream<Uint8Array>,
    options: CaptureOptions = {}
  ): Promise<Capture> {
    checkKeys(options, KEYS)
    const { snapLength = LONGEST_SNAP, buffer = DEFAULT_BUFFER, flushInterval = 100, comment, end = true } = options
    checkRange('snapLength', snapLength, 1, LONGEST_SNAP)
    checkRange('buffer', buffer, 2 * CHUNK_BYTES, LARGEST_BUFFER)
    checkRange('flushInterval', flushInterval, 1, 3_600_000)
    checkText('comment', comment)
    if (typeof end !== 'boolean') throw invalidArgument('end', 'true or false', end)
    if (!isTarget(target)) throw invalidArgument('target', 'a path, a Writable or a WritableStream', target)
    const sink = await openSink(target, end)
    const capture = new Capture(sink, snapLength, Math.floor(buffer / CHUNK_BYTES), flushInterval)
    const about: Option[] = [
      { code: OPTION.SECTION.OS, value: `${type()} ${release()}` },
      { code: OPTION.SECTION.APPLICATION, value: 'linkwright' }
    ]
    if (comment !== undefined) about.unshift({ code: OPTION.COMMENT, value: comment })
    capture.writer.append(sectionHeader(about))
    return capture
  }

  /**
   * Adds an interface, at any time.
   *
   * @param name as it is to be seen in the capture
   */
  add(name: string, options: InterfaceOptions = {}): CapturedInterface {
    if (this.closed) throw closedError('the capture')
    const added = new CapturedInterface(this, name, options)
    this.#interfaces.push(added)
    // If there is no room now, its first frame will try again.
    this.describe(added)
    return added
  }

  /**
   * Adds an interface that captures what a queue, or a port of a pipe or switch, reads and writes from now on, in place
   * of whoever saw that before. Set its `mirror` to `undefined` to end that; closing the capture does, too.
   */
  mirror(source: Mirrored, options: InterfaceOptions = {}): CapturedInterface {
    const { linkType = source.layer === 'ip' ? 'raw' : 'ethernet' } = options
    const added = this.add(source.name, { ...options, linkType })
    source.mirror = added.mirror
    this.#mirrored.push([source, added])
    return added
  }

  /** In the order in which they were added. */
  get interfaces(): readonly CapturedInterface[] {
    return this.#interfaces
  }

  /** Sums over all interfaces. */
  get counters(): CaptureCounters {
    const sums = { frames: 0, bytes: 0, dropped: 0, truncated: 0 }
    for (const { counters } of this.#interfaces) {
      sums.frames += counters.frames
      sums.bytes += counters.bytes
      sums.dropped += counters.dropped
      sums.truncated += counters.truncated
    }
    return sums
  }

  /**
   * Why nothing is written any more, such as `ENOSPC` or `EPIPE`; `close()` rejects with it. Frames are counted as dropped
   * from then on; those that were counted as captured just before may be missing in the file.
   */
  get error(): Error | undefined {
    const { error } = this.writer
    return error === undefined ? undefined : nativeError(error)
  }

  get closed(): boolean {
    return this.#closing !== undefined
  }

  /** Writes what was captured so far. */
  async flush(): Promise<void> {
    try {
      await this.writer.flush()
    } catch (error) {
      throw nativeError(error)
    }
  }

  /**
   * Writes what there is and the statistics, and closes the file. Idempotent. What `mirror()` looks at is let go; what is
   * mirrored here otherwise is ignored.
   *
   * @param options.signal gives up on a stream that takes nothing; what was not written is lost
   */
  close(options: { signal?: AbortSignal | undefined } = {}): Promise<void> {
    this.#closing ??= this.#close(options.signal)
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** Makes sure that an interface has a number; `false` if there is no room for its description. @internal */
  describe(added: CapturedInterface): boolean {
    if (added.id >= 0) return true
    if (!this.writer.append(added.description)) return false
    added.id = this.#described++
    return true
  }

  async #close(signal: AbortSignal | undefined): Promise<void> {
    for (const [source, { mirror }] of this.#mirrored) if (source.mirror === mirror) source.mirror = undefined
    this.#mirrored.length = 0
    try {
      await untilAborted(this.#finish(), signal)
      this.writer.stop(closedError('the capture'))
    } catch (error) {
      this.writer.stop(error)
      this.#sink.destroy()
      throw nativeError(error)
    }
  }

  async #finish(): Promise<void> {
    const time = this.clock.now()
    await this.writer.flush()
    for (const added of this.#interfaces) {
      // With everything flushed there is room; a few hundred fill a chunk.
      while (!this.describe(added) || !this.writer.append(added.statistics(time))) await this.writer.flush()
    }
    await this.writer.flush()
    await this.#sink.close()
  }
}

function isTarget(target: unknown): boolean {
  if (typeof target === 'string') return target !== ''
  if (typeof target !== 'object' || target === null) return false
  return 'getWriter' in target || ('write' in target && 'on' in target)
}

function checkRange(name: string, value: number, least: number, most: number): void {
  if (!Number.isInteger(value) || value < least || value > most) {
    throw invalidArgument(name, `a whole number from ${least} to ${most}`, value)
  }
}

function checkText(name: string, value: string | undefined): void {
  if (value !== undefined && (typeof value !== 'string' || Buffer.byteLength(value) > LONGEST_OPTION)) {
    throw invalidArgument(name, `text of at most ${LONGEST_OPTION} bytes`, value)
  }
}
