/** What pipes and switches have in common: ports, threads that move frames between them, and an end. */
import { addon, type NativeForwarder, type NativePortSettings } from '../addon.js'
import { closedError, invalidArgument, nativeError } from '../errors.js'
import type { Layer } from '../frames/mirror.js'
import { boolean, type Check, checkOptions, signal as signalCheck } from '../tap/checks.js'
import { QueueDevice } from '../tap/queue-device.js'
import { attach, type PortOptions, type PortSource } from './attachment.js'
import { addCounts, type PortCounts } from './counters.js'
import type { ForwardedPort, PortControl } from './forwarded-port.js'
import { integerFrom, numberFrom, text } from './options.js'
import { Port } from './port.js'

export interface ForwardOptions {
  /** What its threads are called (`NAME-0`, …), as `top -H` shows them; 11 bytes are kept. */
  name?: string | undefined
  /** Most threads, from 1 to 1024. One a queue by default, up to 64; above that queues share them. */
  threads?: number | undefined
  /**
   * Microseconds to go on asking for frames after the last one before a thread sleeps: a shorter delay for a busy
   * processor. 0 by default; of no use where there are not more processors than threads.
   */
  busyPoll?: number | undefined
  /**
   * Milliseconds that a port without room is waited for before frames for it are dropped, which holds up whatever came
   * from the same queue. Once in vain, it is not waited for again until it takes all that it is given.
   */
  patience?: number | undefined
  /** Merge TCP and UDP segments (GRO) for ports that take super-frames. Off by default. */
  merge?: boolean | undefined
  signal?: AbortSignal | undefined
}

export interface CloseOptions {
  /** Forward what waits to be read at the ports as well. */
  drain?: boolean | undefined
  /** Milliseconds that this may take; 1000 by default. */
  timeout?: number | undefined
}

export const FORWARD_CHECKS: Record<keyof ForwardOptions, Check> = {
  name: text,
  threads: integerFrom(1, 1024, 'threads'),
  busyPoll: numberFrom(0, 1_000_000, 'microseconds'),
  patience: numberFrom(0, 60_000, 'milliseconds'),
  merge: boolean,
  signal: signalCheck
}

const CLOSE_CHECKS: Record<keyof CloseOptions, Check> = {
  drain: boolean,
  timeout: integerFrom(1, 3_600_000, 'milliseconds')
}

const DEFAULT_DRAIN = 1000

/** A port, or one with options. */
export type PortGiven<Options extends PortOptions> = PortSource | ({ readonly port: PortSource } & Options)

/** Takes a port and its options apart, and checks the latter. */
export function portAndOptions<Options extends PortOptions>(
  given: PortGiven<Options>,
  checks: Record<keyof Options, Check>,
  path: string
): { source: PortSource; options: Options } {
  if (typeof given !== 'object' || given === null) throw invalidArgument(path, 'a port, or { port, … }', given)
  if (given instanceof QueueDevice || given instanceof Port) return { source: given, options: {} as Options }
  const { port, ...options } = given
  checkOptions(options, checks, path)
  return { source: port, options: options as unknown as Options }
}

/** Frames move on native threads; JavaScript only says between which ports. */
export abstract class Forwarder<P extends ForwardedPort = ForwardedPort> {
  /** @internal */
  protected readonly native: NativeForwarder
  /** By id, in the order of adding. */
  readonly #ports = new Map<number, P>()
  /** Those that threads may still use. */
  readonly #leaving = new Map<number, P>()
  readonly #control: PortControl
  /** What ports that left have moved. */
  #left: PortCounts = addCounts()
  readonly #what: string
  #closing: Promise<void> | undefined

  /** @internal */
  protected constructor(what: string, options: Parameters<ReturnType<typeof addon>['createForwarder']>[0]) {
    this.#what = what
    const ports = this.#ports
    const leaving = this.#leaving
    this.native = addon().createForwarder(options, (id, event, errno) =>
      (ports.get(id) ?? leaving.get(id))?.tell(event, errno)
    )
    // Neither the addon nor ports that somebody keeps hold on to this object.
    const self = new WeakRef(this)
    const gone = (id: number) => {
      const forwarder = self.deref()
      if (forwarder) forwarder.#forget(id)
    }
    this.#control = { native: this.native, gone }
    leaks.register(this, { native: this.native, ports, what }, this)
  }

  get closed(): boolean {
    return this.#closing !== undefined
  }

  /** What all ports have moved together, those that left included. Read without a call into native code. */
  get counters(): PortCounts {
    return addCounts(
      this.#left,
      ...[...this.#ports.values(), ...this.#leaving.values()].map(({ counters }) => counters.toJSON())
    )
  }

  /** Keeps the process alive while it is open, which is the default. */
  ref(): this {
    this.native.ref()
    return this
  }

  /** Lets the process end although it is open. */
  unref(): this {
    this.native.unref()
    return this
  }

  /**
   * Ends. Frames that were read are sent; with `drain` those as well that wait to be read, as far as `timeout` allows.
   * Devices stay open. Idempotent.
   */
  close(options: CloseOptions = {}): Promise<void> {
    checkOptions(options, CLOSE_CHECKS)
    this.#closing ??= this.#close(options.drain ? (options.timeout ?? DEFAULT_DRAIN) : 0)
    return this.#closing
  }

  /** Closes without waiting. */
  [Symbol.dispose](): void {
    void this.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** @internal */
  protected list(): P[] {
    return [...this.#ports.values()]
  }

  /** @internal */
  protected assertOpen(): void {
    if (this.closed) throw closedError(this.#what)
  }

  /** @internal */
  protected async join<O extends PortOptions>(
    source: PortSource,
    options: O,
    layer: Layer | undefined,
    path: string,
    settings: NativePortSettings,
    make: (...parameters: ConstructorParameters<typeof ForwardedPort>) => P
  ): Promise<P> {
    const { name, queues, offloads, maxFrame, signal } = options
    this.assertOpen()
    signal?.throwIfAborted()
    const attachment = await attach(source, { name, queues, offloads, maxFrame }, path)
    let port: P | undefined
    try {
      this.assertOpen()
      if (layer !== undefined && attachment.layer !== layer) throw wrongLayer(path, layer, attachment.layer)
      port = make(attachment, this.#control, settings)
      this.#ports.set(port.id, port)
      await port.watch()
      signal?.throwIfAborted()
      this.assertOpen()
      // Nobody could listen for it yet.
      if (port.lost) throw port.lost
      return port
    } catch (error) {
      if (port) await this.part(port)
      else await attachment.release()
      throw nativeError(error, { link: attachment.name })
    }
  }

  /** @internal Whether it is, or was, one of its ports. */
  protected owns(port: P): boolean {
    return port.isOf(this.#control)
  }

  /** @internal */
  protected async part(port: P): Promise<void> {
    this.#forget(port.id)
    await port.leave()
  }

  #forget(id: number): void {
    const port = this.#ports.get(id)
    if (!port) return
    this.#ports.delete(id)
    this.#leaving.set(id, port)
    const left = () => {
      this.#leaving.delete(id)
      this.#left = addCounts(this.#left, port.counters.toJSON())
    }
    port.leave().then(left, left)
  }

  async #close(drain: number): Promise<void> {
    leaks.unregister(this)
    await this.native.close(drain)
    await Promise.all([...this.#ports.values(), ...this.#leaving.values()].map(port => port.ended()))
  }
}

function wrongLayer(path: string, wanted: Layer, got: Layer): Error {
  const what = { ethernet: 'Ethernet frames', ip: 'IP packets without Ethernet headers (a TUN)' }
  return invalidArgument(path, `a port of ${what[wanted]}`, `one of ${what[got]}`)
}

/** One that is collected while open is a mistake of the program: it is closed, with a warning. */
const leaks = new FinalizationRegistry<{ native: NativeForwarder; ports: Map<number, ForwardedPort>; what: string }>(
  ({ native, ports, what }) => {
    void native.close(0).then(() => Promise.all([...ports.values()].map(port => port.ended())))
    process.emitWarning(`${what} was garbage-collected while open; call close()`, { code: 'LINKWRIGHT_LEAK' })
  }
)
