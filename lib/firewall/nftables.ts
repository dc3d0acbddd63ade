/** The public door to nf_tables of one network namespace. */
import { LinkwrightError } from '../errors.js'
import { type CallOptions, NetlinkSocket, type SocketOptions } from '../netlink/socket.js'
import type { NetnsRef } from '../netns.js'
import { netfilter } from '../nftables/messages.js'
import { checkKeys } from '../options.js'
import type { HookName } from './chains.js'
import { type Change, type Layouts, setKey } from './changes.js'
import type { Family } from './dependencies.js'
import { type ListFilter, Listing, type RuleFilter } from './listing.js'
import type { Chain, InTable, NftSet, Rule, Ruleset, Table } from './objects.js'
import { layoutFromNames } from './set-layout.js'
import { runTransaction, type TransactionOptions, type TransactionResult } from './transaction.js'

/** Answers of a large transaction come at once. */
const RECEIVE_BUFFER = 32 * 1024 * 1024

const OPEN_KEYS: ReadonlySet<string> = new Set(['netns', 'receiveBuffer'])
const LIST_KEYS: ReadonlySet<string> = new Set(['family', 'table', 'signal', 'timeout'])
const RULE_KEYS: ReadonlySet<string> = new Set([...LIST_KEYS, 'chain'])
const TRANSACTION_KEYS: ReadonlySet<string> = new Set(['generation', 'handles', 'signal', 'timeout'])

/** A base chain with its rules, as packets meet it. */
export interface HookedChain extends Chain {
  readonly rules: readonly Rule[]
}

/**
 * Tables, chains, rules and sets of nf_tables in one network namespace, over one netlink socket: no `nft` process.
 *
 * What others made is read, and never touched unless a change names it.
 */
export class Nftables {
  readonly socket: NetlinkSocket
  /** The namespace as it was given. */
  readonly netns: NetnsRef | undefined

  private constructor(socket: NetlinkSocket, netns: NetnsRef | undefined) {
    this.socket = socket
    this.netns = netns
  }

  /**
   * Opens a socket in the process's network namespace, or in another one.
   *
   * @throws LinkwrightError `ENOENT` (no such namespace), `EPERM` (it may not be entered), `EPROTONOSUPPORT` (a kernel
   * without netfilter)
   */
  static async open(options: SocketOptions = {}): Promise<Nftables> {
    checkKeys(options, OPEN_KEYS)
    const { netns, receiveBuffer = RECEIVE_BUFFER } = options
    return new Nftables(await NetlinkSocket.open({ protocol: netfilter, netns, receiveBuffer }), netns)
  }

  get closed(): boolean {
    return this.socket.closed
  }

  /**
   * Makes changes in order, all of them or none.
   *
   * @throws LinkwrightError `ERR_INVALID_ARG_VALUE` (nothing was sent; `path` begins with the number of the change), what
   * the kernel says of a change (`item` is its number, `path` what it is, `extack` the kernel's words; nothing was changed),
   * `ERR_RULESET_CHANGED` (see `generation`), `EMSGSIZE` (too much for one message), `ERR_UNSUPPORTED` (this kernel cannot
   * do it), `ENOBUFS` (the changes were made, and the answer was lost: see `handles`), `EPERM`
   */
  async transaction(changes: readonly Change[], options: TransactionOptions = {}): Promise<TransactionResult> {
    checkKeys(options, TRANSACTION_KEYS)
    const layouts = await this.#layouts(changes, options)
    return await runTransaction(this.socket, changes, layouts, options)
  }

  /** The number of changes so far that anybody made to the ruleset. */
  async generation(options: CallOptions = {}): Promise<number> {
    return await new Listing(this.socket, options).generation()
  }

  /** Everything, or that of one family or table, as it was at one moment. */
  async ruleset(filter: ListFilter = {}): Promise<Ruleset> {
    return await this.#listing(filter, LIST_KEYS).ruleset(filter)
  }

  async tables(filter: ListFilter = {}): Promise<Table[]> {
    const listing = this.#listing(filter, LIST_KEYS)
    return (await listing.consistent(() => listing.tables(filter))).value
  }

  async chains(filter: ListFilter = {}): Promise<Chain[]> {
    const listing = this.#listing(filter, LIST_KEYS)
    return (await listing.consistent(() => listing.chains(filter))).value
  }

  /** In the order of their chains. */
  async rules(filter: RuleFilter = {}): Promise<Rule[]> {
    const listing = this.#listing(filter, RULE_KEYS)
    return (await listing.consistent(async () => listing.rules(filter, await listing.ownSets(filter)))).value
  }

  /** Sets and maps with their elements, those without a name of their own left out. */
  async sets(filter: ListFilter = {}): Promise<NftSet[]> {
    const listing = this.#listing(filter, LIST_KEYS)
    return (await listing.consistent(() => listing.sets(filter, true))).value.filter(set => !set.anonymous)
  }

  /**
   * The base chains that packets of a family meet at a hook, in the order in which they do, with their rules. Those of
   * `inet` tables are met by `ip` and `ip6`. Among equal priorities the kernel has the latest first; of chains of different
   * tables it does not say which that is, so they are told in the order of their tables.
   */
  async atHook(family: Family, hook: HookName, options: CallOptions = {}): Promise<HookedChain[]> {
    const { chains, rules } = await this.ruleset(options)
    const families: readonly Family[] = family === 'ip' || family === 'ip6' ? [family, 'inet'] : [family]
    const met = chains.filter(chain => chain.hook === hook && families.includes(chain.family))
    return met
      .toSorted((a, b) => (a.priority ?? 0) - (b.priority ?? 0) || (a.table === b.table ? b.handle - a.handle : 0))
      .map(chain => {
        const { family: own, table, name } = chain
        return {
          ...chain,
          rules: rules.filter(rule => rule.family === own && rule.table === table && rule.chain === name)
        }
      })
  }

  ref(): this {
    this.socket.ref()
    return this
  }

  unref(): this {
    this.socket.unref()
    return this
  }

  /** Closes the socket, and with it the tables that it owns; pending requests reject with `ERR_CLOSED`. Idempotent. */
  close(): void {
    this.socket.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close()
  }

  #listing(filter: object, keys: ReadonlySet<string>): Listing {
    checkKeys(filter, keys)
    const { signal, timeout } = filter as CallOptions
    return new Listing(this.socket, { signal, timeout })
  }

  /** Types of the sets whose elements are changed: only the kernel knows those of sets that exist. */
  async #layouts(changes: readonly Change[], { signal, timeout }: TransactionOptions): Promise<Layouts> {
    const layouts: Layouts = new Map()
    if (!Array.isArray(changes)) return layouts
    const made = new Set<string>()
    const asked = new Map<string, InTable>()
    for (const change of changes) {
      for (const object of Object.values(change ?? {}) as Record<string, InTable & { name: string; set: string }>[]) {
        const { set, elements } = (object ?? {}) as Record<
          string,
          (InTable & { name: string; set: string }) | undefined
        >
        if (set) made.add(setKey(set, set.name))
        if (elements && !made.has(setKey(elements, elements.set)))
          asked.set(JSON.stringify([elements.family, elements.table]), elements)
      }
    }
    const listing = new Listing(this.socket, { signal, timeout })
    for (const { family, table } of asked.values()) {
      for (const set of await this.#setsOf(listing, { family, table })) {
        const layout = layoutFromNames(set)
        if (layout) layouts.set(setKey(set, set.name), layout)
      }
    }
    return layouts
  }

  /** None where there is no such table: the transaction will say so. */
  async #setsOf(listing: Listing, filter: ListFilter): Promise<NftSet[]> {
    try {
      return (await listing.consistent(() => listing.sets(filter, false))).value
    } catch (error) {
      if (error instanceof LinkwrightError && error.code === 'ENOENT') return []
      throw error
    }
  }
}
