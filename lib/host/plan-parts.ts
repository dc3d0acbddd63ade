/** What a planner worked out, and how it is to be applied. */
import type { Netlink } from '../link/netlink.js'
import type { Duration } from './duration.js'
import type { Finding } from './finding.js'
import type { Probe } from './probing.js'
import type { SavedState } from './saved-state.js'
import type { Step } from './step.js'

/** What a planner worked out. */
export interface PlanParts {
  readonly net: Netlink
  readonly steps: readonly Step[]
  readonly conflicts: readonly Finding[]
  readonly warnings: readonly Finding[]
  /** What is not as it should be, in sentences; asked when all steps are done. */
  verify(): Promise<string[]>
  /** Links that have to be there, by these names, when it is applied and for the way back. */
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
   * (and unless the steps are done within this time). With a probe it is 30 s by default. Time in which the machine is
   * suspended counts.
   */
  readonly confirmWithin?: Duration | undefined
  /** Called after the last step until it works, which confirms. If it does not in time, everything is undone. */
  readonly probe?: Probe | undefined
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((progress: PlanProgress) => void) | undefined
  /**
   * Where a later process finds what undoing takes; what is there is replaced. The guard writes `<stateFile>.outcome`. In a
   * directory that nobody else may write to.
   */
  readonly stateFile?: string | undefined
  /** Codes of conflicts to go ahead in spite of. */
  readonly despite?: readonly string[] | undefined
}
