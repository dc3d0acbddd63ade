/** Removing what is somebody's, but for what is in use: what a manager does at its start after a crash. */
import { setImmediate, setTimeout } from 'node:timers/promises'
import { invalidArgument } from '../errors.js'
import type { CallOptions, Cancellation } from '../netlink/cancellation.js'
import type { NetlinkSocket } from '../netlink/socket.js'
import type { NetnsRef } from '../netns.js'
import { type Holder, holdersOfLinks, isOpenable, type LinkHolders } from './holders.js'
import type { Link, LinkRef } from './link.js'
import { changeRequest, reference } from './link-requests.js'
import { isOwnedBy, ownerAlias, ownerGroup, ownerOf } from './owner.js'
import { plainRef } from './references.js'
import { isRemovalGroup, removeLinks } from './removal.js'

/** Looks for descriptors on their way between processes, and milliseconds from one to the next. */
const LOOKS = 20
const LOOK_AGAIN_AFTER = 50
/** Links looked at before the event loop turns. */
const LOOKED_AT = 512

export interface RemoveOwnedOptions extends CallOptions {
  /** What stays: links by reference, or a function that is asked of each that is the owner's. */
  keep?: Iterable<LinkRef> | ((link: Link) => boolean) | undefined
  onProgress?: ((done: number, total: number) => void) | undefined
}

/** A link of the owner's that was not removed, and why. */
export type KeptLink =
  /** `keep` says so. */
  | { readonly link: Link; readonly reason: 'kept' }
  /** A process has it open; none is named where that is nobody who may be looked at. */
  | { readonly link: Link; readonly reason: 'held'; readonly holders: Holder[] }
  /** Nobody is known to have it open, but there are processes that cannot be looked at. */
  | { readonly link: Link; readonly reason: 'uncertain' }
  /** Another link that stays would not work, or not exist, without it. */
  | { readonly link: Link; readonly reason: 'needed'; readonly by: Link }

export interface RemovedOwned {
  removed: Link[]
  kept: KeptLink[]
  failed: { link: Link; error: unknown }[]
}

export type Keep = (link: Link) => boolean

/** Checks `keep` and makes a function of it. */
export function keeping(keep: RemoveOwnedOptions['keep'] = []): Keep {
  if (typeof keep === 'function') return keep
  if (typeof keep !== 'object' || keep === null || !(Symbol.iterator in keep)) {
    throw invalidArgument('keep', 'links (names, ifindexes), or a function', keep)
  }
  const wanted = new Set<string | number>()
  for (const [at, ref] of [...keep].entries()) {
    const target = plainRef(ref, `keep[${at}]`)
    reference(target, `keep[${at}]`)
    wanted.add(target)
  }
  return ({ index, name = '', altnames }) =>
    wanted.has(index) || wanted.has(name) || altnames.some(altname => wanted.has(altname))
}

export interface OwnedContext {
  socket: NetlinkSocket
  netns: NetnsRef | undefined
  owner: string
  keep: Keep
  cancel: Cancellation
  onProgress: RemoveOwnedOptions['onProgress']
}

/** Removes what is the owner's of all the links of a namespace. */
export async function removeOwnedOf(all: Link[], context: OwnedContext): Promise<RemovedOwned> {
  const { socket, owner, cancel, onProgress } = context
  const stay = new Staying(owner)
  for await (const link of inTurns(all)) stay.see(link)
  const { owned } = stay
  if (owned.size === 0) return { removed: [], kept: [], failed: [] }
  for await (const link of inTurns(owned)) if (context.keep(link)) stay.add({ link, reason: 'kept' })
  for await (const link of inTurns(all)) stay.addLowerOf(link)
  for (const { link, holders, held } of await holdersOfAll(all, context)) {
    if (held) stay.add({ link, reason: 'held', holders })
    else if (held === undefined) stay.add({ link, reason: 'uncertain' })
  }
  await stay.addNeeded()
  const kept = stay.kept()
  await putBack(context, kept)
  const leaving = [...owned].filter(link => !stay.has(link))
  const isMeant = (link: Link) => isOwnedBy(link, owner)
  const indexes = leaving.map(({ index }) => index)
  const results = await removeLinks(socket, indexes, { ifExists: true, isMeant, cancel, onProgress })
  const result: RemovedOwned = { removed: [], kept, failed: [] }
  for (const [at, link] of leaving.entries()) {
    const settled = results[at] as PromiseSettledResult<void>
    if (settled.status === 'fulfilled') result.removed.push(link)
    else result.failed.push({ link, error: settled.reason })
  }
  return result
}

/** Lets the event loop turn now and then. */
async function* inTurns<T>(all: Iterable<T>): AsyncGenerator<T, void, undefined> {
  let looked = 0
  for (const item of all) {
    if (++looked % LOOKED_AT === 0) await setImmediate()
    yield item
  }
}

/** Who has what open; a descriptor on its way is waited for, a second at most. */
async function holdersOfAll(all: Link[], { socket, netns, cancel }: OwnedContext): Promise<LinkHolders[]> {
  const openable = all.filter(isOpenable)
  for (let look = 1; ; look++) {
    cancel.throwIfGivenUp()
    const { found, inFlight } = await holdersOfLinks(socket, netns, openable)
    if (inFlight === 0 || look === LOOKS || found.every(({ held }) => held !== undefined)) return found
    await setTimeout(LOOK_AGAIN_AFTER)
  }
}

/** What stays, and what that needs. */
class Staying {
  readonly owned = new Set<Link>()
  readonly #owner: string
  readonly #byIndex = new Map<number, Link>()
  readonly #ports = new Map<number, Link[]>()
  readonly #staying = new Map<Link, KeptLink>()
  /** Those that others need, whatever else they stay for. */
  readonly #needed = new Set<Link>()

  constructor(owner: string) {
    this.#owner = owner
  }

  /** To be told of all links first. */
  see(link: Link): void {
    const { index, master } = link
    this.#byIndex.set(index, link)
    if (isOwnedBy(link, this.#owner)) this.owned.add(link)
    if (!master) return
    const others = this.#ports.get(master)
    if (others) others.push(link)
    else this.#ports.set(master, [link])
  }

  has(link: Link): boolean {
    return this.#staying.has(link)
  }

  /** Those of the owner's. */
  kept(): KeptLink[] {
    return [...this.#staying.values()].filter(({ link }) => this.owned.has(link))
  }

  /** The first reason counts. */
  add(kept: KeptLink): void {
    if (!this.#staying.has(kept.link)) this.#staying.set(kept.link, kept)
  }

  /** What a link of somebody else's stands on: it would be deleted with that. */
  addLowerOf(by: Link): void {
    if (this.owned.has(by)) return
    for (const link of this.#lower(by)) {
      if (this.owned.has(link) && !this.#belongs(by, link)) this.#need(link, by)
    }
  }

  async addNeeded(): Promise<void> {
    // What is added on the way is visited as well: a Map goes on with it.
    for await (const { link: by } of inTurns(this.#staying.values())) {
      for (const link of this.#lower(by)) this.#need(link, by)
      const master = by.master && this.#byIndex.get(by.master)
      if (master) this.#need(master, by)
    }
  }

  #need(link: Link, by: Link): void {
    this.add({ link, reason: 'needed', by })
    if (this.#needed.has(link)) return
    this.#needed.add(link)
    // The way out of a bridge is one of its ports. Behind a TAP that nobody has open there is nothing.
    for (const port of this.#ports.get(link.index) ?? [])
      if (port.kind !== 'tun') this.add({ link: port, reason: 'needed', by: link })
  }

  /** Whether a link is the other end of a pair and nobody else's: it comes and goes with it. */
  #belongs(end: Link, other: Link): boolean {
    return end.kind === 'veth' && other.kind === 'veth' && [undefined, this.#owner].includes(ownerOf(end))
  }

  /** What a link is deleted with: its lower device, or the other end of a pair. */
  #lower(link: Link): Link[] {
    // Of another namespace.
    if (link.linkNetnsid !== undefined) return []
    const device = link.is('vxlan') ? link.data.dev : undefined
    return [link.link, device].flatMap(index => {
      const lower = index === undefined || index === link.index ? undefined : this.#byIndex.get(index)
      return lower ? [lower] : []
    })
  }
}

/** What a deletion that was cut short has left in a group to be removed. */
async function putBack({ socket, owner }: OwnedContext, kept: KeptLink[]): Promise<void> {
  const group = ownerGroup(owner)
  const left = kept.filter(({ link }) => isRemovalGroup(link.group ?? 0))
  const requests = left.map(({ link }) =>
    changeRequest(link.index, { group, alias: ownerOf(link) ? undefined : ownerAlias(owner) })
  )
  // It stays the owner's in any case.
  await socket.batch(requests)
}
