/** Telling how far something is. */

/** What the callback throws must not cut short what it is told of: that would leave it half done. It is thrown at the end. */
export class Progress<Total> {
  readonly #callback: ((done: number, total: Total) => void) | undefined
  #thrown: { error: unknown } | undefined

  constructor(callback: ((done: number, total: Total) => void) | undefined) {
    this.#callback = callback
  }

  /** Whether the callback has thrown. */
  get failed(): boolean {
    return this.#thrown !== undefined
  }

  report(done: number, total: Total): void {
    if (this.#thrown) return
    try {
      this.#callback?.(done, total)
    } catch (error) {
      this.#thrown = { error }
    }
  }

  /** Throws what the callback threw. */
  end(): void {
    if (this.#thrown) throw this.#thrown.error
  }
}
