/** How objects of one sort are read and told apart. */
import type { AttributesView, AttributeTable } from '../../codec/attributes.js'
import { viewBytes } from '../../codec/attributes.js'
import { sameApartFromVolatile } from '../../codec/volatile.js'
import type { Message } from '../../netlink/framing.js'
import type { Request } from '../../netlink/request.js'
import type { WatchedLists, WatchedObject } from './events.js'

/** A namespace as requests name it: its id (`*_TARGET_NETNSID`), or `null` for the socket's own. */
export type Nsid = number | null

/**
 * One of the kernel's tables. What is announced is only a hint at the scope that it happened in, the smallest part of the
 * table that can be read by itself: the table is the truth.
 */
export interface Kind<V extends AttributesView = AttributesView> {
  readonly object: WatchedObject
  readonly list: keyof WatchedLists
  /** Bytes of the fixed header before the attributes. */
  readonly headerLength: number
  view(message: Message): V
  key(view: V): string
  scope(view: V): string
  /** Whether two views of one object say the same. */
  same(a: V, b: V): boolean
  /** Whether it was asked for; what is not is as if it were not there. */
  wanted(view: V): boolean
  /** Whether several objects may have one key, and their order tells them apart. */
  readonly ordered?: boolean
  /** Dumps of the whole table. */
  readAll(nsid: Nsid): Request[]
  /** Dumps of a scope; of links, whose scope is one link, a plain request. */
  read(scope: string, nsid: Nsid): Request[]
}

/** Whether header and attributes are the same, but for what changes by itself. */
export function sameMessage(
  schema: { readonly headerLength: number; readonly attributes: AttributeTable },
  a: AttributesView,
  b: AttributesView
): boolean {
  return sameHeader(schema.headerLength, a, b) && sameApartFromVolatile(a, b, schema.attributes)
}

function sameHeader(length: number, a: AttributesView, b: AttributesView): boolean {
  const ours = viewBytes(a)
  const theirs = viewBytes(b)
  for (let back = 1; back <= length; back++) {
    if (ours.data.getUint8(ours.start - back) !== theirs.data.getUint8(theirs.start - back)) return false
  }
  return true
}

/** Whether an ifindex is among those asked for. */
export function indexTest(index: readonly number[] | undefined): (candidate: number) => boolean {
  if (!index) return () => true
  const set = new Set(index)
  return candidate => set.has(candidate)
}
