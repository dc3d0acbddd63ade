/** Creating links, one or many: what takes several steps, and the way back. */
import { fstatSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { prefixPath } from '../codec/codec.js'
import { amend, LinkwrightError } from '../errors.js'
import { kernelAtLeast } from '../kernel-release.js'
import type { Cancellation } from '../netlink/cancellation.js'
import type { Message } from '../netlink/framing.js'
import type { Request } from '../netlink/request.js'
import type { BatchResult, NetlinkSocket } from '../netlink/socket.js'
import { type NetnsRef, type OpenNetns, openNetns } from '../netns.js'
import { RTM } from '../rtnetlink/verbs.js'
import { giveBridgeAddress, lastingMtu } from './bridge-defaults.js'
import { Ipv6Defaults, type Ipv6Off, ipv6OfPeer, isIpv6OffByDefault } from './ipv6.js'
import { Link, type LinkRef } from './link.js'
import type { ChangeLink, ChangeOptions, CreateLink, VethPeer } from './link-options.js'
import {
  afterCreation,
  altnamesRequest,
  changeRequest,
  createRequest,
  getRequest,
  type ResolvedOptions
} from './link-requests.js'
import { withOwner } from './owner.js'
import { Progress } from './progress.js'
import { namesIn, References } from './references.js'

/** Links per exchange: the next is encoded while the kernel makes these, and the event loop turns in between. */
const CHUNK = 32
/** Exchanges under way at a time: more than the engine puts into one round, so that it never waits for us. */
const IN_FLIGHT = 8

/** Ifindexes that nobody picks by accident, for links whose name the kernel chooses and does not tell. */
const RANDOM_INDEX_FROM = 0x10000
const RANDOM_INDEX_TO = 0x3fffffff

/** The verbs that creating is made of. */
export interface LinkVerbs {
  get(ref: LinkRef): Promise<Link>
  set(ref: LinkRef, changes: ChangeLink, options: Pick<ChangeOptions, 'verify'>): Promise<void>
  delete(ref: LinkRef, options: { ifExists: boolean }): Promise<void>
  addAltnames(ref: LinkRef, names: string[]): Promise<void>
  indexOf(ref: LinkRef): Promise<number>
  withoutIpv6(index: number, why: Ipv6Off): Promise<void>
  /** Those with an ifindex that is another link's by now are left alone; a result each. */
  removeMade(links: readonly Link[]): Promise<PromiseSettledResult<void>[]>
}

/** Opens the verbs of another namespace for a moment. */
export type OpenLinks = (netns: NetnsRef | undefined) => Promise<{ links: LinkVerbs; close(): void }>

/** Opens the verbs of each namespace once, for as long as its descriptors are open. */
class Doors {
  readonly #open: OpenLinks
  readonly #doors = new Map<bigint, ReturnType<OpenLinks>>()

  constructor(open: OpenLinks) {
    this.#open = open
  }

  readonly open: OpenLinks = async netns => {
    if (typeof netns !== 'object' || !('fd' in netns)) return await this.#open(netns)
    const { ino } = fstatSync(netns.fd, { bigint: true })
    const door = this.#doors.get(ino) ?? this.#open(netns)
    this.#doors.set(ino, door)
    const { links } = await door
    return { links, close() {} }
  }

  async close(): Promise<void> {
    for (const door of this.#doors.values()) (await door.catch(() => undefined))?.close()
  }
}

/** What creating takes. */
export interface CreationContext {
  socket: NetlinkSocket
  links: LinkVerbs
  open: OpenLinks
  /** Removes links of the socket's namespace, a result each. */
  removeAll(indexes: number[]): Promise<PromiseSettledResult<void>[]>
  /** Whether the socket speaks to the process's own namespace. */
  ownNetns: boolean
  explain(error: unknown, options: ResolvedOptions, index?: number): Promise<unknown>
  /** Throws if the link does not have what the request asked for. */
  verify(request: Request, link: Link): void
}

type Settled = PromiseSettledResult<Link>

/** A creation that is ready to be sent. */
interface Prepared {
  given: CreateLink
  resolved: ResolvedOptions
  request: Request
  /** Asks for the link right behind its creation, where that does not tell all. */
  look: Request | undefined
  /** Namespaces that the request names; open until the link is finished. */
  netns: OpenNetns | undefined
  peerNetns: OpenNetns | undefined
}

/** A request that a link takes after its creation. */
interface Step {
  request: Request
  /** What it sets. */
  options: ResolvedOptions
  /** Whether it is about the other end of a pair. */
  ofPeer: boolean
  index: number
}

/** A link that was made. Its last step asks for it as it is then. */
interface Unfinished {
  created: Link
  steps: Step[]
  /** Ends that lose their IPv6 before that. */
  withoutIpv6: { index: number; why: Ipv6Off }[]
}

export interface CreationOptions {
  verify?: boolean | undefined
  cancel: Cancellation
  /** Remove what was made for a caller who has given up meanwhile. */
  undo: boolean
  /** Stop at the first failure and remove what was made. */
  allOrNone?: boolean | undefined
  onProgress?: ((done: number, total: number | undefined) => void) | undefined
}

export type LinkSource = Iterable<CreateLink> | AsyncIterable<CreateLink>

/** Lets the event loop turn between chunks that are answered at once. */
class Turns {
  #last: Promise<unknown> | undefined

  async next(): Promise<void> {
    const before = this.#last
    this.#last = before ? before.then(() => setImmediate()) : Promise.resolve()
    await this.#last
  }
}

/**
 * Creates links in the order given, a result each. Giving up stops sending; what the kernel has in hand is waited for, so
 * that the results are what is.
 */
export async function createLinks(
  context: CreationContext,
  all: LinkSource,
  options: CreationOptions
): Promise<Settled[]> {
  const references = new References(name => context.links.indexOf(name))
  const ipv6 = new Ipv6Defaults(
    ref => context.links.get(ref),
    () => isIpv6OffByDefault(context.socket, context.ownNetns)
  )
  const results: Promise<Settled[]>[] = []
  const progress = new Progress(options.onProgress)
  const turns = new Turns()
  const total = Array.isArray(all) ? all.length : undefined
  const elsewhere = new Map<number, Elsewhere>()
  const inodes = new Map<CreateLink, bigint>()
  let given = 0
  let done = 0
  let failed = false
  const finished = (settled: Settled[]): Settled[] => {
    failed ||= settled.some(({ status }) => status === 'rejected')
    done += settled.length
    progress.report(done, total)
    return settled
  }
  try {
    for await (const chunk of chunksOf(all)) {
      if (results.length >= IN_FLIGHT) await results[results.length - IN_FLIGHT]
      if (results.length > 0) await setImmediate()
      if (progress.failed) break
      for (const [at, item] of chunk.entries()) {
        if (item?.netns !== undefined) elsewhere.set(given + at, { netns: item.netns, given: item })
      }
      given += chunk.length
      const givenUp = options.cancel.givenUp ?? (failed && options.allOrNone ? { reason: undefined } : undefined)
      if (givenUp) {
        const unmade = chunk.map((): Settled => ({ status: 'rejected', reason: givenUp.reason }))
        results.push(Promise.resolve(finished(unmade)))
      } else {
        const refused = chunk.map(given => refusal(given, references))
        const encodable = chunk.filter((_, at) => refused[at] === undefined)
        await Promise.all([references.load(encodable), ipv6.load(encodable)])
        results.push(createChunk(context, chunk, refused, { references, ipv6, inodes }, turns, options).then(finished))
      }
    }
    await Promise.all(results)
    progress.end()
  } catch (error) {
    // The source or the callback threw. What is under way is waited for: nothing is made after the end.
    const made = (await Promise.all(results)).flat()
    if (options.allOrNone) await removeMade(context, made, elsewhere, inodes)
    throw error
  }
  const settled = (await Promise.all(results)).flat()
  const named = settled.length === 1 ? settled : settled.map(numbered)
  if (!failed || !options.allOrNone) return named
  return undone(named, await removeMade(context, named, elsewhere, inodes))
}

async function* chunksOf(all: LinkSource): AsyncGenerator<CreateLink[], void, undefined> {
  let chunk: CreateLink[] = []
  const isFull = (given: CreateLink) => chunk.push(given) === CHUNK
  const take = () => {
    const full = chunk
    chunk = []
    return full
  }
  // Waiting for each of those that are there already would take longer than encoding them.
  if (Symbol.iterator in all) {
    for (const given of all) if (isFull(given)) yield take()
  } else {
    for await (const given of all) if (isFull(given)) yield take()
  }
  if (chunk.length > 0) yield take()
}

/** An item that is made in another namespace. */
interface Elsewhere {
  netns: NetnsRef
  given: CreateLink
}

/** Removes what was made, those of a namespace together. Gives the items that are gone. */
async function removeMade(
  context: CreationContext,
  settled: Settled[],
  elsewhere: ReadonlyMap<number, Elsewhere>,
  inodes: ReadonlyMap<CreateLink, bigint>
): Promise<Set<number>> {
  const here = new Map<number, Link>()
  const there = new Map<NetnsRef, { inode: bigint | undefined; made: Map<number, Link> }>()
  for (const [item, result] of settled.entries()) {
    if (result.status === 'rejected') continue
    const place = elsewhere.get(item)
    if (place) {
      const { netns, given } = place
      const { made } = there.get(netns) ?? { made: new Map<number, Link>() }
      there.set(netns, { inode: inodes.get(given), made: made.set(item, result.value) })
    } else here.set(item, result.value)
  }
  const removed = new Set<number>()
  const note = (made: Map<number, Link>, results: PromiseSettledResult<void>[]) => {
    for (const [at, item] of [...made.keys()].entries()) if (results[at]?.status === 'fulfilled') removed.add(item)
  }
  note(here, await context.links.removeMade([...here.values()]))
  for (const [ref, { inode, made }] of there) note(made, await removeThere(context, ref, inode, [...made.values()]))
  return removed
}

/** Says of all that they were not made, because something was not. What could not be removed stays fulfilled. */
function undone(settled: Settled[], removed: ReadonlySet<number>): Settled[] {
  const at = settled.findIndex(result => result.status === 'rejected' && result.reason !== undefined)
  const cause = (settled[at] as PromiseRejectedResult).reason
  return settled.map((result, item) => {
    if (result.status === 'rejected' ? result.reason !== undefined : !removed.has(item)) return result
    const what = result.status === 'rejected' ? 'not made' : 'removed again'
    const message = `${what}, because item ${at} failed: ${cause instanceof Error ? cause.message : cause}`
    return { status: 'rejected', reason: new LinkwrightError(message, { code: 'ERR_UNDONE', item, cause }) }
  })
}

/** None where that is another namespace by now. */
async function removeThere(
  context: CreationContext,
  ref: NetnsRef,
  inode: bigint | undefined,
  made: Link[]
): Promise<PromiseSettledResult<void>[]> {
  try {
    using netns = openNetns(ref)
    if (fstatSync(netns.fd, { bigint: true }).ino !== inode) return []
    const there = await context.open({ fd: netns.fd })
    try {
      return await there.links.removeMade(made)
    } finally {
      there.close()
    }
  } catch {
    return []
  }
}

/** Never rejects: every item has a result. */
async function createChunk(
  outer: CreationContext,
  chunk: readonly CreateLink[],
  refused: (Error | undefined)[],
  known: Known,
  turns: Turns,
  options: CreationOptions
): Promise<Settled[]> {
  const doors = new Doors(outer.open)
  const context = { ...outer, open: doors.open }
  const items = chunk.map((given, at) => (refused[at] ? { reason: refused[at] } : prepare(given, known)))
  const ready = items.filter(isPrepared)
  try {
    const requests = ready.flatMap(({ request, look }) => (look ? [request, look] : [request]))
    const answers = await context.socket.batch(requests)
    await turns.next()
    const settled: (Settled | Promise<Settled>)[] = []
    const unfinished: Unfinished[] = []
    const together: number[] = []
    let answered = 0
    for (const [at, item] of items.entries()) {
      if (!isPrepared(item)) {
        settled[at] = { status: 'rejected', reason: item.reason }
        continue
      }
      const answer = answers[answered++] as BatchResult
      const look = item.look && answers[answered++]
      const result = settle(context, item, answer, look, options)
      if ('steps' in result) {
        unfinished.push(result)
        together.push(at)
      } else settled[at] = result
    }
    if (unfinished.length > 0) {
      const finished = await finishTogether(context, unfinished, options)
      for (const [nth, at] of together.entries()) settled[at] = finished[nth] as Settled
    }
    return settled.some(result => result instanceof Promise) ? await Promise.all(settled) : (settled as Settled[])
  } catch (reason) {
    return items.map(item => ({ status: 'rejected', reason: isPrepared(item) ? reason : item.reason }))
  } finally {
    await doors.close()
    for (const item of ready) {
      item.netns?.close()
      item.peerNetns?.close()
    }
  }
}

function isPrepared(item: Prepared | { reason: unknown }): item is Prepared {
  return 'request' in item
}

/** Errors say which of many they are about. */
function numbered(result: Settled, item: number): Settled {
  if (result.status === 'fulfilled' || !(result.reason instanceof LinkwrightError)) return result
  return { status: 'rejected', reason: amend(result.reason, { item }) }
}

/** Why something cannot be encoded, where it needs look-ups: found out before them. */
function refusal(given: CreateLink, references: References): Error | undefined {
  try {
    if (references.has(namesIn(given))) return undefined
    const resolved = References.dry.resolve(given)
    giveBridgeAddress(resolved)
    createRequest(resolved, false)
    checkSteps(afterCreation(resolved), given.altnames)
    return undefined
  } catch (error) {
    return error as Error
  }
}

function checkSteps(later: object | undefined, altnames: string[] | undefined): void {
  if (later) changeRequest(1, References.dry.resolve(later))
  if (altnames?.length) altnamesRequest('RTM_NEWLINKPROP', 1, altnames)
}

function checkPeerSteps(peer: VethPeer): void {
  try {
    checkSteps(peerAfterCreation(peer), peer.altnames)
  } catch (error) {
    throw prefixPath(error, 'peer')
  }
}

/** What was looked up for the links that are to be made. */
interface Known {
  references: References
  ipv6: Ipv6Defaults
  /** Of the namespaces that links were made in. */
  inodes: Map<CreateLink, bigint>
}

function prepare(given: CreateLink, { references, ipv6, inodes }: Known): Prepared | { reason: unknown } {
  let netns: OpenNetns | undefined
  let peerNetns: OpenNetns | undefined
  try {
    const resolved = references.resolve(given)
    const { peer } = given as { peer?: VethPeer }
    const off = ipv6.ipv6Of(given)
    if (off !== resolved['ipv6']) resolved['ipv6'] = off
    giveBridgeAddress(resolved)
    checkSteps(afterCreation(resolved), given.altnames)
    if (peer) checkPeerSteps(peer)
    if (given.netns !== undefined) {
      netns = openNetns(given.netns)
      resolved.netnsFd = netns.fd
      inodes.set(given, fstatSync(netns.fd, { bigint: true }).ino)
    }
    if (resolved.peer && peer?.netns !== undefined) {
      peerNetns = openNetns(peer.netns)
      resolved.peer.netnsFd = peerNetns.fd
    }
    // The answer to a creation in another namespace goes there.
    const echo = given.netns === undefined && kernelAtLeast('6.3')
    const nameless = resolved.name === undefined || resolved.name.includes('%')
    // The kernel gives a peer its ifindex only beside one of the link.
    if ((!echo && nameless) || peer?.index !== undefined) resolved.index ??= randomIndex()
    const request = createRequest(resolved, echo)
    return { given, resolved, request, look: lookBehind(given, resolved, echo, nameless), netns, peerNetns }
  } catch (reason) {
    netns?.close()
    peerNetns?.close()
    return { reason }
  }
}

/** What tells the rest where nothing else is to be done. It may find another link: the creation may fail. */
function lookBehind(
  given: CreateLink,
  resolved: ResolvedOptions,
  echo: boolean,
  nameless: boolean
): Request | undefined {
  const { index, name } = resolved
  if (given.netns !== undefined || (nameless && index === undefined)) return undefined
  // The kernel answers before the link has its master. Where there are steps to take, it is asked behind them.
  const unanswered = !echo || (resolved.master && !changesAfter(given, resolved))
  return unanswered ? getRequest(index ?? (name as string), false) : undefined
}

/** A result at once where the link is finished, which is the rule; else what it takes, or what finishes it. */
function settle(
  context: CreationContext,
  item: Prepared,
  answer: BatchResult,
  look: BatchResult | undefined,
  options: CreationOptions
): Settled | Promise<Settled> | Unfinished {
  if (answer.error !== undefined) {
    return context.explain(answer.error, item.resolved).then(reason => ({ status: 'rejected', reason }))
  }
  const echoed = linkIn(answer)
  const seen = look && linkIn(look)
  const created = echoed ?? seen
  const unwanted = options.undo && options.cancel.givenUp !== undefined
  if (created && !unwanted && !wantsVerification(item.request, options.verify)) {
    if (!stepsAfter(item)) return { status: 'fulfilled', value: created }
    const changes = changesAfter(item.given, item.resolved)
    if (!changes && seen?.index === created.index) return { status: 'fulfilled', value: seen }
    const unfinished = stepsHere(item, created, options)
    if (unfinished) return unfinished
  }
  return finish(context, item, created, options).then(
    value => ({ status: 'fulfilled', value }),
    reason => ({ status: 'rejected', reason })
  )
}

function linkIn({ replies }: BatchResult): Link | undefined {
  const [first] = replies
  const reply = first && isNewLink(first) ? first : replies.find(isNewLink)
  return reply && new Link(reply)
}

/**
 * What is left to do where it is requests to the same socket that need no look-up and no look at what became of them:
 * they go together with those of other links.
 */
function stepsHere(
  { given, resolved, peerNetns }: Prepared,
  created: Link,
  options: CreationOptions
): Unfinished | undefined {
  if (given.netns !== undefined) return undefined
  const later = afterCreation(resolved)
  const steps = requestsFor(created.index, later, given.altnames, false)
  const withoutIpv6 = ipv6OffIn(later, created.index)
  const { peer } = given as { peer?: VethPeer }
  const peerLater = peer && peerAfterCreation(peer)
  if (peerLater) {
    const { link, linkNetnsid } = created
    if (peerNetns || peer.master !== undefined || peer.port || link === undefined || linkNetnsid !== undefined) {
      return undefined
    }
    steps.push(...requestsFor(link, peerLater as ResolvedOptions, peer.altnames, true))
    withoutIpv6.push(...ipv6OffIn(peerLater as ResolvedOptions, link))
  }
  if (steps.some(({ request }) => wantsVerification(request, options.verify))) return undefined
  const { index } = created
  const look = { request: getRequest(index, false), options: {}, ofPeer: false, index }
  return { created, steps: [...steps, look], withoutIpv6 }
}

function ipv6OffIn(later: ResolvedOptions | undefined, index: number): Unfinished['withoutIpv6'] {
  const why = later?.['ipv6'] as Ipv6Off | undefined
  return why === undefined ? [] : [{ index, why }]
}

function requestsFor(
  index: number,
  later: ResolvedOptions | undefined,
  altnames: string[] | undefined,
  ofPeer: boolean
): Step[] {
  const changes = later ? changesInOrder(later) : []
  const steps = changes.map(options => ({ request: changeRequest(index, options), options, ofPeer, index }))
  if (altnames?.length) {
    steps.push({ request: altnamesRequest('RTM_NEWLINKPROP', index, altnames), options: {}, ofPeer, index })
  }
  return steps
}

/** Takes the steps of many links in one exchange. Links that one of them fails for are removed. Never rejects. */
async function finishTogether(
  context: CreationContext,
  unfinished: Unfinished[],
  { cancel, undo }: CreationOptions
): Promise<Settled[]> {
  const unchanged = await switchIpv6Off(context, unfinished)
  const ready = unfinished.filter(item => !unchanged.has(item))
  const answers = ready.length > 0 ? await takeTogether(context, ready, cancel) : []
  const givenUp = undo ? cancel.givenUp : undefined
  let answered = 0
  const results = unfinished.map(async (item): Promise<Settled> => {
    const { created, steps } = item
    if (unchanged.has(item)) return { status: 'rejected', reason: unchanged.get(item) }
    const own = answers.slice(answered, answered + steps.length)
    answered += steps.length
    const failed = own.findIndex(({ error }) => error !== undefined)
    if (failed >= 0) {
      const { options, ofPeer, index } = steps[failed] as Step
      const error = await context.explain(own[failed]?.error, options, index)
      return { status: 'rejected', reason: ofPeer ? ofThePeer(error) : error }
    }
    if (givenUp) return { status: 'rejected', reason: givenUp.reason }
    return { status: 'fulfilled', value: linkIn(own.at(-1) as BatchResult) ?? created }
  })
  const settled = await Promise.all(results)
  const unwanted = unfinished.filter((_, at) => settled[at]?.status === 'rejected')
  await removeTogether(
    context,
    unwanted.map(({ created }) => created.index)
  )
  return settled
}

/** Those that it fails for, and why. All of one turn are switched off together. */
async function switchIpv6Off(context: CreationContext, unfinished: Unfinished[]): Promise<Map<Unfinished, unknown>> {
  const failed = new Map<Unfinished, unknown>()
  const off = (item: Unfinished) => item.withoutIpv6.map(({ index, why }) => context.links.withoutIpv6(index, why))
  const each = unfinished.map(item => Promise.all(off(item)).catch(error => failed.set(item, error)))
  await Promise.all(each)
  return failed
}

async function takeTogether(
  context: CreationContext,
  unfinished: Unfinished[],
  cancel: Cancellation
): Promise<BatchResult[]> {
  const requests = unfinished.flatMap(({ steps }) => steps.map(({ request }) => request))
  try {
    cancel.throwIfGivenUp()
    return await context.socket.batch(requests)
  } catch (error) {
    return requests.map(() => ({ replies: [], error }))
  }
}

async function removeTogether(context: CreationContext, indexes: number[]): Promise<void> {
  let left = indexes
  if (indexes.length > 1 && !context.socket.closed) {
    try {
      const results = await context.removeAll(indexes)
      left = indexes.filter((_, at) => results[at]?.status === 'rejected')
    } catch {
      // One by one, then.
    }
  }
  for (const index of left) await remove(context, context.links, index)
}

async function finish(
  context: CreationContext,
  item: Prepared,
  seen: Link | undefined,
  options: CreationOptions
): Promise<Link> {
  const { resolved, netns } = item
  // By the descriptor that the request named: a name may mean another namespace by now.
  const other = netns && (await context.open({ fd: netns.fd }))
  try {
    const links = other?.links ?? context.links
    const created = seen ?? (await links.get(resolved.index ?? (resolved.name as string)))
    try {
      if (options.undo || stepsAfter(item)) options.cancel.throwIfGivenUp()
      const link = await takeSteps(context, links, item, created, options)
      if (wantsVerification(item.request, options.verify)) context.verify(item.request, await links.get(created.index))
      if (options.undo) options.cancel.throwIfGivenUp()
      return link
    } catch (error) {
      await remove(context, links, created.index)
      throw error
    }
  } finally {
    other?.close()
  }
}

/** The way back. What goes wrong there must not hide what went wrong before. */
async function remove(context: CreationContext, links: LinkVerbs, index: number): Promise<void> {
  try {
    await links.delete(index, { ifExists: true })
  } catch {
    // The caller closed the socket meanwhile; only the process's own namespace is sure to be found again.
    if (!context.socket.closed || links !== context.links || !context.ownNetns) return
    const fresh = await context.open(undefined)
    await fresh.links.delete(index, { ifExists: true }).catch(() => {})
    fresh.close()
  }
}

/** What could not go along with the creation. */
function stepsAfter({ given, resolved }: Prepared): boolean {
  // The kernel answers before the link has its master: it is asked for again.
  return Boolean(resolved.master) || changesAfter(given, resolved)
}

/** What is to be changed then. */
function changesAfter(given: CreateLink, resolved: ResolvedOptions): boolean {
  const { peer } = given as { peer?: VethPeer }
  return Boolean(
    afterCreation(resolved) || given.altnames?.length || masterThere(given) || (peer && peerAfterCreation(peer))
  )
}

async function takeSteps(
  context: CreationContext,
  links: LinkVerbs,
  item: Prepared,
  created: Link,
  { verify }: CreationOptions
): Promise<Link> {
  if (!stepsAfter(item)) return created
  const { given, resolved } = item
  const { peer } = given as { peer?: VethPeer }
  const later = afterCreation(resolved)
  const master = masterThere(given)
  if (master) await links.set(created.index, { master }, { verify })
  if (later) await configure(links, created.index, later as ChangeLink, verify)
  if (given.altnames?.length) await links.addAltnames(created.index, given.altnames)
  const peerLater = peer && peerAfterCreation(peer)
  if (peerLater && created.link !== undefined) {
    await finishPeer(context, item, peer, peerLater, created.link, verify)
  }
  return links.get(created.index)
}

/**
 * The changes that are messages; IPv6 is switched off before them. Older kernels bring a link up before they look at
 * `afSpec`: the way up is a step of its own then.
 */
function changesInOrder(later: ResolvedOptions): ResolvedOptions[] {
  const { up, ipv6: _, ...rest } = later
  const separate = later['afSpec'] !== undefined && up !== undefined
  const steps = separate ? [rest, { up }] : [{ ...rest, up }]
  const isChange = (step: ResolvedOptions) => Object.values(step).some(value => value !== undefined)
  return [...(lastingMtu(rest['mtu']) as ResolvedOptions[]), ...steps].filter(isChange)
}

/** Sets what was left. */
async function configure(
  links: LinkVerbs,
  index: number,
  later: ChangeLink,
  verify: boolean | undefined
): Promise<void> {
  const { ipv6 } = later as { ipv6?: Ipv6Off }
  if (ipv6 !== undefined) await links.withoutIpv6(index, ipv6)
  for (const step of changesInOrder(later as ResolvedOptions)) await links.set(index, step as ChangeLink, { verify })
}

/** A master in another namespace has its name and ifindex there. */
function masterThere(given: CreateLink): LinkRef | undefined {
  return given.netns === undefined ? undefined : (given.master ?? undefined)
}

/** What of a veth's peer has to wait until the pair exists. */
function peerAfterCreation(peer: VethPeer): ChangeLink | undefined {
  const { up, master, altnames } = peer
  const later = afterCreation({ ...(withOwner(peer) as ResolvedOptions), ipv6: ipv6OfPeer(peer) })
  if (up === undefined && master === undefined && !later && !altnames?.length) return undefined
  return { ...(later as ChangeLink | undefined), up, master }
}

/** The peer lives where the request was made, if it names no namespace. */
async function finishPeer(
  context: CreationContext,
  { peerNetns }: Prepared,
  peer: VethPeer,
  later: ChangeLink,
  index: number,
  verify: boolean | undefined
): Promise<void> {
  const other = peerNetns && (await context.open({ fd: peerNetns.fd }))
  try {
    const there = other?.links ?? context.links
    const { master, ...rest } = later
    if (master !== undefined) await there.set(index, { master }, { verify })
    await configure(there, index, rest as ChangeLink, verify)
    if (peer.altnames?.length) await there.addAltnames(index, peer.altnames)
  } catch (error) {
    throw ofThePeer(error)
  } finally {
    other?.close()
  }
}

/** The same error with the path of the option that the caller gave. */
function ofThePeer(error: unknown): unknown {
  return error instanceof LinkwrightError && error.path ? amend(error, { path: `peer.${error.path}` }) : error
}

export function wantsVerification(request: Request, verify: boolean | undefined): boolean {
  return verify ?? (request.uncertain || (request.since !== '' && !kernelAtLeast(request.since)))
}

function isNewLink(message: Message): boolean {
  return message.type === RTM.RTM_NEWLINK
}

function randomIndex(): number {
  return RANDOM_INDEX_FROM + Math.floor(Math.random() * (RANDOM_INDEX_TO - RANDOM_INDEX_FROM))
}
