/** What TAP, TUN and macvtap devices have in common: descriptors, one a queue, with an owner. */
import { type InspectOptions, inspect } from 'node:util'
import { addon, type NativeDescriptors, type TunIoctl } from '../addon.js'
import { closedError, LinkwrightError, nativeError } from '../errors.js'
import type { Layer } from '../frames/mirror.js'
import { FrameQueue, type FrameSource } from '../frames/queue.js'
import { checkKeys } from '../options.js'
import { vnetHeaderSize as checkSize } from './checks.js'
import { presetOffloads } from './offload-presets.js'
import type { Place } from './place.js'
import { type OffloadPreset, type Offloads, offloadMask, QUEUE_CHECKS } from './queue-options.js'
import { IFF } from './tun-constants.js'

/** What a descriptor says of itself (TUNGETIFF and friends). */
export interface QueueDescription {
  /** The device's name now. */
  name: string
  /** IFF_* */
  flags: number
  multiQueue: boolean
  vnetHeader: boolean
  /** Bytes of the virtio-net header. */
  vnetHeaderSize: number
  persist: boolean
  /** This queue is detached. */
  detached: boolean
}

const FRAMES_KEYS: ReadonlySet<string> = new Set(['queue'])

/** A device whose frames go through descriptors of this process. */
export abstract class QueueDevice {
  /** The device's ifindex in its namespace. */
  readonly index: number
  /** @internal */
  protected readonly descriptors: NativeDescriptors
  readonly #name: string
  readonly #frames = new Map<number, FrameQueue>()
  #vnetHeaderSize: number
  #closing: Promise<void> | undefined
  #released = false
  #handedOut = false

  protected constructor(descriptors: NativeDescriptors, name: string, index: number, vnetHeaderSize: number) {
    this.descriptors = descriptors
    this.#vnetHeaderSize = vnetHeaderSize
    this.#name = name
    this.index = index
    leaks.register(this, { descriptors, name, what: this.constructor.name }, this)
  }

  /** @internal The namespace that it was opened in; its descriptor is closed with the device. */
  abstract get place(): Place

  /** What its frames begin with. */
  get layer(): Layer {
    return 'ethernet'
  }

  /** The name that the device was opened with. */
  get name(): string {
    return this.#name
  }

  /**
   * The descriptors, one a queue; non-blocking and close-on-exec. Pass them in `stdio` of a child process, where they
   * become 3, 4, …; then do not read them here, for every open descriptor takes its share of the frames.
   */
  get fds(): number[] {
    this.#handedOut = true
    return this.descriptors.fds
  }

  /** @internal Whether somebody may have passed a descriptor on: another process may live by the device. */
  get handedOut(): boolean {
    return this.#handedOut
  }

  /** @internal The first descriptor, for a look at it. */
  get descriptor(): number {
    return this.queue(0)
  }

  /** @internal */
  get queues(): number {
    return this.descriptors.fds.length
  }

  /** The first descriptor. */
  get fd(): number {
    const [first] = this.fds
    if (first === undefined) throw closedError(this.#name)
    return first
  }

  get closed(): boolean {
    return this.#closing !== undefined || this.#released
  }

  /** Bytes of the virtio-net header before each frame; 0 without one. */
  get vnetHeaderSize(): number {
    return this.#vnetHeaderSize
  }

  /**
   * The frames of a queue, to be read and written in batches: `for await (const batch of tap.frames())`. The same object
   * every time until that is closed.
   */
  frames(options: { queue?: number | undefined } = {}): FrameQueue {
    checkKeys(options, FRAMES_KEYS)
    const { queue = 0 } = options
    const fd = this.queue(queue)
    const open = this.#frames.get(queue)
    if (open && !open.closed) return open
    const frames = FrameQueue.of(fd, this.#vnetHeaderSize, this.frameSource())
    this.#frames.set(queue, frames)
    return frames
  }

  /** What the device says of itself. `ENOLINK` or `EBADFD` when it was deleted. */
  async describe(queue = 0): Promise<QueueDescription> {
    const fd = this.queue(queue)
    const { name, flags } = await this.run(() => addon().tunGetInterface(fd), 'ioctl(TUNGETIFF)')
    const vnetHeaderSize = await this.ioctl('TUNGETVNETHDRSZ', 0, queue)
    return {
      name,
      flags,
      multiQueue: (flags & IFF.MULTI_QUEUE) !== 0,
      vnetHeader: (flags & IFF.VNET_HDR) !== 0,
      vnetHeaderSize,
      persist: (flags & IFF.PERSIST) !== 0,
      detached: (flags & IFF.DETACH_QUEUE) !== 0
    }
  }

  /** What the reader can take from now on. Device-wide, and kept by a persistent device. */
  async setOffloads(offloads: Offloads | OffloadPreset): Promise<void> {
    this.assertOpen()
    QUEUE_CHECKS.offloads(offloads, 'offloads')
    const resolved = typeof offloads === 'string' ? await presetOffloads(offloads) : offloads
    await this.ioctl('TUNSETOFFLOAD', offloadMask(resolved))
  }

  /** Size of the virtio-net header in bytes, from 10 to 64. Device-wide on TUN and TAP, of each queue on macvtap. */
  async setVnetHeaderSize(size: number): Promise<void> {
    this.assertOpen()
    checkSize(size, 'size')
    if ([...this.#frames.values()].some(frames => !frames.closed)) {
      throw new LinkwrightError(`the frames of ${this.#name} are in use; close them first`, {
        code: 'ERR_INVALID_STATE'
      })
    }
    for (let queue = 0; queue < this.queues; queue++) await this.ioctl('TUNSETVNETHDRSZ', size, queue)
    this.#vnetHeaderSize = size
  }

  /** @internal Asks the device: who was given the descriptors may have changed it, as QEMU does (12 bytes, virtio 1.0). */
  async readVnetHeaderSize(): Promise<void> {
    if (this.#vnetHeaderSize > 0) this.#vnetHeaderSize = await this.ioctl('TUNGETVNETHDRSZ', 0)
  }

  /** Takes a queue into use again (TUNSETQUEUE). */
  async attachQueue(queue: number): Promise<void> {
    await this.ioctl('TUNSETQUEUE', IFF.ATTACH_QUEUE, queue)
  }

  /** Parks a queue: it gets no frames until it is attached again. */
  async detachQueue(queue: number): Promise<void> {
    await this.ioctl('TUNSETQUEUE', IFF.DETACH_QUEUE, queue)
  }

  /** Gives the descriptors up: they are the caller's to close, and the object is closed. */
  release(): number[] {
    this.assertOpen()
    this.#released = true
    this.#closeFrames()
    leaks.unregister(this)
    return this.descriptors.release()
  }

  /**
   * Closes the descriptors on a thread of their own: it may take the kernel 100 ms. A TAP or TUN that is not persistent
   * is gone afterwards. Idempotent.
   */
  close(): Promise<void> {
    return this.closeAfter(undefined)
  }

  /** @internal Closed from now on, and its descriptors once something else is done. */
  closeAfter(before: Promise<unknown> | undefined): Promise<void> {
    if (this.#released) return Promise.resolve()
    if (!this.#closing) {
      leaks.unregister(this)
      this.#closeFrames()
      const close = () => this.descriptors.close()
      this.#closing = before ? before.then(close, close) : close()
    }
    return this.#closing
  }

  toJSON(): { name: string; index: number; fds: number[] } {
    return { name: this.#name, index: this.index, fds: this.descriptors.fds }
  }

  [inspect.custom](_depth: number, options: InspectOptions): string {
    return `${this.constructor.name} ${inspect(this.toJSON(), options)}`
  }

  /** Closes without waiting. */
  [Symbol.dispose](): void {
    void this.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** @internal It keeps the device, and so the descriptors, as long as the frames are in use. */
  protected frameSource(): FrameSource {
    return this
  }

  #closeFrames(): void {
    for (const frames of this.#frames.values()) frames.close()
  }

  /** @internal */
  protected assertOpen(): void {
    if (this.closed) throw closedError(this.#name)
  }

  /** @internal */
  protected queue(number: number): number {
    this.assertOpen()
    const fd = this.descriptors.fds[number]
    if (fd === undefined) throw closedError(`queue ${number} of ${this.#name}`)
    return fd
  }

  /** @internal */
  protected async ioctl(ioctl: TunIoctl, value: number, queue = 0): Promise<number> {
    const fd = this.queue(queue)
    return this.run(() => addon().tunIoctl(fd, ioctl, value), `ioctl(${ioctl})`)
  }

  /** @internal */
  protected async run<T>(action: () => Promise<T>, syscall: string): Promise<T> {
    try {
      return await action()
    } catch (error) {
      throw nativeError(error, { syscall, link: this.#name })
    }
  }
}

/** A device that is collected while open is a mistake of the program: it is closed, with a warning. */
const leaks = new FinalizationRegistry<{ descriptors: NativeDescriptors; name: string; what: string }>(leaked => {
  void leaked.descriptors.close()
  process.emitWarning(`${leaked.what} ${leaked.name} was garbage-collected while open; call close()`, {
    code: 'LINKWRIGHT_LEAK'
  })
})
