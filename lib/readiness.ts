/** Waiting on the event loop until a descriptor is readable or writable. */
import { addon, type NativePoller } from './addon.js'

export const READABLE = 1
export const WRITABLE = 2

interface Waiting {
  events: number
  wake: (error?: unknown) => void
}

/** Those that somebody waits for: they must not be collected, although perhaps nothing else holds on to them. */
const awaited = new Set<Readiness>()

/** Who waits for a non-blocking descriptor, which stays the caller's. One at a time can watch a descriptor. */
export class Readiness {
  readonly #poller: NativePoller
  readonly #waiting: Waiting[] = []
  /** Events that the loop looks for. */
  #watched = 0
  #keepAlive = true
  #closed = false

  constructor(fd: number) {
    // The poller lives until it is closed, and must not keep alive what closes it.
    const self = new WeakRef(this)
    this.#poller = addon().createPoller(fd, (_error, events) => {
      const owner = self.deref()
      if (owner) owner.#ready(events)
    })
    this.#poller.unref()
  }

  /** What has to be closed when this is collected. */
  get poller(): NativePoller {
    return this.#poller
  }

  /** Waits for one of the events, or for an error to fetch. Rejects with the signal's reason, or when it is closed. */
  until(events: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted()
      const onAbort = () => entry.wake(signal?.reason)
      const entry: Waiting = {
        events,
        wake: error => {
          signal?.removeEventListener('abort', onAbort)
          const at = this.#waiting.indexOf(entry)
          if (at >= 0) this.#waiting.splice(at, 1)
          if (this.#waiting.length === 0) this.#nobodyWaits()
          if (error === undefined) resolve()
          else reject(error)
        }
      }
      this.#waiting.push(entry)
      signal?.addEventListener('abort', onAbort, { once: true })
      awaited.add(this)
      if (this.#keepAlive) this.#poller.ref()
      if ((this.#watched | events) !== this.#watched) this.#watch(this.#watched | events)
    })
  }

  /** Waiting keeps the process alive, which is the default. */
  ref(): void {
    this.#keepAlive = true
    if (this.#waiting.length > 0) this.#poller.ref()
  }

  /** Waiting does not keep the process alive. */
  unref(): void {
    this.#keepAlive = false
    this.#poller.unref()
  }

  /** Before the descriptor is closed; whoever waits gets the error. Idempotent. */
  close(error: unknown): void {
    if (this.#closed) return
    this.#closed = true
    this.#poller.close()
    this.fail(error)
  }

  /** Whoever waits gets the error; it can be waited for again. */
  fail(error: unknown): void {
    for (const { wake } of [...this.#waiting]) wake(error)
  }

  #nobodyWaits(): void {
    awaited.delete(this)
    if (!this.#closed) this.#poller.unref()
  }

  #ready(events: number): void {
    // After an error libuv looks no more, until it is told to.
    if (events === 0) this.#watch(0)
    const woken = this.#waiting.filter(entry => events === 0 || entry.events & events)
    for (const { wake } of woken) wake()
    // Watched on until an event comes that nobody waits for: whoever was woken mostly waits again, without a system call.
    if (woken.length === 0 && !this.#closed) {
      this.#watch(this.#waiting.reduce((mask, entry) => mask | entry.events, 0))
    }
  }

  #watch(events: number): void {
    this.#watched = events
    this.#poller.poll(events)
  }
}
