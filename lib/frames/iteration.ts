/**
 * Batches as they come, as an async iterator. By hand, and not as an async generator, which needs several turns of the
 * microtask queue for each batch: a tenth of what its frames take.
 */
import { setImmediate } from 'node:timers/promises'
import type { FrameBatch } from './batch.js'

/** What is iterated over. */
export interface BatchSource {
  readonly closed: boolean
  /** Before the first batch: the batch that is filled. It throws where that is not possible. */
  begin(): FrameBatch
  /** Frames read, 0 if none was there. */
  read(batch: FrameBatch): number
  /** Waits for frames; false when the source was closed meanwhile. */
  readable(): Promise<boolean>
  /** After the last batch, if it has begun. */
  end(): void
}

type Result = IteratorResult<FrameBatch, void>

const DONE: Result = { value: undefined, done: true }

export class BatchIterator implements AsyncGenerator<FrameBatch, void, undefined> {
  readonly #source: BatchSource
  /** Milliseconds of reading after which the event loop turns. */
  readonly #budget: number
  readonly #signal: AbortSignal | undefined
  #batch: FrameBatch | undefined
  /** The same every time, as the batch is. */
  #result: Result = DONE
  #ended = false
  /** When the event loop turned last. */
  #turn = 0
  /** Nothing was there when it was looked for. */
  #idle = false
  /** Calls that are not answered yet, and the last of them: each waits for the one before. */
  #pending = 0
  #last: Promise<Result> | undefined

  constructor(source: BatchSource, budget: number, signal: AbortSignal | undefined) {
    this.#source = source
    this.#budget = budget
    this.#signal = signal
  }

  next(): Promise<Result> {
    if (this.#pending > 0) return this.#enqueue(() => this.#at() ?? this.#later())
    try {
      const result = this.#at()
      return result ? Promise.resolve(result) : this.#enqueue(() => this.#later())
    } catch (error) {
      this.#end()
      return Promise.reject(error)
    }
  }

  return(): Promise<Result> {
    return this.#enqueue(() => {
      this.#end()
      return DONE
    })
  }

  throw(error: unknown): Promise<Result> {
    return this.#enqueue(() => {
      throw error
    })
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return()
  }

  /** The result that there is without waiting, if there is one. */
  #at(): Result | undefined {
    if (this.#ended) return DONE
    this.#batch ??= this.#begin()
    if (this.#source.closed) return this.#end()
    this.#signal?.throwIfAborted()
    const overBudget = performance.now() - this.#turn >= this.#budget
    return overBudget ? undefined : this.#read(this.#batch)
  }

  async #later(): Promise<Result> {
    while (true) {
      if (!this.#idle) await setImmediate()
      else if (!(await this.#source.readable())) return this.#end()
      this.#turn = performance.now()
      if (this.#source.closed) return this.#end()
      this.#signal?.throwIfAborted()
      const result = this.#read(this.#batch as FrameBatch)
      if (result) return result
    }
  }

  #begin(): FrameBatch {
    const value = this.#source.begin()
    this.#result = { value, done: false }
    this.#turn = performance.now()
    return value
  }

  #read(batch: FrameBatch): Result | undefined {
    this.#idle = this.#source.read(batch) === 0
    return this.#idle ? undefined : this.#result
  }

  #end(): Result {
    if (!this.#ended && this.#batch) this.#source.end()
    this.#ended = true
    return DONE
  }

  #enqueue(action: () => Result | Promise<Result>): Promise<Result> {
    this.#pending++
    const answer = this.#answer(this.#last, action)
    this.#last = answer
    return answer
  }

  async #answer(before: Promise<Result> | undefined, action: () => Result | Promise<Result>): Promise<Result> {
    try {
      if (before) await before.catch(() => {})
      return await action()
    } catch (error) {
      this.#end()
      throw error
    } finally {
      if (--this.#pending === 0) this.#last = undefined
    }
  }
}
