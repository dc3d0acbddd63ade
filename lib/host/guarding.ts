/** A guard for as long as a change needs one: where somebody kills it, another takes its place. */
import type { LinkwrightError } from '../errors.js'
import { Guard, type GuardOptions, type Restoration } from './guard.js'
import { assertRestored, undoNow } from './undoing.js'
import type { Operation } from './way-back.js'

export interface GuardingOptions extends Pick<GuardOptions, 'net' | 'outcomeFile'> {
  /** What would have to be carried out now. */
  back(): readonly Operation[]
  /** Told when the deadline came. */
  onRestored(restoration: Restoration): void
  onReplaced(): void
  /** Told why no other could be started: nobody restores when this process dies. */
  onUnguarded(error: unknown): void
}

export class Guarding {
  readonly #options: GuardingOptions
  #guard: Guard | undefined
  #replacing: Promise<void> | undefined
  /** Milliseconds; 0 for no deadline. */
  #within = 0

  constructor(options: GuardingOptions) {
    this.#options = options
  }

  get pid(): number | undefined {
    return this.#guard?.pid
  }

  /** From now on it restores when this process dies, or after so many milliseconds; 0 for no deadline. */
  async start(within: number): Promise<void> {
    this.#within = within
    await this.#begin()
  }

  /** Gives it what the way back has become. */
  async arm(): Promise<void> {
    await this.#replacing
    await this.#guard?.arm(this.#options.back())
  }

  /** The time begins anew. */
  async renewDeadline(): Promise<void> {
    await this.#replacing
    if (this.#within > 0) await this.#guard?.setDeadline(this.#within)
  }

  /** The change stays, and nothing is guarded any more. */
  async confirm(): Promise<void> {
    await this.#replacing
    const guard = this.#guard
    try {
      await guard?.confirm()
      this.#guard = undefined
    } catch (error) {
      if (guard && isLost(error)) await this.#replace(guard)
      throw error
    }
  }

  /** Puts back what was before; by another guard where there is none. @throws LinkwrightError `ERR_NOT_UNDONE` */
  async restore(cause: unknown): Promise<void> {
    await this.#replacing
    const { net, back } = this.#options
    const guard = this.#guard
    this.#guard = undefined
    if (!guard) return await undoNow(net, back())
    try {
      assertRestored(await guard.restore(), back(), cause)
    } catch (error) {
      if (!isLost(error)) throw error
      await undoNow(net, back())
    } finally {
      await guard.dismiss()
    }
  }

  /** Nothing was changed, so there is nothing to restore. */
  async dismiss(): Promise<void> {
    await this.#replacing
    const guard = this.#guard
    this.#guard = undefined
    await guard?.dismiss()
  }

  async #begin(): Promise<void> {
    const { net, outcomeFile, onRestored, back } = this.#options
    const onLost = () => void this.#replace(guard)
    const guard: Guard = await Guard.start({ net, outcomeFile, onRestored, onLost })
    this.#guard = guard
    try {
      await guard.arm(back())
      if (this.#within > 0) await guard.setDeadline(this.#within)
    } catch (error) {
      this.#guard = undefined
      await guard.dismiss()
      throw error
    }
  }

  async #replace(guard: Guard): Promise<void> {
    if (this.#guard !== guard) return
    this.#guard = undefined
    const { onReplaced, onUnguarded } = this.#options
    this.#replacing = this.#begin().then(onReplaced, onUnguarded)
    await this.#replacing
  }
}

const isLost = (error: unknown): boolean => (error as LinkwrightError).code === 'ERR_GUARD_LOST'
