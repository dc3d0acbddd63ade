/** Following the kernel's tables: a snapshot, then what differs from it, so that whoever applies it has the kernel's state. */
import type { WatchCore } from './core.js'
import type { WatchEvent, WatchedLists, WatchSnapshot } from './events.js'

/**
 * Events of one consumer, in order: the snapshot, then changes. It begins with the first call of `next()`.
 *
 * What the kernel announces is taken as a hint only; what differs is read from its tables. So several changes that happen
 * before they are read are told as one, and something that came and went meanwhile is not told at all.
 */
export class Watch<L extends keyof WatchedLists = keyof WatchedLists> implements AsyncIterableIterator<WatchEvent<L>> {
  readonly #core: WatchCore
  readonly #events: AsyncGenerator<WatchEvent<L>, void, void>
  readonly #start: () => () => void
  #stop: (() => void) | undefined

  /**
   * @param start called when it begins; what it returns is called when it ends
   * @internal
   */
  constructor(core: WatchCore, start: () => () => void) {
    this.#core = core
    this.#events = core.events() as AsyncGenerator<WatchEvent<L>, void, void>
    this.#start = start
  }

  /**
   * The next event. While it is waited for, the process stays alive (see {@link unref}).
   *
   * @throws LinkwrightError `ERR_CLOSED` when the `Netlink` was closed; the signal's reason; what the sockets fail with when
   * opening them anew does not help
   */
  async next(): Promise<IteratorResult<WatchEvent<L>, undefined>> {
    this.#begin()
    this.#core.waiting = true
    try {
      const result = await this.#events.next()
      if (result.done) this.#finish()
      return result as IteratorResult<WatchEvent<L>, undefined>
    } catch (error) {
      this.#finish()
      throw error
    } finally {
      this.#core.waiting = false
    }
  }

  /** Closes it, as leaving a `for await` loop does. */
  async return(): Promise<IteratorResult<WatchEvent<L>, undefined>> {
    await this.close()
    return { done: true, value: undefined }
  }

  /** All that is known now, which may be ahead of the events that wait to be taken. */
  snapshot(): WatchSnapshot<L> {
    return this.#core.snapshot() as WatchSnapshot<L>
  }

  /**
   * Reads all tables again: for what the kernel changes without a word, such as settings of sysctl. It becomes a `resync`,
   * with the differences.
   */
  refresh(): void {
    this.#core.refresh()
  }

  /** Lets waiting for an event keep the process alive (the default). */
  ref(): this {
    this.#core.keepAlive = true
    return this
  }

  /** Lets the process end while an event is waited for. */
  unref(): this {
    this.#core.keepAlive = false
    return this
  }

  /** Ends the iteration and closes the sockets. Idempotent. */
  async close(): Promise<void> {
    this.#finish()
    await this.#core.end('closed')
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #begin(): void {
    if (this.#stop) return
    const stop = this.#start()
    this.#stop = stop
    leaks.register(this, { core: this.#core, stop }, this)
  }

  #finish(): void {
    leaks.unregister(this)
    this.#stop?.()
  }
}

/** What is collected while open is a mistake of the program: it is closed, with a warning. */
const leaks = new FinalizationRegistry<{ core: WatchCore; stop: () => void }>(({ core, stop }) => {
  stop()
  void core.end('closed')
  process.emitWarning('a watch was garbage-collected while open; call close()', { code: 'LINKWRIGHT_LEAK' })
})
