/** A plan: steps that were worked out, to be applied, verified and undone. */
import { rmSync } from 'node:fs'
import { resolve } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { closedError, LinkwrightError } from '../errors.js'
import type { Netlink } from '../link/netlink.js'
import { type Duration, milliseconds } from './duration.js'
import type { Finding } from './finding.js'
import { Guard, type Restoration } from './guard.js'
import { identify } from './host-identity.js'
import { type Probe, probeUntil } from './probing.js'
import { outcomeFileOf, type PlanStatus, type SavedState, writeState } from './state-file.js'
import type { Step, StepContext } from './step.js'
import { assertRestored, assertUnused, undoNow } from './undoing.js'
import { type Operation, saveOperation } from './way-back.js'

/** What a planner worked out. */
export interface PlanParts {
  readonly net: Netlink
  readonly steps: readonly Step[]
  readonly conflicts: readonly Finding[]
  readonly warnings: readonly Finding[]
  /** What is not as it should be, in sentences; asked when all steps are done. */
  verify(): Promise<string[]>
  /** Links that have to be there for the way back. */
  readonly links: SavedState['links']
  /** Indexes of links that the plan makes. */
  readonly made: readonly number[]
}

export interface PlanProgress {
  readonly step: string
  readonly state: 'started' | 'done'
  /** From 0. */
  readonly number: number
  readonly total: number
}

export interface ApplyOptions {
  /**
   * The previous state comes back unless `confirm()` is called, or the probe succeeds, within this time after the last step
   * (and unless the steps are done within this time). With a probe it is 30 s by default.
   */
  readonly confirmWithin?: Duration | undefined
  /** Called after the last step until it works, which confirms. If it does not in time, everything is undone. */
  readonly probe?: Probe | undefined
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((progress: PlanProgress) => void) | undefined
  /** Where a later process finds what undoing takes. The guard writes `<stateFile>.outcome`. */
  readonly stateFile?: string | undefined
  /** Codes of conflicts to go ahead in spite of. */
  readonly despite?: readonly string[] | undefined
}

const VERIFICATIONS = 5
const VERIFY_PAUSE = 200
const PROBE_TIME = 30_000

export class Plan {
  /** Why it cannot be applied; codes can be overridden with `despite`. */
  readonly conflicts: readonly Finding[]
  /** What should be known; some are only found while it is applied. */
  readonly warnings: Finding[]
  readonly #parts: PlanParts
  /** What steps added to their ways back while they were applied. */
  readonly #also = new Map<Step, readonly Operation[]>()
  #status: PlanStatus = 'planned'
  #guard: Guard | undefined
  #stateFile: string | undefined
  /** While a guard that was killed is replaced. */
  #guarding: Promise<void> | undefined
  /** At the deadline, and by who gave up because of it. */
  #restoring: Promise<void> | undefined
  /** Milliseconds until the deadline; 0 for none. */
  #within = 0
  #restored: Restoration | undefined
  readonly #stop = new AbortController()
  readonly #ended: Promise<'confirmed' | 'undone'>
  #end: { resolve(how: 'confirmed' | 'undone'): void; reject(error: unknown): void }

  /** @internal */
  constructor(parts: PlanParts) {
    this.#parts = parts
    this.conflicts = parts.conflicts
    this.warnings = [...parts.warnings]
    this.#end = { resolve: () => {}, reject: () => {} }
    this.#ended = new Promise((keep, reject) => {
      this.#end = { resolve: keep, reject }
    })
    // Told again to whoever asks.
    this.#ended.catch(() => {})
  }

  /** Nothing to do. */
  get empty(): boolean {
    return this.#parts.steps.length === 0
  }

  get status(): PlanStatus {
    return this.#status
  }

  get steps(): readonly { readonly name: string; readonly commands: readonly string[] }[] {
    return this.#parts.steps.map(({ name, commands }) => ({ name, commands }))
  }

  /** Resolves when it is settled whether the change stays: `confirmed`, or `undone` by whomever. */
  get settled(): Promise<'confirmed' | 'undone'> {
    return this.#ended
  }

  /** The steps as commands of iproute2 and sysctl, for a shell. */
  toString(): string {
    return this.#parts.steps.flatMap(({ commands }) => commands).join('\n')
  }

  /**
   * Carries the steps out under a guard, verifies the result, and undoes everything on failure.
   *
   * With `confirmWithin` and no probe it resolves when all is applied, and {@link confirm} has to follow. Should the
   * process die before it is confirmed, even by SIGKILL in the middle of a step, the guard restores.
   *
   * @throws LinkwrightError `ERR_CONFLICT`, `ERR_PROBE_FAILED`, `ERR_NOT_APPLIED`, `ERR_RESTORED` (the guard's deadline
   * came), `ERR_NOT_UNDONE`; what the kernel refused; the signal's reason
   */
  async apply(options: ApplyOptions = {}): Promise<void> {
    const { probe, despite = [], stateFile, signal } = options
    const within = options.confirmWithin ?? (probe ? PROBE_TIME : undefined)
    const time = within === undefined ? 0 : milliseconds(within, 'confirmWithin')
    this.#assertApplicable(despite)
    signal?.throwIfAborted()
    if (this.empty) {
      this.#settle('confirmed')
      return
    }
    // The guard has another working directory.
    this.#stateFile = stateFile === undefined ? undefined : resolve(stateFile)
    this.#within = time
    if (this.#stateFile !== undefined) rmSync(outcomeFileOf(this.#stateFile), { force: true })
    await this.#beGuarded()
    try {
      await this.#note('applying')
      await this.#run(options)
      await this.#verify()
      await this.#setDeadline()
      await this.#note('applied')
      this.#stop.signal.throwIfAborted()
      if (probe) await probeUntil(probe, time, this.#signalOf(options))
      if (probe || time === 0) await this.confirm()
    } catch (error) {
      await this.#giveUp(error)
    }
  }

  /** The change stays; the guard ends. @throws LinkwrightError `ERR_RESTORED` when it came too late */
  async confirm(): Promise<void> {
    await this.#guarding
    const guard = this.#guard
    if (!guard || this.#status === 'confirmed') {
      if (this.#status === 'confirmed') return
      throw this.#restored ? this.#tooLate() : closedError('a plan that is not applied')
    }
    if (this.#restored) throw this.#tooLate()
    try {
      await guard.confirm()
    } catch (error) {
      // The guard answers in order: that it restored has been told before.
      throw this.#restored ? this.#tooLate() : error
    }
    this.#guard = undefined
    await this.#note('confirmed')
    this.#settle('confirmed')
  }

  /**
   * Puts back what was before.
   *
   * @throws LinkwrightError `EBUSY` (others came to use a link that the plan made), `ERR_NOT_UNDONE`
   */
  async undo(): Promise<void> {
    if (this.#status === 'planned' || this.#status === 'undone') return
    const { net, made, links } = this.#parts
    await assertUnused(
      net,
      made,
      links.map(({ index }) => index)
    )
    await this.#restore(undefined)
    await this.#note('undone')
    this.#settle('undone')
  }

  /** Starts a guard that restores from now on when this process dies, or the deadline comes. */
  async #beGuarded(): Promise<void> {
    const { net } = this.#parts
    const outcomeFile = this.#stateFile === undefined ? undefined : outcomeFileOf(this.#stateFile)
    const onRestored = (what: Restoration) => this.#onRestored(what)
    const guard = await Guard.start({ net, outcomeFile, onRestored, onLost: () => this.#onLost(guard) })
    this.#guard = guard
    try {
      await guard.arm(this.#back)
      if (this.#within > 0) await guard.setDeadline(this.#within)
    } catch (error) {
      this.#guard = undefined
      await guard.dismiss()
      throw error
    }
  }

  async #setDeadline(): Promise<void> {
    await this.#guarding
    if (this.#within > 0) await this.#guard?.setDeadline(this.#within)
  }

  /** Somebody killed the guard: another one takes its place, and the deadline begins anew. */
  #onLost(guard: Guard): void {
    if (this.#guard !== guard) return
    this.#guard = undefined
    this.#guarding = this.#beGuarded().catch(error => {
      this.#stop.abort(error)
      this.#end.reject(error)
    })
  }

  get #back(): readonly Operation[] {
    return this.#parts.steps.toReversed().flatMap(step => [...(this.#also.get(step) ?? []), ...step.back])
  }

  #assertApplicable(despite: readonly string[]): void {
    if (this.#status !== 'planned') throw closedError('a plan that was applied')
    const left = this.conflicts.filter(({ code }) => !despite.includes(code))
    if (left.length === 0) return
    throw new LinkwrightError(left.map(({ message }) => message).join('; '), {
      code: 'ERR_CONFLICT',
      diagnosis: left.map(({ code }) => code).join(', ')
    })
  }

  #signalOf({ signal }: ApplyOptions): AbortSignal {
    return signal ? AbortSignal.any([signal, this.#stop.signal]) : this.#stop.signal
  }

  async #run(options: ApplyOptions): Promise<void> {
    const { steps, net } = this.#parts
    const signal = this.#signalOf(options)
    const warn = (code: string, message: string) => this.warnings.push({ code, message })
    for (const [number, step] of steps.entries()) {
      signal.throwIfAborted()
      options.onProgress?.({ step: step.name, state: 'started', number, total: steps.length })
      const context: StepContext = { net, signal, warn, undoAlso: (...more) => this.#undoAlso(step, more) }
      await step.apply(context)
      options.onProgress?.({ step: step.name, state: 'done', number, total: steps.length })
    }
    signal.throwIfAborted()
  }

  async #undoAlso(step: Step, operations: readonly Operation[]): Promise<void> {
    const before = this.#also.get(step) ?? []
    this.#also.set(step, [...operations, ...before])
    try {
      await this.#guarding
      await this.#guard?.arm(this.#back)
    } catch (error) {
      this.#also.set(step, before)
      throw error
    }
    await this.#note('applying')
  }

  async #verify(): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const wrong = await this.#parts.verify()
      if (wrong.length === 0) return
      this.#stop.signal.throwIfAborted()
      if (attempt === VERIFICATIONS) {
        throw new LinkwrightError(`the kernel does not have it as planned: ${wrong.join('; ')}`, {
          code: 'ERR_NOT_APPLIED'
        })
      }
      await setTimeout(VERIFY_PAUSE)
    }
  }

  async #giveUp(error: unknown): Promise<never> {
    await this.#restore(error)
    await this.#note('undone')
    this.#settle('undone')
    // What failed then failed because the way back had been taken.
    throw this.#restored ? this.#tooLate(error) : error
  }

  /** Once more also where the guard did by itself: a step may have ended after that. */
  #restore(cause: unknown): Promise<void> {
    this.#restoring ??= this.#restoreNow(cause).finally(() => {
      this.#restoring = undefined
    })
    return this.#restoring
  }

  async #restoreNow(cause: unknown): Promise<void> {
    await this.#guarding
    const guard = this.#guard
    this.#guard = undefined
    if (!guard) return await undoNow(this.#parts.net, this.#back)
    try {
      assertRestored(await guard.restore(), this.#back, cause)
    } catch (error) {
      if ((error as LinkwrightError).code !== 'ERR_GUARD_LOST') {
        await this.#note('failed')
        throw error
      }
      await undoNow(this.#parts.net, this.#back)
    } finally {
      await guard.dismiss()
    }
  }

  /** The guard did it by itself: at the deadline. */
  #onRestored(restoration: Restoration): void {
    this.#restored = restoration
    this.#stop.abort(this.#tooLate())
    // While it is applied, that gives up and asks for the way back once more.
    if (this.#status !== 'applied') return
    void this.#restore(undefined)
      .then(() => this.#note('undone'))
      .then(() => this.#settle('undone'))
      .catch(error => this.#end.reject(error))
  }

  #tooLate(cause?: unknown): LinkwrightError {
    return new LinkwrightError('it was not confirmed in time, and the previous state was restored', {
      code: 'ERR_RESTORED',
      cause
    })
  }

  #settle(how: 'confirmed' | 'undone'): void {
    this.#status = how
    this.#end.resolve(how)
  }

  async #note(status: PlanStatus): Promise<void> {
    this.#status = status
    if (this.#stateFile !== undefined) writeState(this.#stateFile, await this.#save(status))
  }

  async #save(status: PlanStatus): Promise<SavedState> {
    const { net, links, made, steps } = this.#parts
    return {
      version: 1,
      status,
      host: await identify(net),
      links,
      made,
      commands: steps.flatMap(({ commands }) => commands),
      back: this.#back.map(saveOperation)
    }
  }
}
