/** One of the kernel's tables, as far as it was asked for: what was read last, and what has to be read again. */
import { type AttributesView, viewBytes } from '../../codec/attributes.js'
import { Block, bytesOf } from '../../codec/block.js'
import type { Message } from '../../netlink/framing.js'
import type { Kind, Nsid } from './kind.js'

interface Entry<V> {
  view: V
  scope: string
}

/** What a scope, or the whole table (`undefined`), was read as. */
export interface Answer {
  scope: string | undefined
  messages: Message[]
  /** The table changed meanwhile: something may be missing, or twice. */
  torn: boolean
}

export interface Difference<V> {
  key: string
  before: V | undefined
  after: V | undefined
}

/** With more scopes than this to read, and more than there are in the table, the whole is read. */
const MANY_SCOPES = 4096

export class Table<V extends AttributesView = AttributesView> {
  readonly #entries = new Map<string, Entry<V>>()
  /** Keys by scope. */
  readonly #scopes = new Map<string, Set<string>>()
  readonly #dirty = new Set<string>()
  #all = true

  constructor(
    readonly kind: Kind<V>,
    readonly nsid: Nsid
  ) {}

  /** Whether something has to be read again. */
  get dirty(): boolean {
    return this.#all || this.#dirty.size > 0
  }

  get views(): V[] {
    return [...this.#entries.values()].map(entry => entry.view)
  }

  get keys(): string[] {
    return [...this.#entries.keys()].map(key => this.keyOf(key))
  }

  /** A key as it is told: unlike those of all other namespaces. */
  keyOf(key: string): string {
    return this.nsid === null ? key : `${this.nsid}/${key}`
  }

  find(key: string): V | undefined {
    return this.#entries.get(key)?.view
  }

  /** A scope has to be read again. */
  mark(scope: string): void {
    if (this.#all) return
    this.#dirty.add(scope)
    if (this.#dirty.size > MANY_SCOPES && this.#dirty.size > 2 * this.#scopes.size) this.markAll()
  }

  /** The scope of an entry, wherever that is now. */
  markKey(key: string): void {
    const entry = this.#entries.get(key)
    if (entry) this.mark(entry.scope)
  }

  markAll(): void {
    this.#all = true
    this.#dirty.clear()
  }

  /** What to read now: the whole, or the scopes that have waited longest. They count as read. */
  take(atMost: number): { all: boolean; scopes: string[] } {
    if (this.#all) {
      this.#all = false
      return { all: true, scopes: [] }
    }
    const scopes: string[] = []
    for (const scope of this.#dirty) {
      if (scopes.length === atMost) break
      this.#dirty.delete(scope)
      scopes.push(scope)
    }
    return { all: false, scopes }
  }

  /** Takes over what was read. An entry that moved from one scope to another is one that changed. */
  apply(answers: readonly Answer[]): Difference<V>[] {
    const differences: Difference<V>[] = []
    const seen = new Set<string>()
    for (const { messages } of answers) {
      for (const message of messages) this.#see(this.kind.view(message), seen, differences)
    }
    for (const { scope, torn } of answers) {
      const keys = scope === undefined ? this.#entries.keys() : (this.#scopes.get(scope) ?? [])
      for (const key of [...keys]) {
        if (seen.has(key)) continue
        if (torn) this.markKey(key)
        else differences.push({ key, before: this.#delete(key), after: undefined })
      }
    }
    return differences
  }

  /** Forgets everything. */
  clear(): Difference<V>[] {
    return [...this.#entries.keys()].map(key => ({ key, before: this.#delete(key), after: undefined }))
  }

  #see(view: V, seen: Set<string>, differences: Difference<V>[]): void {
    const { kind } = this
    if (!kind.wanted(view)) return
    const plainKey = kind.key(view)
    let key = plainKey
    for (let n = 1; kind.ordered && seen.has(key); n++) key = `${plainKey} #${n}`
    seen.add(key)
    const scope = kind.scope(view)
    const known = this.#entries.get(key)
    if (known?.scope === scope && kind.same(known.view, view)) return
    const after = this.#own(view)
    if (known) this.#delete(key)
    this.#entries.set(key, { view: after, scope })
    const keys = this.#scopes.get(scope)
    if (keys) keys.add(key)
    else this.#scopes.set(scope, new Set([key]))
    differences.push({ key, before: known?.view, after })
  }

  #delete(key: string): V | undefined {
    const entry = this.#entries.get(key)
    if (!entry) return undefined
    this.#entries.delete(key)
    const keys = this.#scopes.get(entry.scope)
    keys?.delete(key)
    if (keys?.size === 0) this.#scopes.delete(entry.scope)
    return entry.view
  }

  /** A view over bytes of its own: one that is kept must not keep a whole dump. */
  #own(view: V): V {
    const { data, start, end } = viewBytes(view)
    const from = start - this.kind.headerLength
    const block = new Block(bytesOf(data).slice(from, end).buffer as ArrayBuffer)
    const message = { data: block, start: 0, end: end - from, row: -1 }
    return this.kind.view({ ...message, offset: 0, type: 0, flags: 0, sequence: 0, portId: 0 })
  }
}
