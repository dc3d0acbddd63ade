/** TAPs that are ready before somebody wants one. */
import { setImmediate } from 'node:timers/promises'
import { closedError, invalidArgument } from '../errors.js'
import type { FrameBatch } from '../frames/batch.js'
import type { ChangeLink } from '../link/link-options.js'
import { Netlink } from '../link/netlink.js'
import { Cancellation } from '../netlink/cancellation.js'
import type { CallOptions } from '../netlink/socket.js'
import { closeTunDevices } from './close-many.js'
import { Tap, type TapOptions } from './tap.js'

export interface TapPoolOptions extends Omit<TapOptions, 'persist' | 'exclusive' | 'index' | 'signal'> {
  /** Name of each, with `%d` for the first free number; left out, the kernel chooses (`tap0`). */
  name?: string | undefined
  /** TAPs that are kept ready; 16 by default. */
  size?: number | undefined
  /** More are opened as soon as fewer are ready; half of `size` by default. */
  refillBelow?: number | undefined
}

/** What a TAP gets when it is taken. */
export type TakeSettings = ChangeLink & {
  /** For the host's side: `192.0.2.1/24`, `2001:db8::1/64`. */
  addresses?: string[] | undefined
}

/** Contradict what a pool is. */
const REFUSED = ['persist', 'exclusive', 'index', 'signal']
/** Batches of frames thrown away at most when a TAP is taken: a ring holds 1,000 frames by default. */
const STALE_BATCHES = 64

interface Waiter {
  resolve(tap: Tap): void
  reject(error: unknown): void
}

/**
 * A pool of TAPs that are made, attached and up, so that a guest's NIC is there in microseconds. More are made in the
 * background; what is left is closed with the pool, and what was taken is the taker's.
 */
export class TapPool {
  readonly #tap: TapOptions
  readonly #size: number
  readonly #refillBelow: number
  readonly #net: Netlink
  readonly #ready: Tap[] = []
  readonly #waiters = new Set<Waiter>()
  /** Whether the Netlink is the pool's to close. */
  readonly #ownNet: boolean
  #stale: FrameBatch | undefined
  #filling: Promise<void> | undefined
  #closing: Promise<void> | undefined

  private constructor(options: TapPoolOptions, net: Netlink) {
    const { size = 16, refillBelow = Math.ceil(size / 2), ...tap } = options
    this.#tap = { ...tap, net, netns: undefined }
    this.#size = size
    this.#refillBelow = refillBelow
    this.#net = net
    this.#ownNet = options.net === undefined
  }

  /**
   * Resolves when the pool is full.
   *
   * @throws LinkwrightError what opening a TAP runs into; nothing stays then
   */
  static async open(options: TapPoolOptions = {}): Promise<TapPool> {
    check(options)
    const net = options.net ?? (await Netlink.open({ netns: options.netns }))
    const pool = new TapPool(options, net)
    try {
      await pool.#fill()
      return pool
    } catch (error) {
      await pool.close()
      throw error
    }
  }

  /** TAPs that can be taken at once. */
  get ready(): number {
    return this.#ready.length
  }

  get closed(): boolean {
    return this.#closing !== undefined
  }

  /**
   * Takes a TAP that is ready, without waiting: `undefined` when there is none. Frames that a bridge sent to it meanwhile
   * are thrown away, and TAPs that somebody deleted are left out.
   */
  takeNow(): Tap | undefined {
    if (this.closed) throw closedError('the pool')
    let tap: Tap | undefined
    do tap = this.#ready.pop()
    while (tap && !this.#isFresh(tap))
    // What goes wrong is told to those who wait, and tried again when the next one is taken.
    if (this.#ready.length < this.#refillBelow) this.#fill().catch(() => {})
    return tap
  }

  /**
   * Takes a TAP, as soon as there is one, and gives it its settings: MAC address, alias, name, addresses, … If that fails
   * the TAP is closed.
   *
   * @throws LinkwrightError `ERR_CLOSED`, `ERR_TIMEOUT`, what opening runs into, and what the settings run into
   */
  async take(settings: TakeSettings = {}, options: CallOptions = {}): Promise<Tap> {
    const cancel = new Cancellation(options)
    cancel.throwIfGivenUp()
    const tap = this.takeNow() ?? (await this.#wait(cancel))
    const { addresses = [], ...link } = settings
    // An alias alone would replace the words that tell the owner.
    if (link.alias !== undefined && link.owner === undefined) link.owner = this.#tap.owner
    try {
      if (Object.values(link).some(value => value !== undefined))
        await this.#net.links.set(tap.index, link as ChangeLink, options)
      for (const address of addresses) await this.#net.addresses.add({ link: tap.index, address }, options)
      return tap
    } catch (error) {
      await tap.close()
      throw error
    }
  }

  /** Closes what was not taken. Those who wait for a TAP get `ERR_CLOSED`. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#drain()
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #drain(): Promise<void> {
    this.#refuse(closedError('the pool'))
    await this.#filling?.catch(() => {})
    await closeTunDevices(this.#ready.splice(0))
    if (this.#ownNet) this.#net.close()
  }

  /** Whether nobody deleted it; what has come for nobody is thrown away. */
  #isFresh(tap: Tap): boolean {
    try {
      for (let queue = 0; queue < (this.#tap.queues ?? 1); queue++) {
        using frames = tap.frames({ queue })
        this.#stale ??= frames.createBatch()
        for (let i = 0; i < STALE_BATCHES && frames.readBatch(this.#stale) > 0; i++);
      }
      return true
    } catch {
      void tap.close()
      return false
    }
  }

  #wait(cancel: Cancellation): Promise<Tap> {
    return new Promise((resolve, reject) => {
      const settle = () => {
        this.#waiters.delete(waiter)
        unwatch()
      }
      const waiter: Waiter = {
        resolve: tap => {
          settle()
          resolve(tap)
        },
        reject: error => {
          settle()
          reject(error)
        }
      }
      const unwatch = cancel.watch(() => waiter.reject(cancel.givenUp?.reason))
      this.#waiters.add(waiter)
      this.#fill().catch(error => this.#refuse(error))
    })
  }

  #refuse(error: unknown): void {
    for (const waiter of [...this.#waiters]) waiter.reject(error)
  }

  /** Opens what is missing, for those who wait first. */
  #fill(): Promise<void> {
    this.#filling ??= this.#open()
    return this.#filling
  }

  async #open(): Promise<void> {
    // Who takes one is not kept waiting by it.
    await setImmediate()
    try {
      while (!this.closed && this.#missing > 0) await this.#openSome(this.#missing)
    } finally {
      // At once: who comes from now on would wait for what has ended.
      this.#filling = undefined
    }
  }

  get #missing(): number {
    return this.#size + this.#waiters.size - this.#ready.length
  }

  async #openSome(missing: number): Promise<void> {
    const results = await Tap.openMany(Array.from({ length: missing }, () => this.#tap))
    let failure: { reason: unknown } | undefined
    for (const result of results) {
      if (result.status === 'rejected') failure ??= result
      else this.#offer(result.value)
    }
    if (failure) throw failure.reason
  }

  #offer(tap: Tap): void {
    const [first] = this.#waiters
    if (first) first.resolve(tap)
    else this.#ready.push(tap)
  }
}

function check(options: TapPoolOptions): void {
  const { size = 16, refillBelow = 1, name, netns } = options
  if (!Number.isInteger(size) || size < 1) throw invalidArgument('size', 'a number of TAPs from 1', size)
  if (!Number.isInteger(refillBelow) || refillBelow < 0 || refillBelow > size) {
    throw invalidArgument('refillBelow', `a number of TAPs from 0 to ${size}`, refillBelow)
  }
  for (const key of REFUSED) {
    const value = (options as Record<string, unknown>)[key]
    if (value !== undefined) throw invalidArgument(key, 'nothing in a pool', value)
  }
  if (name !== undefined && !String(name).includes('%d')) throw invalidArgument('name', 'a name with %d', name)
  if (typeof netns === 'object' && netns !== null && 'new' in netns) {
    throw invalidArgument('netns', 'a namespace that is there (a new one would be made for each TAP)', netns)
  }
}
