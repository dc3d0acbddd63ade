/** What a watch is asked for, and what it tells. */
import type { Address } from '../addresses.js'
import type { FdbEntry } from '../fdb.js'
import type { Link, LinkRef } from '../link.js'
import type { Neighbour } from '../neighbours.js'
import type { Route } from '../routes.js'
import type { PolicyRule } from '../rules.js'

/** Only links that all of what is given holds for. One that comes to match is `added`, one that ceases to is `removed`. */
export interface LinkInterest {
  /** Any of these ifindexes. The kernel leaves out the others' announcements, if they are some hundreds at most. */
  index?: readonly number[] | undefined
  /** Any of these names or alternative names. */
  name?: readonly string[] | undefined
  kind?: string | undefined
  /** Ports of this master. A name is looked up once, when the watch begins. */
  master?: LinkRef | undefined
}

/** Only what belongs to links of these ifindexes. */
export interface IndexInterest {
  index?: readonly number[] | undefined
}

export interface RouteInterest {
  /** Only this table; all of them by default. */
  table?: number | undefined
}

/** What to watch. At least one of the first six. */
export interface WatchInterest {
  links?: boolean | LinkInterest | undefined
  addresses?: boolean | IndexInterest | undefined
  /** All tables, those of the kernel's own making too. */
  routes?: boolean | RouteInterest | undefined
  /** Policy rules of IPv4 and IPv6. */
  rules?: boolean | undefined
  /** As `ip neigh` shows them: without NUD_NONE and NUD_NOARP, and without proxy entries. */
  neighbours?: boolean | IndexInterest | undefined
  /** Bridges' databases, and those of devices' own. */
  fdb?: boolean | IndexInterest | undefined
}

export interface WatchOptions extends WatchInterest {
  /**
   * `all`: also the links and addresses of every namespace that has an id here (see `Netlink.assignNsid`), as they come and
   * go. Each event has its `nsid`, and so has each object (`targetNetnsid`). The rest of the kernel's tables cannot be read
   * across namespaces: open a watch in each. Takes CAP_NET_BROADCAST.
   */
  namespaces?: 'own' | 'all' | undefined
  /** Ends it; the iteration throws the signal's reason. */
  signal?: AbortSignal | undefined
  /**
   * Milliseconds between readings of everything while an event is waited for, since the kernel changes some things without
   * a word (a link's alias, group or settings while it is down). What they find is told as ordinary changes. 2000 by
   * default, longer where they would take more than 1 % of the time; `Infinity` for none.
   */
  recheck?: number | undefined
  /** Bytes for announcements that wait; 1 MiB by default. A smaller one is lossy sooner: each loss is a `resync`. */
  receiveBuffer?: number | undefined
}

export interface WatchedObjects {
  link: Link
  address: Address
  route: Route
  rule: PolicyRule
  neighbour: Neighbour
  fdb: FdbEntry
}

export type WatchedObject = keyof WatchedObjects

/** The lists of a snapshot, by the option that asks for them. */
export interface WatchedLists {
  links: Link[]
  addresses: Address[]
  routes: Route[]
  rules: PolicyRule[]
  neighbours: Neighbour[]
  fdb: FdbEntry[]
}

interface ObjectOf {
  links: 'link'
  addresses: 'address'
  routes: 'route'
  rules: 'rule'
  neighbours: 'neighbour'
  fdb: 'fdb'
}

/** The lists that some options ask for. */
export type Asked<O extends WatchInterest> = {
  [L in keyof WatchedLists]: O[L] extends true | object ? L : never
}[keyof WatchedLists]

/** All that the kernel's tables have of what was asked for. */
export type WatchSnapshot<L extends keyof WatchedLists = keyof WatchedLists> = Readonly<Pick<WatchedLists, L>> & {
  readonly event: 'snapshot'
  /** The `key` that changes have for each of the objects, in the order of the lists. */
  readonly keys: { readonly [K in L]: string[] }
}

interface Identity<O> {
  readonly object: O
  /** Tells the object from all others of its sort; the same for as long as it exists. */
  readonly key: string
  /** The id of the namespace that it is in; `null` for the watch's own. */
  readonly nsid: number | null
}

type ChangeOf<O extends WatchedObject> =
  | (Identity<O> & { readonly event: 'added'; readonly before?: undefined; readonly after: WatchedObjects[O] })
  | (Identity<O> & {
      readonly event: 'changed'
      readonly before: WatchedObjects[O]
      readonly after: WatchedObjects[O]
    })
  | (Identity<O> & { readonly event: 'removed'; readonly before: WatchedObjects[O]; readonly after?: undefined })

export type WatchChange<O extends WatchedObject = WatchedObject> = { [K in O]: ChangeOf<K> }[O]

/**
 * Announcements were missed, and all was read again. What differs follows as ordinary changes; there is nothing to do.
 * - `overflow`: more was announced than the receive buffer holds (ENOBUFS)
 * - `truncated`: an announcement was larger than a datagram
 * - `interrupted`: the table kept changing while it was read (NLM_F_DUMP_INTR), and now it was read at rest
 * - `socket`: a socket failed and was opened anew
 * - `refresh`: `refresh()` was called
 */
export interface WatchResync {
  readonly event: 'resync'
  readonly reason: 'overflow' | 'truncated' | 'interrupted' | 'socket' | 'refresh'
}

export type WatchEvent<L extends keyof WatchedLists = keyof WatchedLists> =
  | WatchSnapshot<L>
  | WatchChange<ObjectOf[L]>
  | WatchResync
