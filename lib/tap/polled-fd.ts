/** A non-blocking descriptor with an owner, and who waits for it to be readable or writable. */
import { addon, type NativeDescriptors, type NativePoller } from '../addon.js'
import { closedError } from '../errors.js'
import { Readiness } from '../readiness.js'

export { READABLE, WRITABLE } from '../readiness.js'

export class PolledFd {
  readonly fd: number
  readonly #what: string
  readonly #descriptors: NativeDescriptors
  readonly #readiness: Readiness
  #closed = false

  /** Takes the descriptor over. */
  constructor(fd: number, what: string) {
    this.fd = fd
    this.#what = what
    this.#descriptors = addon().adoptDescriptors([fd])
    this.#readiness = new Readiness(fd)
    leaks.register(this, { descriptors: this.#descriptors, poller: this.#readiness.poller, what }, this)
  }

  get closed(): boolean {
    return this.#closed
  }

  assertOpen(): void {
    if (this.#closed) throw closedError(this.#what)
  }

  /** Waits for one of the events, or for an error to fetch. Rejects with the signal's reason, or when it is closed. */
  until(events: number, signal?: AbortSignal): Promise<void> {
    return this.#readiness.until(events, signal)
  }

  ref(): void {
    this.#readiness.ref()
  }

  unref(): void {
    this.#readiness.unref()
  }

  /** Idempotent. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    leaks.unregister(this)
    this.#readiness.close(closedError(this.#what))
    void this.#descriptors.close()
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
