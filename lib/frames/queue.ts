/** The frames of one queue of a device. */
import { fstatSync } from 'node:fs'
import { constants } from 'node:os'
import {
  addon,
  FRAME_COUNTER,
  type NativeDescriptors,
  type NativeFrameQueue,
  type NativePoller,
  VERDICT
} from '../addon.js'
import { closedError, errnoName, invalidArgument, LinkwrightError, nativeError, systemError } from '../errors.js'
import { checkKeys } from '../options.js'
import { READABLE, Readiness, WRITABLE } from '../readiness.js'
import { FrameBatch, type BatchOptions as Layout } from './batch.js'
import { FrameCounters } from './counters.js'
import { BatchIterator, type BatchSource } from './iteration.js'
import type { Layer, Mirror, Mirrored } from './mirror.js'

/** A verdict of {@link FrameQueue.forward}: the frame goes nowhere. */
export const DROP = VERDICT.drop
/** A verdict of {@link FrameQueue.forward}: the frame goes to every port but the one that it came from. */
export const FLOOD = VERDICT.flood
/** What {@link FrameQueue.forward} makes of a verdict whose port did not take the frame, or that is none. */
export const REFUSED = VERDICT.refused

export interface FramesOptions extends Omit<Layout, 'vnetHeaderSize'> {
  /**
   * Microseconds to go on asking for frames after the last one, before the event loop is waited for: a shorter delay for
   * a busy processor. It backs off while nothing comes. 0 by default, at most 1000.
   */
  busyPoll?: number | undefined
  /** Milliseconds of reading after which timers and other I/O get their turn; 2 by default. */
  budget?: number | undefined
  signal?: AbortSignal | undefined
}

const KEYS: ReadonlySet<string> = new Set<keyof FramesOptions>([
  'frames',
  'bytes',
  'room',
  'headroom',
  'busyPoll',
  'budget',
  'signal'
])

/** Whose frames they are. */
export interface FrameSource {
  readonly name: string
  readonly layer: Layer
  /** Tells when the device is gone, where its descriptor does not: macvtap. */
  watch?(gone: () => void): Disposable
}

/**
 * Reads and writes frames in batches: one call for many frames, no allocation and no callback per frame. Got from
 * `device.frames()`; it is closed with its device.
 *
 * One at a time may read. A frame that is read is the reader's: no other process or queue sees it.
 */
export class FrameQueue implements Mirrored {
  /** Bytes of the virtio-net header that the device puts before each frame. */
  readonly vnetHeaderSize: number
  readonly counters = new FrameCounters()
  /** Sees what is read and written, for captures: `capture.mirror(queue)` sets it. */
  mirror: Mirror | undefined
  readonly #fd: number
  readonly #source: FrameSource
  readonly #native: NativeFrameQueue
  readonly #held: Held
  #readiness: Readiness | undefined
  #keepAlive = true
  #closed = false
  #iterating = false
  /** Why it is of no use any more. */
  #gone: LinkwrightError | undefined

  private constructor(fd: number, vnetHeaderSize: number, source: FrameSource, descriptors?: NativeDescriptors) {
    this.#fd = fd
    this.#source = source
    this.vnetHeaderSize = vnetHeaderSize
    this.#native = addon().createFrameQueue(fd, vnetHeaderSize, this.counters.slots)
    // The watch lives until it is disposed of, and must not keep alive what does that.
    const self = new WeakRef(this)
    const watch = source.watch?.(() => {
      const queue = self.deref()
      if (queue) queue.#leave()
    })
    this.#held = { name: source.name, descriptors, watch, poller: undefined }
    leaks.register(this, this.#held, this)
  }

  /** @internal Of a device, which closes it before its descriptor. */
  static of(fd: number, vnetHeaderSize: number, source: FrameSource): FrameQueue {
    return new FrameQueue(fd, vnetHeaderSize, source)
  }

  /**
   * The frames of a queue that is open elsewhere in this process, for a `Worker` to read: it gets a descriptor of its own,
   * which keeps a device that is not persistent until it is closed as well. A queue has one reader: leave the other alone.
   *
   * @param fd of a TAP, TUN or macvtap queue, such as one of `device.fds`
   * @throws LinkwrightError `EBADF`, `ENOTTY` (no such device)
   */
  static async duplicate(fd: number): Promise<FrameQueue> {
    let descriptors: NativeDescriptors | undefined
    try {
      const duplicate = addon().duplicateDescriptor(fd)
      descriptors = addon().adoptDescriptors([duplicate])
      const { name, flags } = await addon().tunGetInterface(duplicate)
      const size = flags & IFF_VNET_HDR ? await addon().tunIoctl(duplicate, 'TUNGETVNETHDRSZ', 0) : 0
      const layer = flags & IFF_TUN ? 'ip' : 'ethernet'
      const silent = fstatSync(duplicate).rdev !== TUN_NODE
      const source = {
        name,
        layer,
        ...(silent && { watch: (gone: () => void) => lookAfter(duplicate, gone) })
      } as const
      return new FrameQueue(duplicate, size, source, descriptors)
    } catch (error) {
      await descriptors?.close()
      throw nativeError(error)
    }
  }

  get closed(): boolean {
    return this.#closed
  }

  /** The device's. */
  get name(): string {
    return this.#source.name
  }

  /** What its frames begin with. */
  get layer(): Layer {
    return this.#source.layer
  }

  /** A batch of the layout that this queue reads. */
  createBatch(options: Omit<Layout, 'vnetHeaderSize'> = {}): FrameBatch {
    return new FrameBatch({ ...options, vnetHeaderSize: this.vnetHeaderSize })
  }

  /**
   * Reads what is there into a batch, in place of what it held, without waiting.
   *
   * @returns frames read; 0 when none was there, or only such as were dropped (see `counters`)
   * @throws LinkwrightError `EBADFD` (TUN, TAP: the device was deleted), `ENOLINK` (macvtap: likewise), `ERR_CLOSED`
   */
  readBatch(batch: FrameBatch): number {
    return this.#read(batch, 0)
  }

  /**
   * Writes frames of a batch in order, without waiting, until one is refused: {@link writeError} says why. A frame that
   * is refused for itself (`EINVAL`) can be left out by going on behind it.
   *
   * A batch with virtio-net headers can be written to a device with a header of another size; to a device without one
   * only where the header asks for nothing (`EOPNOTSUPP` otherwise: split it and complete its checksum first).
   *
   * @returns frames written
   */
  writeBatch(batch: FrameBatch, from = 0, to: number = batch.length): number {
    this.#assertUsable()
    if (!Number.isInteger(from) || from < 0 || from > batch.length) {
      throw invalidArgument('from', `a frame of the batch (0 to ${batch.length})`, from)
    }
    if (!Number.isInteger(to) || to < from || to > batch.length) {
      throw invalidArgument('to', `from ${from} to ${batch.length}`, to)
    }
    return this.#write(batch, from, to)
  }

  /**
   * Why the last frame that was refused was: `EAGAIN` (later: wait until {@link writable}), `EIO` (the link is down),
   * `EINVAL` (not a frame), `EOPNOTSUPP` (see {@link writeBatch}), `EBADFD` or `ENOLINK` (deleted).
   */
  get writeError(): LinkwrightError | undefined {
    const errno = this.counters.slots[FRAME_COUNTER.errno] as number
    return errno === 0 ? undefined : this.#error(-errno, 'write')
  }

  /** Code of {@link writeError}, without making an error. */
  get writeErrorCode(): string | undefined {
    const errno = this.counters.slots[FRAME_COUNTER.errno] as number
    return errno === 0 ? undefined : errnoName(-errno)
  }

  /** Writes all frames of a batch, waiting where the kernel asks to. Rejects at the first frame that is refused for good. */
  async write(batch: FrameBatch, options: { signal?: AbortSignal | undefined } = {}): Promise<void> {
    for (let from = 0; ; ) {
      options.signal?.throwIfAborted()
      from += this.writeBatch(batch, from)
      if (from === batch.length) return
      if (this.writeErrorCode !== 'EAGAIN') throw this.writeError
      await this.writable(options.signal)
    }
  }

  /**
   * Moves frames that this queue has read by the verdicts of a program: `verdicts[i]` is the position in `ports` of the
   * queue that gets frame `i`, or {@link DROP} or {@link FLOOD}. A port that refuses a frame counts it (`txRefused`), the
   * frame is dropped and its verdict becomes {@link REFUSED}; nothing waits.
   *
   * @returns frames written, a flooded one for each port
   */
  forward(batch: FrameBatch, verdicts: Int32Array, ports: readonly FrameQueue[]): number {
    this.#assertUsable()
    if (verdicts.length < batch.length)
      throw invalidArgument('verdicts', `one for each of ${batch.length} frames`, verdicts)
    if (ports.some(port => port.mirror)) return this.#forwardEach(batch, verdicts, ports)
    const { bytes, offsets, lengths, vnetHeaderSize, length } = batch
    const natives = ports.map(port => port.#native)
    return this.#native.forward(bytes, offsets, lengths, vnetHeaderSize, length, verdicts, natives)
  }

  /** Waits until there is something to read, or an error to fetch. */
  async readable(signal?: AbortSignal): Promise<void> {
    await this.#until(READABLE, signal)
  }

  /** Waits until the kernel takes frames again. */
  async writable(signal?: AbortSignal): Promise<void> {
    await this.#until(WRITABLE, signal)
  }

  /**
   * Batches of frames as they come. The next is read when the last was dealt with, so a slow consumer makes the kernel
   * queue, and drop when its queue (`txqlen`) is full. Timers and other I/O get their turn after each `budget`.
   *
   * It is the same batch every time: what it holds is valid until the next one. Ends when the queue is closed; throws when
   * the device is deleted, and the signal's reason.
   *
   * @throws LinkwrightError `EBADFD` or `ENOLINK` (deleted), `ERR_INVALID_STATE` (it is being read already)
   */
  batches(options: FramesOptions = {}): AsyncGenerator<FrameBatch, void, undefined> {
    const { signal, budget = 2, busyPoll = 0, ...layout } = options
    const queue = this
    const spinning = new Spinning(busyPoll * 1000)
    const source: BatchSource = {
      get closed() {
        return queue.#closed
      },
      begin() {
        checkKeys(options, KEYS)
        range('budget', budget, 0, 1000)
        range('busyPoll', busyPoll, 0, 1000)
        const batch = queue.createBatch(layout)
        if (queue.#iterating) {
          throw new LinkwrightError(`the frames of ${queue.name} are being read already`, { code: 'ERR_INVALID_STATE' })
        }
        queue.#iterating = true
        return batch
      },
      read(batch) {
        const spin = spinning.nanoseconds
        const frames = queue.#read(batch, 0) || (spin > 0 ? queue.#read(batch, spin) : 0)
        spinning.note(frames > 0)
        return frames
      },
      readable: () => queue.#untilReadable(signal),
      end() {
        queue.#iterating = false
      }
    }
    return new BatchIterator(source, budget, signal)
  }

  [Symbol.asyncIterator](): AsyncGenerator<FrameBatch, void, undefined> {
    return this.batches()
  }

  /**
   * Frames one by one, for comfort: each is a view that is valid until the next one. What their virtio-net headers say,
   * only batches tell.
   */
  async *each(options: FramesOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const batch of this.batches(options)) yield* batch
  }

  /** Waiting for frames keeps the process alive, which is the default. */
  ref(): this {
    this.#keepAlive = true
    this.#readiness?.ref()
    return this
  }

  /** Waiting for frames does not keep the process alive. */
  unref(): this {
    this.#keepAlive = false
    this.#readiness?.unref()
    return this
  }

  /** Ends what waits; the device stays open. Idempotent. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#native.close()
    this.#held.watch?.[Symbol.dispose]()
    this.#readiness?.close(closedError(`the queue of ${this.#source.name}`))
    leaks.unregister(this)
    void this.#held.descriptors?.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  /** {@link forward} with a call for each frame, after which it is known which port took it. */
  #forwardEach(batch: FrameBatch, verdicts: Int32Array, ports: readonly FrameQueue[]): number {
    let moved = 0
    for (let frame = 0; frame < batch.length; frame++) {
      const verdict = verdicts[frame] as number
      if (verdict === DROP) continue
      const one = ports[verdict]
      const targets = verdict === FLOOD ? ports.filter(port => port !== this) : one ? [one] : []
      let taken = 0
      for (const port of targets) taken += port.#write(batch, frame, frame + 1)
      if (taken < targets.length || (verdict !== FLOOD && !one)) verdicts[frame] = REFUSED
      moved += taken
    }
    return moved
  }

  #write(batch: FrameBatch, from: number, to: number): number {
    const { bytes, offsets, lengths, vnetHeaderSize } = batch
    const written = this.#native.write(bytes, offsets, lengths, vnetHeaderSize, from, to)
    if (this.mirror && written > 0) this.mirror(batch, from, from + written, 'outbound')
    return written
  }

  #read(batch: FrameBatch, spin: number): number {
    this.#assertUsable()
    if (batch.vnetHeaderSize !== this.vnetHeaderSize) {
      throw invalidArgument('batch', `one with a vnetHeaderSize of ${this.vnetHeaderSize}`, batch.vnetHeaderSize)
    }
    const { bytes, offsets, lengths, vnetHeaderSize, headroom, room } = batch
    batch.clear()
    const frames = this.#native.read(bytes, offsets, lengths, vnetHeaderSize, headroom, room, spin)
    if (frames < 0) throw this.#error(frames, 'read')
    batch.length = frames
    if (this.mirror && frames > 0) this.mirror(batch, 0, frames, 'inbound')
    return frames
  }

  /** False when the queue was closed meanwhile. */
  async #untilReadable(signal: AbortSignal | undefined): Promise<boolean> {
    try {
      await this.#until(READABLE, signal)
      return true
    } catch (error) {
      if (this.#closed && error instanceof LinkwrightError && error.code === 'ERR_CLOSED') return false
      throw error
    }
  }

  async #until(events: number, signal: AbortSignal | undefined): Promise<void> {
    this.#assertUsable()
    if (!this.#readiness) {
      this.#readiness = new Readiness(this.#fd)
      this.#held.poller = this.#readiness.poller
      if (!this.#keepAlive) this.#readiness.unref()
    }
    await this.#readiness.until(events, signal)
  }

  /** The device was deleted, though its descriptor takes frames as before. */
  #leave(): void {
    this.#gone = this.#error(ENOLINK, 'read')
    this.#native.close()
    this.#held.watch?.[Symbol.dispose]()
    this.#readiness?.fail(this.#gone)
  }

  #assertUsable(): void {
    if (this.#closed) throw closedError(`the queue of ${this.#source.name}`)
    if (this.#gone) throw this.#gone
  }

  #error(errno: number, syscall: string): LinkwrightError {
    return systemError({ errno, syscall, link: this.#source.name, diagnosis: DIAGNOSES[errnoName(errno)] })
  }
}

/** What has to be closed when a queue is collected. */
interface Held {
  readonly name: string
  /** What it owns of the descriptor, if it does. */
  readonly descriptors: NativeDescriptors | undefined
  readonly watch: Disposable | undefined
  poller: NativePoller | undefined
}

/** A queue of its own descriptor that is collected while open is a mistake of the program; others go with their device. */
const leaks = new FinalizationRegistry<Held>(({ descriptors, watch, poller, name }) => {
  watch?.[Symbol.dispose]()
  poller?.close()
  if (!descriptors) return
  void descriptors.close()
  process.emitWarning(`a queue of ${name} was garbage-collected while open; call close()`, { code: 'LINKWRIGHT_LEAK' })
})

/** Milliseconds between two looks at a device that does not tell that it was deleted, and is in a namespace not known. */
const LOOK_EVERY = 1000

function lookAfter(fd: number, gone: () => void): Disposable {
  const looking = setInterval(() => void addon().tunGetInterface(fd).catch(gone), LOOK_EVERY).unref()
  return { [Symbol.dispose]: () => clearInterval(looking) }
}

/** Device number of /dev/net/tun (10, 200), whose descriptors tell when their device is deleted. */
const TUN_NODE = 0x0ac8
/** linux/if_tun.h */
const IFF_TUN = 1
const IFF_VNET_HDR = 0x4000
const ENOLINK = -constants.errno.ENOLINK

const DIAGNOSES: Record<string, string> = {
  EBADFD: 'the device was deleted',
  ENOLINK: 'the link was deleted',
  EIO: 'the link is down',
  EOPNOTSUPP: 'the frame asks for segmentation or a checksum, and the device has no virtio-net header to say so'
}

/** How long to go on asking: as long as it pays. */
class Spinning {
  nanoseconds: number
  readonly #most: number

  constructor(most: number) {
    this.#most = most
    this.nanoseconds = most
  }

  note(success: boolean): void {
    if (this.#most === 0) return
    // Eight misses in a row leave a 256th, which costs nothing; one hit is enough to be patient again.
    this.nanoseconds = success ? this.#most : Math.max(this.nanoseconds >> 1, this.#most >> 8)
  }
}

function range(name: string, value: number, least: number, most: number): void {
  if (typeof value !== 'number' || !(value >= least && value <= most)) {
    throw invalidArgument(name, `a number from ${least} to ${most}`, value)
  }
}
