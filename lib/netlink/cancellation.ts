/** When to give up: a signal and a time limit as one. */
import { invalidArgument, LinkwrightError } from '../errors.js'

export interface CallOptions {
  /** Gives the operation up; the promise rejects with the signal's reason, and the socket stays usable. */
  signal?: AbortSignal | undefined
  /** Milliseconds after which it rejects with `ERR_TIMEOUT`; the socket stays usable. `Infinity` is no limit. */
  timeout?: number | undefined
}

/** The longest that a timer of Node's runs. */
const LONGEST_TIMER = 2 ** 31 - 1

export class Cancellation {
  readonly #signal: AbortSignal | undefined
  readonly #timeout: number
  readonly #deadline: number
  /** A timer may fire a moment before the clock says so. */
  #expired = false

  constructor({ signal, timeout = Number.POSITIVE_INFINITY }: CallOptions) {
    if (signal !== undefined && !(signal instanceof AbortSignal))
      throw invalidArgument('signal', 'an AbortSignal', signal)
    if (typeof timeout !== 'number' || !(timeout >= 0)) throw invalidArgument('timeout', 'milliseconds from 0', timeout)
    this.#signal = signal
    this.#timeout = timeout
    this.#deadline = timeout === Number.POSITIVE_INFINITY ? timeout : performance.now() + timeout
  }

  /** Why the caller has given up, if so. */
  get givenUp(): { reason: unknown } | undefined {
    if (this.#signal?.aborted) return { reason: this.#signal.reason }
    if (this.#deadline === Number.POSITIVE_INFINITY) return undefined
    if (!this.#expired && performance.now() < this.#deadline) return undefined
    return { reason: new LinkwrightError(`not done within ${this.#timeout} ms`, { code: 'ERR_TIMEOUT' }) }
  }

  throwIfGivenUp(): void {
    const given = this.givenUp
    if (given) throw given.reason
  }

  /** Calls `giveUp` when the time has come. Returns what stops watching. */
  watch(giveUp: () => void): () => void {
    this.#signal?.addEventListener('abort', giveUp, { once: true })
    const expire = () => {
      this.#expired = true
      giveUp()
    }
    const left = Math.min(this.#deadline - performance.now(), LONGEST_TIMER)
    const timer = this.#deadline === Number.POSITIVE_INFINITY ? undefined : setTimeout(expire, left)
    return () => {
      this.#signal?.removeEventListener('abort', giveUp)
      clearTimeout(timer)
    }
  }
}
