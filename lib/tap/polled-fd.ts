/** A non-blocking descriptor with an owner, and who waits for it to be readable or writable. */
import { addon, type NativeDescriptors, type NativePoller } from '../addon.js'
import { closedError } from '../errors.js'

export const READABLE = 1
export const WRITABLE = 2

interface Waiting {
  events: number
  wake: (error?: unknown) => void
}

/** Those that somebody waits for: they must not be collected, although perhaps nothing else holds on to them. */
const awaited = new Set<PolledFd>()

export class PolledFd {
  readonly fd: number
  readonly #what: string
  readonly #descriptors: NativeDescriptors
  readonly #poller: NativePoller
  readonly #waiting: Waiting[] = []
  #closed = false

  /** Takes the descriptor over. */
  constructor(fd: number, what: string) {
    this.fd = fd
    this.#what = what
    this.#descriptors = addon().adoptDescriptors([fd])
    // The poller lives until it is closed, and must not keep alive what closes it.
    const self = new WeakRef(this)
    this.#poller = addon().createPoller(fd, (_error, events) => {
      const owner = self.deref()
      if (owner) owner.#ready(events)
    })
    leaks.register(this, { descriptors: this.#descriptors, poller: this.#poller, what }, this)
  }

  get closed(): boolean {
    return this.#closed
  }

  assertOpen(): void {
    if (this.#closed) throw closedError(this.#what)
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
          if (!this.#closed) this.#watch()
          if (error === undefined) resolve()
          else reject(error)
        }
      }
      this.#waiting.push(entry)
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#watch()
    })
  }

  ref(): void {
    this.#poller.ref()
  }

  unref(): void {
    this.#poller.unref()
  }

  /** Idempotent. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    awaited.delete(this)
    leaks.unregister(this)
    this.#poller.close()
    void this.#descriptors.close()
    for (const { wake } of this.#waiting.splice(0)) wake(closedError(this.#what))
  }

  #ready(events: number): void {
    for (const entry of [...this.#waiting]) if (events === 0 || entry.events & events) entry.wake()
  }

  #watch(): void {
    const events = this.#waiting.reduce((mask, entry) => mask | entry.events, 0)
    if (events === 0) awaited.delete(this)
    else awaited.add(this)
    this.#poller.poll(events)
  }
}

/** What is collected while open is a mistake of the program: it is closed, with a warning. */
const leaks = new FinalizationRegistry<{ descriptors: NativeDescriptors; poller: NativePoller; what: string }>(
  leaked => {
    leaked.poller.close()
    void leaked.descriptors.close()
    process.emitWarning(`${leaked.what} was garbage-collected while open; call close()`, { code: 'LINKWRIGHT_LEAK' })
  }
)
