/** When what was recorded is due, and waiting until then. */
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'

/** A timer may be late by a millisecond or two; the rest is waited for turn by turn of the event loop. */
const COARSE = 2
/** The longest that a timer of Node's runs. */
const LONGEST_TIMER = 2 ** 31 - 1
const NANOSECONDS_OF_MILLISECOND = 1e6

/**
 * Moves times of a recording to now. Each is reckoned from the beginning by the monotonic clock, so that delays of single
 * frames do not add up.
 */
export class Pacer {
  readonly #speed: number
  readonly #precise: boolean
  /** When the recording began, then and now. */
  #origin: bigint | undefined
  #start = 0
  /** When the frame before was due. */
  #last = 0

  /** @param speed times faster than recorded; `Infinity` does not wait */
  constructor(speed: number, precise: boolean) {
    this.#speed = speed
    this.#precise = precise
  }

  /**
   * Milliseconds of `performance.now()` at which a frame is due: never before the one before it.
   *
   * @param timestamp nanoseconds, 0 if it is not known
   */
  due(timestamp: bigint): number {
    if (this.#speed === Number.POSITIVE_INFINITY) return 0
    if (this.#last === 0) this.#last = performance.now()
    if (timestamp === 0n) return this.#last
    if (this.#origin === undefined) {
      this.#origin = timestamp
      this.#start = this.#last
    }
    const elapsed = Number(timestamp - this.#origin) / NANOSECONDS_OF_MILLISECOND / this.#speed
    this.#last = Math.max(this.#last, this.#start + elapsed)
    return this.#last
  }

  /** The recording begins anew, right behind its end. */
  rewind(): void {
    this.#origin = undefined
  }

  /** Waits until then. Rejects with the signal's reason. */
  async until(due: number, signal: AbortSignal | undefined): Promise<void> {
    for (let left = due - performance.now(); left > 0; left = due - performance.now()) {
      signal?.throwIfAborted()
      const coarse = this.#precise ? left - COARSE : left
      if (coarse < 1 && this.#precise) await setImmediate()
      else await sleep(Math.min(Math.ceil(coarse), LONGEST_TIMER), undefined, { signal }).catch(() => {})
    }
    signal?.throwIfAborted()
  }
}
