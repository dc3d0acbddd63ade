/** The steps of a plan as they are carried out, and the way back from there. */
import { setTimeout } from 'node:timers/promises'
import { LinkwrightError } from '../errors.js'
import type { ApplyOptions, PlanParts } from './plan-parts.js'
import type { Step, StepContext } from './step.js'
import type { Operation } from './way-back.js'

const VERIFICATIONS = 5
/** Milliseconds between them. */
const VERIFY_PAUSE = 200

export interface RunOptions extends Pick<ApplyOptions, 'onProgress'> {
  readonly signal: AbortSignal
  warn(code: string, message: string): void
  /** {@link Execution.back} has grown: resolves when the guard knows. */
  guard(): Promise<void>
  /** {@link Execution.wholeBack} has grown, too. */
  note(): void
}

export class Execution {
  readonly #parts: PlanParts
  #begun = 0
  /** What steps added to their ways back while they were carried out. */
  readonly #also = new Map<Step, readonly Operation[]>()

  constructor(parts: PlanParts) {
    this.#parts = parts
  }

  /** From the steps that were begun. What the others would undo is not this plan's. */
  get back(): readonly Operation[] {
    return this.#backFrom(this.#begun)
  }

  /** From all steps. */
  get wholeBack(): readonly Operation[] {
    return this.#backFrom(this.#parts.steps.length)
  }

  async run(options: RunOptions): Promise<void> {
    const { steps, net } = this.#parts
    const { signal, warn, onProgress } = options
    for (const [number, step] of steps.entries()) {
      signal.throwIfAborted()
      await this.#begin(options)
      onProgress?.({ step: step.name, state: 'started', number, total: steps.length })
      const context: StepContext = { net, signal, warn, undoAlso: (...more) => this.#undoAlso(step, more, options) }
      await step.apply(context)
      onProgress?.({ step: step.name, state: 'done', number, total: steps.length })
    }
    signal.throwIfAborted()
  }

  /** @throws LinkwrightError `ERR_NOT_APPLIED` with what is not as planned */
  async verify(signal: AbortSignal): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const wrong = await this.#parts.verify()
      if (wrong.length === 0) return
      signal.throwIfAborted()
      if (attempt === VERIFICATIONS) {
        throw new LinkwrightError(`the kernel does not have it as planned: ${wrong.join('; ')}`, {
          code: 'ERR_NOT_APPLIED'
        })
      }
      await setTimeout(VERIFY_PAUSE)
    }
  }

  async #begin({ guard }: RunOptions): Promise<void> {
    this.#begun++
    try {
      await guard()
    } catch (error) {
      this.#begun--
      throw error
    }
  }

  async #undoAlso(step: Step, operations: readonly Operation[], { guard, note }: RunOptions): Promise<void> {
    const before = this.#also.get(step) ?? []
    this.#also.set(step, [...operations, ...before])
    try {
      await guard()
    } catch (error) {
      this.#also.set(step, before)
      throw error
    }
    note()
  }

  #backFrom(begun: number): Operation[] {
    const steps = this.#parts.steps.slice(0, begun).toReversed()
    return steps.flatMap(step => [...(this.#also.get(step) ?? []), ...step.back])
  }
}
