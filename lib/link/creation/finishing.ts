/** Finishing one link by itself: in another namespace, with look-ups, or with a look at what became of it. */
import type { Ipv6Off } from '../ipv6.js'
import type { Link } from '../link.js'
import type { ChangeLink, VethPeer } from '../link-options.js'
import type { ResolvedOptions } from '../link-requests.js'
import type { CreationContext, CreationOptions, LinkVerbs } from './context.js'
import { masterThere, type Prepared, stepsAfter } from './preparation.js'
import { changesInOrder, ofThePeer, wantsVerification } from './steps.js'
import { remove } from './undo.js'

/** @param seen the link as the kernel made it, if it told */
export async function finish(
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

async function takeSteps(
  context: CreationContext,
  links: LinkVerbs,
  item: Prepared,
  created: Link,
  { verify }: CreationOptions
): Promise<Link> {
  if (!stepsAfter(item)) return created
  const { given, later, peerLater } = item
  const master = masterThere(given)
  if (master) await links.set(created.index, { master }, { verify })
  if (later) await configure(links, created.index, later, verify)
  if (given.altnames?.length) await links.addAltnames(created.index, given.altnames)
  if (peerLater && created.link !== undefined) await finishPeer(context, item, peerLater, created.link, verify)
  return links.get(created.index)
}

/** Sets what was left. */
async function configure(
  links: LinkVerbs,
  index: number,
  later: ResolvedOptions,
  verify: boolean | undefined
): Promise<void> {
  const { ipv6 } = later as { ipv6?: Ipv6Off }
  if (ipv6 !== undefined) await links.withoutIpv6(index, ipv6)
  for (const step of changesInOrder(later)) await links.set(index, step as ChangeLink, { verify })
}

/** The peer lives where the request was made, if it names no namespace. */
async function finishPeer(
  context: CreationContext,
  { given, peerNetns }: Prepared,
  later: ResolvedOptions,
  index: number,
  verify: boolean | undefined
): Promise<void> {
  const { altnames } = (given as { peer?: VethPeer }).peer as VethPeer
  const other = peerNetns && (await context.open({ fd: peerNetns.fd }))
  try {
    const there = other?.links ?? context.links
    const { master, ...rest } = later as ChangeLink
    if (master !== undefined) await there.set(index, { master }, { verify })
    await configure(there, index, rest as ResolvedOptions, verify)
    if (altnames?.length) await there.addAltnames(index, altnames)
  } catch (error) {
    throw ofThePeer(error)
  } finally {
    other?.close()
  }
}
