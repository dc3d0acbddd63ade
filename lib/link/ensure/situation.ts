/** What planning looks at. */
import type { Policy } from './options.js'
import type { Snapshot } from './snapshot.js'
import type { Wanted } from './wanted.js'

/** What may be done to links, and to whose. */
export interface Situation {
  readonly wanted: ReadonlyMap<string, Wanted>
  readonly snapshot: Snapshot
  readonly policy: Policy
}
