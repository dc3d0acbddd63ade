/** Steps that can be told, carried out and taken back. */
import { amend, LinkwrightError } from '../../errors.js'

export interface BandwidthStep {
  /** The same as a command of tc or ip. */
  readonly command: string
  /** @internal */
  run(): Promise<unknown>
  /** @internal */
  undo?(): Promise<unknown>
}

/** Carries steps out; if one fails, or the signal aborts, what was done is taken back in reverse. */
export async function carryOut(steps: readonly BandwidthStep[], signal?: AbortSignal): Promise<void> {
  const done: BandwidthStep[] = []
  for (const step of steps) {
    try {
      signal?.throwIfAborted()
      await step.run()
      done.push(step)
    } catch (error) {
      throw await takenBack(done, error)
    }
  }
}

async function takenBack(done: BandwidthStep[], error: unknown): Promise<unknown> {
  const left: string[] = []
  for (const step of done.reverse()) {
    try {
      await step.undo?.()
    } catch (failure) {
      // What went with its link needs no undoing.
      if (!isGone(failure)) left.push(`${step.command}: ${(failure as Error).message}`)
    }
  }
  if (left.length === 0 || !(error instanceof LinkwrightError)) return error
  return amend(error, { diagnosis: `not taken back: ${left.join('; ')}` })
}

/** Whether the object that was meant does not exist. */
function isGone(error: unknown): boolean {
  return error instanceof LinkwrightError && (error.code === 'ENOENT' || error.code === 'ENODEV')
}
