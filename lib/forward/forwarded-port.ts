/** A port while frames go through it: what it is called, how it is, what it has moved. */
import { EventEmitter } from 'node:events'
import type { NativeForwarder, NativePortSettings } from '../addon.js'
import { errnoName, type LinkwrightError, systemError } from '../errors.js'
import type { Layer, Mirror, Mirrored } from '../frames/mirror.js'
import { type LinkWatcher, watchLink } from '../link/link-watch.js'
import { QueueDevice } from '../tap/queue-device.js'
import type { Attachment, PortSource } from './attachment.js'
import { PortCounters } from './counters.js'
import { MirroredCopies } from './mirrored-frames.js'

/**
 * `up`: frames pass, as far as the port itself goes. `down`: its link is down, or nobody is there (no datagram
 * socket at a path, no route to a UDP peer; whether that one listens is not known); frames for it are dropped and counted, and it is tried again with each. `gone`: its device was deleted or
 * its connection closed; it has left the forwarder. `removed`: by {@link Switch.removePort}, or with its forwarder.
 */
export type PortState = 'up' | 'down' | 'gone' | 'removed'

export interface PortEvents {
  up: []
  /** With what a read or write said, where nothing better is known. */
  down: [error?: LinkwrightError]
  /** It will never work again; it is given up already. */
  gone: [error: LinkwrightError]
}

/** @internal What a port needs of its forwarder. It must not lead to the forwarder's object, which may be collected. */
export interface PortControl {
  readonly native: NativeForwarder
  /** Forgets the port, which is gone. */
  gone(id: number): void
}

/** Bytes of any frame. */
const WHOLE = 0x7fff_ffff

/** Milliseconds between two looks at a device that left its namespace. */
const LOOK_EVERY = 1000

/** A port of a `Pipe` or a `Switch`. An `EventEmitter`: `up`, `down` and `gone`, when that changes. */
export class ForwardedPort extends EventEmitter<PortEvents> implements Mirrored {
  readonly name: string
  /** What was given: a device, or another port. */
  readonly source: PortSource
  /** They can be read at any time, and keep their last values. */
  readonly counters: PortCounters
  /** @internal */
  readonly id: number
  readonly #attachment: Attachment
  readonly #control: PortControl
  #settings: NativePortSettings
  #state: PortState = 'up'
  #watch: AsyncDisposable | undefined
  /** Whether it is announced when the link goes up and down: then what reads and writes tell comes too late. */
  #announced = false
  #looking: NodeJS.Timeout | undefined
  #mirror: Mirror | undefined
  #copies: MirroredCopies | undefined
  #leaving: Promise<void> | undefined
  #lost: LinkwrightError | undefined

  /** @internal */
  constructor(attachment: Attachment, control: PortControl, settings: NativePortSettings) {
    super()
    this.name = attachment.name
    this.source = attachment.source
    this.counters = new PortCounters(attachment.native.queues)
    this.#attachment = attachment
    this.#control = control
    this.#settings = settings
    this.id = control.native.addPort(attachment.native, this.counters.slots, settings)
  }

  get state(): PortState {
    return this.#state
  }

  /** @internal Why it is gone. */
  get lost(): LinkwrightError | undefined {
    return this.#lost
  }

  get paused(): boolean {
    return this.#settings.paused
  }

  /** Nothing is read from it and nothing sent to it until {@link resume}. Its own queue goes on filling, and drops. */
  pause(): void {
    this.change({ paused: true })
  }

  resume(): void {
    this.change({ paused: false })
  }

  /** What it carries. */
  get layer(): Layer {
    return this.#attachment.layer
  }

  /**
   * Sees copies of what is read from the port and written to it, for captures: `capture.mirror(port)` sets it. The threads
   * do not wait: what comes while 1024 frames or 1 MiB have not been looked at yet is counted in `lost`.
   */
  get mirror(): Mirror | undefined {
    return this.#mirror
  }

  set mirror(mirror: Mirror | undefined) {
    if (this.#leaving) return
    const { native } = this.#control
    // What was copied so far is for the one before.
    this.#show()
    this.#mirror = undefined
    this.#copies = undefined
    native.setMirror(this.id, 0)
    if (!mirror) return
    native.setMirror(this.id, Math.min(Math.max(mirror.snapLength ?? WHOLE, 1), WHOLE))
    this.#mirror = mirror
    this.#copies = new MirroredCopies()
  }

  /** @internal */
  protected get settings(): Readonly<NativePortSettings> {
    return this.#settings
  }

  /** @internal */
  protected change(settings: Partial<NativePortSettings>): void {
    ForwardedPort.change([this], settings)
  }

  /** @internal The same of several ports of a forwarder, at the same moment. */
  static change(ports: readonly ForwardedPort[], settings: Partial<NativePortSettings>): void {
    const changed = ports.filter(port => !port.#leaving)
    for (const port of ports) port.#settings = { ...port.#settings, ...settings }
    const [first] = changed
    if (first) first.#control.native.setPorts(changed.map(port => [port.id, port.#settings]))
  }

  /** @internal Whether it is a port of the forwarder that has this. */
  isOf(control: PortControl): boolean {
    return this.#control === control
  }

  /** @internal Hears of its link from now on. */
  async watch(): Promise<void> {
    const link = this.source instanceof QueueDevice ? this.source : this.source.standsOn
    if (!link) return
    // The watch outlives an object that is collected while open, and must not keep it.
    const self = new WeakRef(this)
    let looked: Promise<void> | undefined
    const watcher: LinkWatcher = {
      up: () => announce(self.deref(), 'up'),
      down: () => announce(self.deref(), 'down'),
      left() {
        const port = self.deref()
        if (port) looked = port.#left()
      }
    }
    const announce = (port: ForwardedPort | undefined, state: 'up' | 'down') => {
      if (port) port.#announce(state)
    }
    // A namespace that cannot be entered (any more) tells nothing.
    const watch = await watchLink(link.index, link.place.netns, watcher).catch(watcher.left)
    // One that has left already may be gone.
    await looked
    if (this.#leaving) await watch?.[Symbol.asyncDispose]()
    else this.#watch = watch ?? undefined
  }

  /** @internal What its threads met. */
  tell(event: 'up' | 'down' | 'gone' | 'mirrored', errno: number): void {
    if (event === 'mirrored') this.#show()
    else if (event === 'gone') this.#gone(errno)
    else if (!this.#announced) this.#become(event, errno)
  }

  /** @internal Leaves the forwarder, whose threads use it no longer afterwards. Idempotent. */
  leave(): Promise<void> {
    this.#leaving ??= this.#leave(this.#control.native.removePort(this.id))
    return this.#leaving
  }

  /** @internal The same when the forwarder's threads are gone. */
  ended(): Promise<void> {
    this.#leaving ??= this.#leave(Promise.resolve())
    return this.#leaving
  }

  async #leave(unused: Promise<void>): Promise<void> {
    clearInterval(this.#looking)
    if (this.#state !== 'gone') this.#state = 'removed'
    await Promise.all([unused, this.#watch?.[Symbol.asyncDispose]()])
    await this.#attachment.release()
  }

  #show(): void {
    const { native } = this.#control
    if (this.#mirror) this.#copies?.show(native, this.id, this.#mirror)
  }

  #announce(state: 'up' | 'down'): void {
    this.#announced = true
    this.#become(state, 0)
  }

  #become(state: 'up' | 'down', errno: number): void {
    if (this.#leaving || this.#state === state) return
    this.#state = state
    if (state === 'up') this.emit('up')
    else if (errno === 0) this.emit('down')
    else
      this.emit(
        'down',
        systemError({ errno, syscall: 'forwarding', link: this.name, diagnosis: DIAGNOSES[errnoName(errno)] })
      )
  }

  #gone(errno: number): void {
    if (this.#leaving) return
    const error = systemError({ errno, syscall: 'forwarding', link: this.name, diagnosis: DIAGNOSES[errnoName(errno)] })
    this.#state = 'gone'
    this.#lost = error
    this.#control.gone(this.id)
    this.leave().catch(() => {})
    this.emit('gone', error)
  }

  /** Its link is not in its namespace any more. If it was moved, frames pass as before, and nobody tells of it. */
  async #left(): Promise<void> {
    this.#announced = false
    await this.#look()
    if (this.#leaving) return
    const self = new WeakRef(this)
    const looking = setInterval(() => {
      const port = self.deref()
      if (port) void port.#look()
      else clearInterval(looking)
    }, LOOK_EVERY)
    this.#looking = looking.unref()
  }

  async #look(): Promise<void> {
    const errno = await this.#attachment.native.check().catch(() => 0)
    if (errno !== 0) this.#gone(errno)
  }
}

const DIAGNOSES: Record<string, string> = {
  EBADFD: 'the device was deleted',
  ENOLINK: 'the link was deleted',
  ENODEV: 'the link was deleted',
  EIO: 'the link is down',
  ECONNREFUSED: 'nobody listens at the peer',
  ECONNRESET: 'the peer is gone',
  EPIPE: 'the peer is gone'
}
