/** A plan: steps that were worked out, to be applied, verified and undone. */
import { resolve } from 'node:path'
import { closedError, LinkwrightError } from '../errors.js'
import { milliseconds } from './duration.js'
import { Execution } from './execution.js'
import type { Finding } from './finding.js'
import { Guarding } from './guarding.js'
import { identify } from './host-identity.js'
import type { ApplyOptions, PlanParts } from './plan-parts.js'
import { probeUntil } from './probing.js'
import { processOf } from './process-identity.js'
import type { PlanStatus, SavedState } from './saved-state.js'
import { assertNotInUse, outcomeFileOf, removeOutcome, writeState } from './state-file.js'
import { assertSameLinks, assertUnused } from './undoing.js'
import { saveOperation } from './way-back.js'

export type { ApplyOptions, PlanParts, PlanProgress } from './plan-parts.js'

const PROBE_TIME = 30_000

export class Plan {
  /** Why it cannot be applied; codes can be overridden with `despite`. */
  readonly conflicts: readonly Finding[]
  /** What should be known; some are only found while it is applied. */
  readonly warnings: Finding[]
  readonly #parts: PlanParts
  readonly #execution: Execution
  #status: PlanStatus = 'planned'
  /** While `apply()` has not returned. */
  #applying = false
  #guarding: Guarding | undefined
  #stateFile: string | undefined
  #host: SavedState['host'] | undefined
  #confirming: Promise<void> | undefined
  #restoring: Promise<void> | undefined
  /** The guard's deadline came. */
  #late = false
  readonly #stop = new AbortController()
  readonly #settled: Promise<'confirmed' | 'undone'>
  #settle: { resolve(how: 'confirmed' | 'undone'): void; reject(error: unknown): void }

  /** @internal */
  constructor(parts: PlanParts) {
    this.#parts = parts
    this.#execution = new Execution(parts)
    this.conflicts = parts.conflicts
    this.warnings = [...parts.warnings]
    this.#settle = { resolve: () => {}, reject: () => {} }
    this.#settled = new Promise((keep, reject) => {
      this.#settle = { resolve: keep, reject }
    })
    // Told again to whoever asks.
    this.#settled.catch(() => {})
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

  /**
   * Resolves when it is settled whether the change stays: `confirmed`, or `undone` by whomever. Rejects when it could not be
   * undone, or nobody guards it any more.
   */
  get settled(): Promise<'confirmed' | 'undone'> {
    return this.#settled
  }

  /** The steps as commands of iproute2 and sysctl, for a shell. */
  toString(): string {
    return this.#commands.join('\n')
  }

  /**
   * Carries the steps out under a guard, verifies the result, and undoes everything on failure.
   *
   * With `confirmWithin` and no probe it resolves when all is applied, and {@link confirm} has to follow. Should the
   * process die before it is confirmed, even by SIGKILL in the middle of a step, the guard restores.
   *
   * @throws LinkwrightError before anything is changed: `ERR_CONFLICT`, `ERR_STALE_STATE` (links are not what they were),
   * `EBUSY` (the state file is of a plan that awaits confirmation), `EPERM` (no right to restore). After everything was
   * undone: `ERR_PROBE_FAILED`, `ERR_NOT_APPLIED`, `ERR_RESTORED` (the guard's deadline came), what the kernel refused, the
   * signal's reason. And `ERR_NOT_UNDONE`.
   */
  async apply(options: ApplyOptions = {}): Promise<void> {
    const { probe, despite = [], stateFile, signal } = options
    const within = options.confirmWithin ?? (probe ? PROBE_TIME : undefined)
    const time = within === undefined ? 0 : milliseconds(within, 'confirmWithin')
    this.#assertApplicable(despite)
    signal?.throwIfAborted()
    if (this.empty) {
      this.#end('confirmed')
      return
    }
    this.#status = 'applying'
    const guarding = await this.#begin(stateFile, time)
    const stop = signal ? AbortSignal.any([signal, this.#stop.signal]) : this.#stop.signal
    this.#applying = true
    try {
      await this.#execution.run({
        signal: stop,
        onProgress: options.onProgress,
        warn: (code, message) => this.warnings.push({ code, message }),
        guard: () => guarding.arm(),
        note: () => this.#note('applying')
      })
      await this.#execution.verify(this.#stop.signal)
      await guarding.renewDeadline()
      this.#note('applied')
      this.#stop.signal.throwIfAborted()
      if (probe) await probeUntil(probe, time, stop)
      if (probe || time === 0) await this.confirm()
    } catch (error) {
      await this.#restore(error)
      // What failed then failed because the way back had been taken.
      throw this.#late ? tooLate(error) : error
    } finally {
      this.#applying = false
    }
  }

  /** The change stays; the guard ends. @throws LinkwrightError `ERR_RESTORED` when it came too late, `ERR_CLOSED` too early */
  async confirm(): Promise<void> {
    this.#confirming ??= this.#confirm().finally(() => {
      this.#confirming = undefined
    })
    await this.#confirming
  }

  /**
   * Puts back what was before. While it is applied, that is given up.
   *
   * @throws LinkwrightError `ERR_STALE_STATE` (a link is gone, or another's name), `EBUSY` (others came to use a link that
   * the plan made), `ERR_NOT_UNDONE`
   */
  async undo(): Promise<void> {
    if (this.#applying) {
      this.#stop.abort(closedError('a plan that is undone'))
      await this.#settled.catch(() => {})
    }
    await this.#confirming?.catch(() => {})
    if (this.#status === 'planned' || this.#status === 'undone') return
    const { net, made, links } = this.#parts
    await assertSameLinks(net, links)
    await assertUnused(
      net,
      made,
      links.map(({ index }) => index)
    )
    await this.#restore(undefined)
  }

  /** Nothing is changed yet: what fails here leaves the plan as it was. */
  async #begin(stateFile: string | undefined, within: number): Promise<Guarding> {
    const { net, links, made } = this.#parts
    // The guard has another working directory.
    const file = stateFile === undefined ? undefined : resolve(stateFile)
    const guarding = new Guarding({
      net,
      outcomeFile: file === undefined ? undefined : outcomeFileOf(file),
      back: () => this.#execution.back,
      onRestored: () => this.#onRestored(),
      onReplaced: () => this.#record(this.#status),
      onUnguarded: error => {
        this.#stop.abort(error)
        this.#settle.reject(error)
      }
    })
    try {
      await assertSameLinks(
        net,
        links.filter(({ index }) => !made.includes(index))
      )
      if (file !== undefined) assertNotInUse(file)
      this.#host = await identify(net)
      await guarding.start(within)
      this.#stateFile = file
      this.#guarding = guarding
      this.#note('applying')
      if (file !== undefined) removeOutcome(file)
      return guarding
    } catch (error) {
      await guarding.dismiss()
      this.#status = 'planned'
      throw error
    }
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

  async #confirm(): Promise<void> {
    if (this.#status === 'confirmed') return
    if (this.#late) throw tooLate()
    if (this.#status !== 'applied' || this.#restoring) throw closedError('a plan that is not applied')
    try {
      await this.#guarding?.confirm()
    } catch (error) {
      // The guard answers in order: that it restored has been told before.
      throw this.#late ? tooLate() : error
    }
    this.#end('confirmed')
  }

  #restore(cause: unknown): Promise<void> {
    this.#restoring ??= this.#restoreNow(cause).finally(() => {
      this.#restoring = undefined
    })
    return this.#restoring
  }

  /** Once more also where the guard did by itself: a step may have ended after that. */
  async #restoreNow(cause: unknown): Promise<void> {
    try {
      await this.#guarding?.restore(cause)
    } catch (error) {
      this.#record('failed')
      this.#settle.reject(error)
      throw error
    }
    this.#end('undone')
  }

  /** The guard did it by itself: at the deadline. */
  #onRestored(): void {
    this.#late = true
    this.#stop.abort(tooLate())
    // While it is applied, that gives up and asks for the way back once more.
    if (this.#status === 'applied') void this.#restore(undefined).catch(() => {})
  }

  #end(how: 'confirmed' | 'undone'): void {
    this.#record(how)
    this.#settle.resolve(how)
  }

  /** What has become of it by now, whether or not a full disk takes it: what is there already is enough to undo it. */
  #record(status: PlanStatus): void {
    try {
      this.#note(status)
    } catch (error) {
      const message = `the state file could not be told that the plan is ${status}: ${(error as Error).message}`
      this.warnings.push({ code: 'state-file', message, about: this.#stateFile })
    }
  }

  #note(status: PlanStatus): void {
    this.#status = status
    if (this.#stateFile === undefined || this.#host === undefined) return
    const { links, made } = this.#parts
    writeState(this.#stateFile, {
      version: 1,
      status,
      host: this.#host,
      keepers: [process.pid, this.#guarding?.pid].flatMap(pid => (pid === undefined ? [] : (processOf(pid) ?? []))),
      links,
      made,
      commands: this.#commands,
      back: this.#execution.wholeBack.map(saveOperation)
    })
  }

  get #commands(): string[] {
    return this.#parts.steps.flatMap(({ commands }) => commands)
  }
}

function tooLate(cause?: unknown): LinkwrightError {
  return new LinkwrightError('it was not confirmed in time, and the previous state was restored', {
    code: 'ERR_RESTORED',
    cause
  })
}
