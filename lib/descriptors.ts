/** Descriptors that are handed out, with an owner in JavaScript. */
import type { NativeDescriptors } from './addon.js'
import { closedError } from './errors.js'

/** Open descriptors: closed by `close()`, by `using`, or, with a warning, when the object is collected. */
export class Descriptors {
  readonly #native: NativeDescriptors
  readonly #what: string
  #done: Promise<void> | undefined

  /** @internal */
  constructor(native: NativeDescriptors, what: string) {
    this.#native = native
    this.#what = what
    leaks.register(this, { native, what }, this)
  }

  /** Empty once closed or released. */
  get fds(): number[] {
    return this.#native.fds
  }

  get closed(): boolean {
    return this.#done !== undefined
  }

  /** Gives them up: they are the caller's to close, and the object is closed. */
  release(): number[] {
    if (this.closed) throw closedError(this.#what)
    leaks.unregister(this)
    this.#done = Promise.resolve()
    return this.#native.release()
  }

  /** Closes all of them on another thread. Idempotent. */
  close(): Promise<void> {
    if (!this.#done) {
      leaks.unregister(this)
      this.#done = this.#native.close()
    }
    return this.#done
  }

  /** Closes without waiting. */
  [Symbol.dispose](): void {
    void this.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

/** What is collected while open is a mistake of the program: it is closed, with a warning. */
const leaks = new FinalizationRegistry<{ native: NativeDescriptors; what: string }>(({ native, what }) => {
  void native.close()
  process.emitWarning(`the descriptors of ${what} were garbage-collected while open; call close()`, {
    code: 'LINKWRIGHT_LEAK'
  })
})
