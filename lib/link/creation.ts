/** Creating links, one or many: what takes several steps, and the way back. */
import { setImmediate } from 'node:timers/promises'
import { LinkwrightError } from '../errors.js'
import { kernelAtLeast } from '../kernel-release.js'
import type { Message } from '../netlink/framing.js'
import type { Request } from '../netlink/request.js'
import type { BatchResult, NetlinkSocket } from '../netlink/socket.js'
import { type NetnsRef, type OpenNetns, openNetns } from '../netns.js'
import { RTM } from '../rtnetlink/verbs.js'
import { Link, type LinkRef } from './link.js'
import type { ChangeLink, ChangeOptions, CreateLink, VethPeer } from './link-options.js'
import { afterCreation, altnamesRequest, changeRequest, createRequest, type ResolvedOptions } from './link-requests.js'
import { namesIn, References } from './references.js'

/** Links per exchange: the next is encoded while the kernel makes these, and the event loop turns in between. */
const CHUNK = 64
/** Exchanges under way at a time. */
const IN_FLIGHT = 3

/** Ifindexes that nobody picks by accident, for links whose name the kernel chooses and does not tell. */
const RANDOM_INDEX_FROM = 0x10000
const RANDOM_INDEX_TO = 0x3fffffff

/** The verbs that creating is made of. */
export interface LinkVerbs {
  get(ref: LinkRef): Promise<Link>
  set(ref: LinkRef, changes: ChangeLink): Promise<void>
  delete(ref: LinkRef, options: { ifExists: boolean }): Promise<void>
  addAltnames(ref: LinkRef, names: string[]): Promise<void>
  indexOf(ref: LinkRef): Promise<number>
}

/** Opens the verbs of another namespace for a moment. */
export type OpenLinks = (netns: NetnsRef) => Promise<{ links: LinkVerbs; close(): void }>

/** What creating takes. */
export interface CreationContext {
  socket: NetlinkSocket
  links: LinkVerbs
  open: OpenLinks
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
  /** Namespaces that the request names; open until it was answered. */
  held: OpenNetns[]
}

/**
 * Creates links in the order given, a result each. Giving up (signal, timeout) stops sending; what the kernel has in hand
 * is waited for, so that the results are what is.
 */
export async function createLinks(
  context: CreationContext,
  all: Iterable<CreateLink>,
  options: ChangeOptions
): Promise<Settled[]> {
  const references = new References(name => context.links.indexOf(name))
  const results: Promise<Settled[]>[] = []
  const giveUp = reasonToGiveUp(options)
  for (const chunk of chunksOf(all, CHUNK)) {
    if (results.length >= IN_FLIGHT) await results[results.length - IN_FLIGHT]
    if (results.length > 0) await setImmediate()
    const reason = giveUp()
    if (reason !== undefined) {
      results.push(Promise.resolve(chunk.map(() => ({ status: 'rejected', reason }))))
      continue
    }
    const refused = chunk.map(refusal)
    await references.load(chunk.filter((_, at) => refused[at] === undefined))
    results.push(createChunk(context, chunk, refused, references, options))
  }
  return (await Promise.all(results)).flat()
}

async function createChunk(
  context: CreationContext,
  chunk: CreateLink[],
  refused: (Error | undefined)[],
  references: References,
  options: ChangeOptions
): Promise<Settled[]> {
  const items = chunk.map((given, at) => (refused[at] ? { reason: refused[at] } : prepare(given, references)))
  const ready = items.filter(item => 'request' in item)
  try {
    const answers = await context.socket.batch(ready.map(item => item.request))
    const answerOf = new Map(ready.map((item, at) => [item, answers[at] as BatchResult]))
    const settled = items.map(item => {
      if (!('request' in item)) return { status: 'rejected', reason: item.reason } as const
      return settle(context, item, answerOf.get(item) as BatchResult, options)
    })
    return await Promise.all(settled)
  } finally {
    for (const item of ready) for (const netns of item.held) netns.close()
  }
}

/** Why something cannot be encoded; found out before anything is looked up, sent or made. */
function refusal(given: CreateLink): Error | undefined {
  try {
    const resolved = References.dry.resolve(given)
    // Where nothing is looked up, this happens before anything is sent anyway.
    if (namesIn(given).length > 0) createRequest(resolved, false)
    checkSteps(afterCreation(resolved), given.altnames)
    const { peer } = given as { peer?: VethPeer }
    if (peer) checkSteps(peerAfterCreation(peer), peer.altnames)
    return undefined
  } catch (error) {
    return error as Error
  }
}

function checkSteps(later: object | undefined, altnames: string[] | undefined): void {
  if (later) changeRequest(1, References.dry.resolve(later))
  if (altnames?.length) altnamesRequest('RTM_NEWLINKPROP', 1, altnames)
}

function prepare(given: CreateLink, references: References): Prepared | { reason: unknown } {
  const held: OpenNetns[] = []
  const hold = (ref: NetnsRef) => {
    const netns = openNetns(ref)
    held.push(netns)
    return netns.fd
  }
  try {
    const resolved = references.resolve(given)
    const { peer } = given as { peer?: VethPeer }
    if (given.netns !== undefined) resolved.netnsFd = hold(given.netns)
    if (resolved.peer && peer?.netns !== undefined) resolved.peer.netnsFd = hold(peer.netns)
    // The answer to a creation in another namespace goes there.
    const echo = given.netns === undefined && kernelAtLeast('6.3')
    const nameless = resolved.name === undefined || resolved.name.includes('%')
    // The kernel gives a peer its ifindex only beside one of the link.
    if ((!echo && nameless) || peer?.index !== undefined) resolved.index ??= randomIndex()
    return { given, resolved, request: createRequest(resolved, echo), held }
  } catch (reason) {
    for (const netns of held) netns.close()
    return { reason }
  }
}

/** A result at once where the link is finished, which is the rule; else what finishes it. */
function settle(
  context: CreationContext,
  item: Prepared,
  answer: BatchResult,
  options: ChangeOptions
): Settled | Promise<Settled> {
  if (answer.error !== undefined) {
    return context.explain(answer.error, item.resolved).then(reason => ({ status: 'rejected', reason }))
  }
  const echoed = answer.replies.find(isNewLink)
  if (echoed && !stepsAfter(item) && !wantsVerification(item.request, options)) {
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
  options: ChangeOptions
): Promise<Link> {
  const { given, resolved } = item
  const other = given.netns === undefined ? undefined : await context.open(given.netns)
  try {
    const links = other?.links ?? context.links
    const created = echoed ? new Link(echoed) : await links.get(resolved.index ?? (resolved.name as string))
    try {
      const link = await takeSteps(context, links, item, created)
      if (wantsVerification(item.request, options)) context.verify(item.request, await links.get(created.index))
      const reason = reasonToGiveUp(options)()
      if (reason !== undefined) throw reason
      return link
    } catch (error) {
      await links.delete(created.index, { ifExists: true })
      throw error
    }
  } finally {
    other?.close()
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

async function takeSteps(context: CreationContext, links: LinkVerbs, item: Prepared, created: Link): Promise<Link> {
  if (!stepsAfter(item)) return created
  const { given, resolved } = item
  const { peer } = given as { peer?: VethPeer }
  const later = afterCreation(resolved)
  const master = masterThere(given)
  if (master) await links.set(created.index, { master })
  if (later) await links.set(created.index, later as ChangeLink)
  if (given.altnames?.length) await links.addAltnames(created.index, given.altnames)
  const peerLater = peer && peerAfterCreation(peer)
  if (peerLater && created.link !== undefined) await finishPeer(context, peer, peerLater, created.link)
  return links.get(created.index)
}

/** A master in another namespace has its name and ifindex there. */
function masterThere(given: CreateLink): LinkRef | undefined {
  return given.netns === undefined ? undefined : (given.master ?? undefined)
}

/** What of a veth's peer has to wait until the pair exists. */
function peerAfterCreation(peer: VethPeer): ChangeLink | undefined {
  const { up, master, altnames } = peer
  const later = afterCreation(peer as ResolvedOptions)
  if (up === undefined && master === undefined && !later && !altnames?.length) return undefined
  return { ...(later as ChangeLink | undefined), up, master }
}

/** The peer lives where the request was made, if it names no namespace. */
async function finishPeer(context: CreationContext, peer: VethPeer, later: ChangeLink, index: number): Promise<void> {
  const other = peer.netns === undefined ? undefined : await context.open(peer.netns)
  try {
    const there = other?.links ?? context.links
    const { master, ...rest } = later
    if (master !== undefined) await there.set(index, { master })
    if (Object.values(rest).some(value => value !== undefined)) await there.set(index, rest as ChangeLink)
    if (peer.altnames?.length) await there.addAltnames(index, peer.altnames)
  } finally {
    other?.close()
  }
}

export function wantsVerification(request: Request, options: ChangeOptions): boolean {
  return options.verify ?? (request.uncertain || (request.since !== '' && !kernelAtLeast(request.since)))
}

/** Looks whether the caller has given up since. */
export function reasonToGiveUp({ signal, timeout }: ChangeOptions): () => unknown {
  const deadline = timeout === undefined ? Number.POSITIVE_INFINITY : performance.now() + timeout
  return () => {
    if (signal?.aborted) return signal.reason
    if (performance.now() < deadline) return undefined
    return new LinkwrightError(`not done within ${timeout} ms`, { code: 'ERR_TIMEOUT' })
  }
}

function isNewLink(message: Message): boolean {
  return message.type === RTM.RTM_NEWLINK
}

function randomIndex(): number {
  return RANDOM_INDEX_FROM + Math.floor(Math.random() * (RANDOM_INDEX_TO - RANDOM_INDEX_FROM))
}

function* chunksOf<T>(all: Iterable<T>, size: number): Generator<T[]> {
  let chunk: T[] = []
  for (const item of all) {
    chunk.push(item)
    if (chunk.length === size) {
      yield chunk
      chunk = []
    }
  }
  if (chunk.length > 0) yield chunk
}
