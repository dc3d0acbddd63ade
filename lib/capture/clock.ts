/** The time of day in nanoseconds, which Node has only in milliseconds. */

const MILLISECOND = 1_000_000n

/**
 * The monotonic clock, moved by what keeps it within the millisecond that the system's clock shows before and after. It
 * never runs backwards, unless the system's clock is set.
 */
export class WallClock {
  #offset: bigint

  constructor() {
    // What Node noted at its start is exact to a microsecond, and right unless the clock was set since.
    const estimate = BigInt(Math.round((performance.timeOrigin + performance.now()) * 1000)) * 1000n
    this.#offset = estimate - process.hrtime.bigint()
  }

  /** Nanoseconds since 1970. */
  now(): bigint {
    const before = Date.now()
    const monotonic = process.hrtime.bigint()
    const after = Date.now()
    const least = BigInt(before) * MILLISECOND
    const most = BigInt(after + 1) * MILLISECOND - 1n
    const time = monotonic + this.#offset
    if (time < least) this.#offset = least - monotonic
    else if (time > most) this.#offset = most - monotonic
    return monotonic + this.#offset
  }
}
