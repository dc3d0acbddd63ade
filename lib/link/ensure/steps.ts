/** The steps of a plan, as they are told and as they are carried out. */
import type { LinkwrightError } from '../../errors.js'
import type { Link, LinkRef } from '../link.js'
import type { Wanted } from './wanted.js'
import type { Difference, EnsureChange } from './wishes.js'

export type EnsureAction = 'create' | 'change' | 'replace' | 'remove'

export interface EnsureStep {
  /** `replace` is to remove and to create: of what only creation can set, or because of what it sits on. */
  readonly action: EnsureAction
  readonly link: string
  readonly kind: string | undefined
  /** What will be otherwise. For a veth that is created, those of its peer as well (`peer.mtu`). */
  readonly changes: readonly EnsureChange[]
  /** Why a link is replaced, or removed before others are made. */
  readonly because?: string | undefined
  /**
   * What it came to: `done`, or `overtaken`, which failed with `error` because others changed links meanwhile; what was
   * left to do then is in the steps that follow. `undefined` in a plan.
   */
  outcome?: 'done' | 'overtaken' | undefined
  error?: LinkwrightError | undefined
}

/** A step with what carrying it out takes. */
export interface Move {
  readonly step: EnsureStep
  readonly wanted: Wanted | undefined
  /** The other end of a veth that is created. */
  readonly peer: Wanted | undefined
  /** The link as it is; of a veth that is replaced maybe its peer's. */
  readonly existing: Link | undefined
  readonly differences: readonly Difference[]
  readonly altnames: { readonly add: readonly string[]; readonly remove: readonly string[] }
}

/** All moves, in the order in which they are made. */
export interface Moves {
  /** What is removed before anything else: links that are replaced and all on top of them, and what is in the way. */
  readonly lost: readonly Link[]
  /** Of those, the ones that do not go with another. */
  readonly lostFirst: readonly Link[]
  /** Creations and changes, by level. */
  readonly levels: readonly (readonly Move[])[]
  /** Links that are no longer wanted. */
  readonly removals: readonly Move[]
  /** Removals that cannot wait. */
  readonly early: readonly Move[]
  nameOf(index: number): string
  /** Whether a link is a bridge, or will be one. */
  isBridge(ref: LinkRef): boolean
}

/** Every move of a round in order. */
export function movesIn({ early, levels, removals }: Moves): Move[] {
  return [...early, ...levels.flat(), ...removals]
}
