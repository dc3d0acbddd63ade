/** What frames can be forwarded from and to, beside devices. */
import type { NativePort } from '../addon.js'
import type { Place } from '../tap/place.js'

/**
 * A port that is no device: a UDP peer, a packet socket, a Unix socket. It can be one end of a `Pipe` or a port of a
 * `Switch`, one at a time. Closing it lets go of it; what forwards goes on with it until the port is removed there.
 */
export abstract class Port {
  /** What it is called in errors, events and the names of threads. */
  readonly name: string
  /** @internal */
  readonly native: NativePort
  #closing: Promise<void> | undefined

  /** @internal */
  protected constructor(native: NativePort, name: string) {
    this.native = native
    this.name = name
    leaks.register(this, { native, name, what: this.constructor.name }, this)
  }

  /** @internal The link that it stands and falls with, if there is one, and where that is. */
  get standsOn(): { readonly index: number; readonly place: Place } | undefined {
    return undefined
  }

  get closed(): boolean {
    return this.#closing !== undefined
  }

  /** Idempotent. */
  close(): Promise<void> {
    if (!this.#closing) {
      leaks.unregister(this)
      this.#closing = this.native.close()
    }
    return this.#closing
  }

  /** Closes without waiting. */
  [Symbol.dispose](): void {
    void this.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

/** A port that is collected while open is a mistake of the program: it is closed, with a warning. */
const leaks = new FinalizationRegistry<{ native: NativePort; name: string; what: string }>(({ native, name, what }) => {
  void native.close()
  process.emitWarning(`${what} ${name} was garbage-collected while open; call close()`, { code: 'LINKWRIGHT_LEAK' })
})
