/** What links take after their creation, where it is requests that can go together with those of other links. */
import { amend, LinkwrightError } from '../../errors.js'
import { kernelAtLeast } from '../../kernel-release.js'
import type { Cancellation } from '../../netlink/cancellation.js'
import type { Message } from '../../netlink/framing.js'
import type { Request } from '../../netlink/request.js'
import type { BatchResult } from '../../netlink/socket.js'
import { RTM } from '../../rtnetlink/verbs.js'
import { lastingMtu } from '../bridge-defaults.js'
import type { Ipv6Off } from '../ipv6.js'
import { Link } from '../link.js'
import type { VethPeer } from '../link-options.js'
import { altnamesRequest, changeRequest, getRequest, type ResolvedOptions } from '../link-requests.js'
import type { CreationContext, CreationOptions, Settled } from './context.js'
import type { Prepared } from './preparation.js'
import { removeTogether } from './undo.js'

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
export interface Unfinished {
  created: Link
  steps: Step[]
  /** Ends that lose their IPv6 before that. */
  withoutIpv6: { index: number; why: Ipv6Off }[]
}

/**
 * What is left to do where it is requests to the same socket that need no look-up and no look at what became of them:
 * they go together with those of other links.
 */
export function stepsHere(
  { given, later, peerLater, peerNetns }: Prepared,
  created: Link,
  options: CreationOptions
): Unfinished | undefined {
  if (given.netns !== undefined) return undefined
  const steps = requestsFor(created.index, later, given.altnames, false)
  const withoutIpv6 = ipv6OffIn(later, created.index)
  if (peerLater) {
    const { link, linkNetnsid } = created
    const peer = (given as { peer?: VethPeer }).peer as VethPeer
    if (peerNetns || peer.master !== undefined || peer.port || link === undefined || linkNetnsid !== undefined) {
      return undefined
    }
    steps.push(...requestsFor(link, peerLater, peer.altnames, true))
    withoutIpv6.push(...ipv6OffIn(peerLater, link))
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
export async function finishTogether(
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

/**
 * The changes that are messages; IPv6 is switched off before them. Older kernels bring a link up before they look at
 * `afSpec`: the way up is a step of its own then.
 */
export function changesInOrder(later: ResolvedOptions): ResolvedOptions[] {
  const { up, ipv6: _, ...rest } = later
  const separate = later['afSpec'] !== undefined && up !== undefined
  const steps = separate ? [rest, { up }] : [{ ...rest, up }]
  const isChange = (step: ResolvedOptions) => Object.values(step).some(value => value !== undefined)
  return [...(lastingMtu(rest['mtu']) as ResolvedOptions[]), ...steps].filter(isChange)
}

/** The same error with the path of the option that the caller gave. */
export function ofThePeer(error: unknown): unknown {
  return error instanceof LinkwrightError && error.path ? amend(error, { path: `peer.${error.path}` }) : error
}

export function wantsVerification(request: Request, verify: boolean | undefined): boolean {
  return verify ?? (request.uncertain || (request.since !== '' && !kernelAtLeast(request.since)))
}

export function linkIn({ replies }: BatchResult): Link | undefined {
  const [first] = replies
  const reply = first && isNewLink(first) ? first : replies.find(isNewLink)
  return reply && new Link(reply)
}

function isNewLink(message: Message): boolean {
  return message.type === RTM.RTM_NEWLINK
}
