/** Creating links, one or many: what takes several steps, and the way back. */
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
import { type Ipv6Off, ipv6OfPeer, Masters } from './ipv6.js'
import { Link, type LinkRef } from './link.js'
import type { ChangeLink, ChangeOptions, CreateLink, VethPeer } from './link-options.js'
import { afterCreation, altnamesRequest, changeRequest, createRequest, type ResolvedOptions } from './link-requests.js'
import { namesIn, References } from './references.js'

/** Links per exchange: the next is encoded while the kernel makes these, and the event loop turns in between. */
const CHUNK = 64
/** Exchanges under way at a time: more than the engine puts into one round, so that it never waits for us. */
const IN_FLIGHT = 4

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
}

/** Opens the verbs of another namespace for a moment. */
export type OpenLinks = (netns: NetnsRef | undefined) => Promise<{ links: LinkVerbs; close(): void }>

/** What creating takes. */
export interface CreationContext {
  socket: NetlinkSocket
  links: LinkVerbs
  open: OpenLinks
  /** Removes links of the socket's namespace, a result each. */
  removeAll(indexes: number[]): Promise<PromiseSettledResult<void>[]>
  /** Whether the socket speaks to the process's own namespace. */
  ownNetns: boolean
  explain(error: unknown, options: ResolvedOptions): Promise<unknown>
  /** Throws if the link does not have what the request asked for. */
  verify(request: Request, link: Link): void
}

type Settled = PromiseSettledResult<Link>

/** A creation that is ready to be sent. */
interface Prepared {
  given: CreateLink
  resolved: ResolvedOptions
  request: Request
  /** Namespaces that the request names; open until the link is finished. */
  netns: OpenNetns | undefined
  peerNetns: OpenNetns | undefined
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
  const masters = new Masters(ref => context.links.get(ref))
  const results: Promise<Settled[]>[] = []
  const turns = new Turns()
  const total = Array.isArray(all) ? all.length : undefined
  const elsewhere = new Map<number, NetnsRef>()
  let given = 0
  let done = 0
  let failed = false
  const finished = (settled: Settled[]): Settled[] => {
    failed ||= settled.some(({ status }) => status === 'rejected')
    done += settled.length
    options.onProgress?.(done, total)
    return settled
  }
  for await (const chunk of chunksOf(all)) {
    if (results.length >= IN_FLIGHT) await results[results.length - IN_FLIGHT]
    if (results.length > 0) await setImmediate()
    for (const [at, item] of chunk.entries()) if (item?.netns !== undefined) elsewhere.set(given + at, item.netns)
    given += chunk.length
    const givenUp = options.cancel.givenUp ?? (failed && options.allOrNone ? { reason: undefined } : undefined)
    if (givenUp) {
      const unmade = chunk.map((): Settled => ({ status: 'rejected', reason: givenUp.reason }))
      results.push(Promise.resolve(finished(unmade)))
    } else {
      const refused = chunk.map(refusal)
      const encodable = chunk.filter((_, at) => refused[at] === undefined)
      await Promise.all([references.load(encodable), masters.load(encodable)])
      results.push(createChunk(context, chunk, refused, { references, masters }, turns, options).then(finished))
    }
  }
  const settled = (await Promise.all(results)).flat()
  const named = settled.length === 1 ? settled : settled.map(numbered)
  return failed && options.allOrNone ? await takeBack(context, named, elsewhere) : named
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

/** Removes what was made, because something else was not. What cannot be removed stays fulfilled. */
async function takeBack(
  context: CreationContext,
  settled: Settled[],
  elsewhere: ReadonlyMap<number, NetnsRef>
): Promise<Settled[]> {
  const at = settled.findIndex(result => result.status === 'rejected' && result.reason !== undefined)
  const cause = (settled[at] as PromiseRejectedResult).reason
  const made: { item: number; index: number }[] = []
  for (const [item, result] of settled.entries()) {
    if (result.status === 'fulfilled') made.push({ item, index: result.value.index })
  }
  const here = made.filter(({ item }) => !elsewhere.has(item))
  const removed = new Set<number>()
  const results = await context.removeAll(here.map(({ index }) => index))
  for (const [position, { status }] of results.entries()) {
    if (status === 'fulfilled') removed.add((here[position] as { item: number }).item)
  }
  for (const { item, index } of made) {
    const netns = elsewhere.get(item)
    if (netns !== undefined && (await removeThere(context, netns, index))) removed.add(item)
  }
  return settled.map((result, item) => {
    if (result.status === 'rejected' ? result.reason !== undefined : !removed.has(item)) return result
    const what = result.status === 'rejected' ? 'not made' : 'removed again'
    const message = `${what}, because item ${at} failed: ${cause instanceof Error ? cause.message : cause}`
    return { status: 'rejected', reason: new LinkwrightError(message, { code: 'ERR_UNDONE', item, cause }) }
  })
}

async function removeThere(context: CreationContext, netns: NetnsRef, index: number): Promise<boolean> {
  try {
    const there = await context.open(netns)
    try {
      await there.links.delete(index, { ifExists: true })
    } finally {
      there.close()
    }
    return true
  } catch {
    return false
  }
}

/** Never rejects: every item has a result. */
async function createChunk(
  context: CreationContext,
  chunk: readonly CreateLink[],
  refused: (Error | undefined)[],
  known: Known,
  turns: Turns,
  options: CreationOptions
): Promise<Settled[]> {
  const items = chunk.map((given, at) => (refused[at] ? { reason: refused[at] } : prepare(given, known)))
  const ready = items.filter(isPrepared)
  try {
    const answers = await context.socket.batch(ready.map(item => item.request))
    await turns.next()
    let answered = 0
    let unfinished = false
    const settled = items.map(item => {
      if (!isPrepared(item)) return { status: 'rejected', reason: item.reason } as const
      const result = settle(context, item, answers[answered++] as BatchResult, options)
      unfinished ||= result instanceof Promise
      return result
    })
    return unfinished ? await Promise.all(settled) : (settled as Settled[])
  } catch (reason) {
    return items.map(item => ({ status: 'rejected', reason: isPrepared(item) ? reason : item.reason }))
  } finally {
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
function refusal(given: CreateLink): Error | undefined {
  try {
    if (namesIn(given).length === 0) return undefined
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
  masters: Masters
}

function prepare(given: CreateLink, { references, masters }: Known): Prepared | { reason: unknown } {
  let netns: OpenNetns | undefined
  let peerNetns: OpenNetns | undefined
  try {
    const resolved = references.resolve(given)
    const { peer } = given as { peer?: VethPeer }
    resolved['ipv6'] = masters.ipv6Of(given)
    giveBridgeAddress(resolved)
    checkSteps(afterCreation(resolved), given.altnames)
    if (peer) checkPeerSteps(peer)
    if (given.netns !== undefined) {
      netns = openNetns(given.netns)
      resolved.netnsFd = netns.fd
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
    return { given, resolved, request: createRequest(resolved, echo), netns, peerNetns }
  } catch (reason) {
    netns?.close()
    peerNetns?.close()
    return { reason }
  }
}

/** A result at once where the link is finished, which is the rule; else what finishes it. */
function settle(
  context: CreationContext,
  item: Prepared,
  answer: BatchResult,
  options: CreationOptions
): Settled | Promise<Settled> {
  if (answer.error !== undefined) {
    return context.explain(answer.error, item.resolved).then(reason => ({ status: 'rejected', reason }))
  }
  const [first] = answer.replies
  const echoed = first && isNewLink(first) ? first : answer.replies.find(isNewLink)
  const unwanted = options.undo && options.cancel.givenUp !== undefined
  if (echoed && !unwanted && !stepsAfter(item) && !wantsVerification(item.request, options.verify)) {
    return { status: 'fulfilled', value: new Link(echoed) }
  }
  return finish(context, item, echoed, options).then(
    value => ({ status: 'fulfilled', value }),
    reason => ({ status: 'rejected', reason })
  )
}

async function finish(
  context: CreationContext,
  item: Prepared,
  echoed: Message | undefined,
  options: CreationOptions
): Promise<Link> {
  const { resolved, netns } = item
  // By the descriptor that the request named: a name may mean another namespace by now.
  const other = netns && (await context.open({ fd: netns.fd }))
  try {
    const links = other?.links ?? context.links
    const created = echoed ? new Link(echoed) : await links.get(resolved.index ?? (resolved.name as string))
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
function stepsAfter(item: Prepared): boolean {
  const { given, resolved } = item
  const { peer } = given as { peer?: VethPeer }
  return Boolean(
    // The kernel answers before the link has its master: it is asked for again.
    resolved.master ||
      afterCreation(resolved) ||
      given.altnames?.length ||
      masterThere(given) ||
      (peer && peerAfterCreation(peer))
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

/** Sets what was left. Older kernels bring a link up before they look at `afSpec`: the way up is a step of its own then. */
async function configure(
  links: LinkVerbs,
  index: number,
  later: ChangeLink,
  verify: boolean | undefined
): Promise<void> {
  const { up, ipv6, ...rest } = later as ChangeLink & { ipv6?: Ipv6Off }
  if (ipv6 !== undefined) await links.withoutIpv6(index, ipv6)
  const separate = later.afSpec !== undefined && up !== undefined
  const steps = separate ? [rest as ChangeLink, { up }] : [{ ...rest, up } as ChangeLink]
  for (const step of [...lastingMtu(rest.mtu), ...steps]) {
    if (Object.values(step).some(value => value !== undefined)) await links.set(index, step, { verify })
  }
}

/** A master in another namespace has its name and ifindex there. */
function masterThere(given: CreateLink): LinkRef | undefined {
  return given.netns === undefined ? undefined : (given.master ?? undefined)
}

/** What of a veth's peer has to wait until the pair exists. */
function peerAfterCreation(peer: VethPeer): ChangeLink | undefined {
  const { up, master, altnames } = peer
  const later = afterCreation({ ...(peer as ResolvedOptions), ipv6: ipv6OfPeer(peer) })
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
    throw error instanceof LinkwrightError && error.path ? amend(error, { path: `peer.${error.path}` }) : error
  } finally {
    other?.close()
  }
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
