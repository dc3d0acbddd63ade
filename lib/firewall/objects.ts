/** Tables, chains, rules and sets: as they are asked for, and as they are read. */
import type { HookName, PriorityName } from './chains.js'
import type { Family } from './dependencies.js'
import type { Element, RawElement } from './elements.js'
import type { Expression } from './expressions.js'
import type { Statement } from './statements.js'

/** What every object but a table is in. */
export interface InTable {
  family: Family
  table: string
}

export interface TableSpec {
  family: Family
  name: string
  /** Its chains are not run. */
  dormant?: boolean | undefined
  /** Goes when the socket is closed, and is nobody else's to change. Linux 5.12 */
  owned?: boolean | undefined
  comment?: string | undefined
}

export interface ChainSpec extends InTable {
  name: string
  /** Where a base chain hangs; without it other chains jump there. */
  hook?: HookName | undefined
  type?: 'filter' | 'nat' | 'route' | undefined
  /** Lower ones come first. */
  priority?: number | PriorityName | undefined
  policy?: 'accept' | 'drop' | undefined
  /** The links of a netdev chain, by name: the chain stays when they go, and finds the next ones of the same name. */
  devs?: readonly string[] | undefined
  comment?: string | undefined
}

export interface RuleSpec extends InTable {
  chain: string
  statements: readonly Statement[]
  comment?: string | undefined
  /** Handle of the rule that it goes behind; of an `insert`, before. */
  position?: number | undefined
}

export type SetFlag = 'interval' | 'timeout' | 'constant' | 'dynamic'

export interface SetSpec extends InTable {
  name: string
  /** `'ipv4_addr'`, or several for a concatenation. */
  type: string | readonly string[]
  /** What a map has for a key: a verdict, or a value of a type. */
  map?: string | undefined
  flags?: readonly SetFlag[] | undefined
  /** Milliseconds after which elements go. */
  timeout?: number | undefined
  /** Milliseconds. */
  gcInterval?: number | undefined
  /** Most elements. */
  size?: number | undefined
  comment?: string | undefined
  elements?: readonly Element[] | undefined
}

export interface ElementsSpec extends InTable {
  set: string
  elements: readonly Element[]
}

/** A table as it was read. */
export interface Table {
  readonly family: Family
  readonly name: string
  readonly handle: number
  readonly dormant: boolean
  /** Port id of the socket that it goes with. */
  readonly owner?: number
  readonly comment?: string
}

/** A chain as it was read. */
export interface Chain extends Readonly<InTable> {
  readonly name: string
  readonly handle: number
  readonly hook?: HookName
  readonly type?: string
  readonly priority?: number
  readonly policy?: 'accept' | 'drop'
  readonly devs?: readonly string[]
  readonly comment?: string
}

/** A rule as it was read. `toString()` is nft's text for it. */
export interface Rule extends Readonly<InTable> {
  readonly chain: string
  readonly handle: number
  readonly statements: readonly Statement[]
  readonly comment?: string
  /** As the kernel has it. */
  readonly expressions: readonly Expression[]
  toString(): string
}

/** A set or map as it was read. */
export interface NftSet extends Readonly<InTable> {
  readonly name: string
  readonly handle: number
  /** Names of the types of its keys; left out where one is not known here. */
  readonly type?: readonly string[]
  readonly map?: string
  readonly flags: readonly SetFlag[]
  readonly anonymous: boolean
  readonly timeout?: number
  readonly size?: number
  readonly comment?: string
  /** Left out where they were not asked for, or cannot be understood: see `raw`. */
  readonly elements?: readonly Element[]
  /** As the kernel has them. */
  readonly raw?: readonly RawElement[]
}

export interface Ruleset {
  /** What a transaction may be bound to: the number of changes that anybody made. */
  readonly generation: number
  readonly tables: readonly Table[]
  readonly chains: readonly Chain[]
  readonly rules: readonly Rule[]
  readonly sets: readonly NftSet[]
}
