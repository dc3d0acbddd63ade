/** The way back: what was made for a list of which something failed. */
import { fstatSync } from 'node:fs'
import { LinkwrightError } from '../../errors.js'
import { type NetnsRef, openNetns } from '../../netns.js'
import type { Link } from '../link.js'
import type { CreateLink } from '../link-options.js'
import type { CreationContext, LinkVerbs, Settled } from './context.js'

/** An item that is made in another namespace. */
export interface Elsewhere {
  netns: NetnsRef
  given: CreateLink
}

/** Removes what was made, those of a namespace together. Gives the items that are gone. */
export async function removeMade(
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
export function undone(settled: Settled[], removed: ReadonlySet<number>): Settled[] {
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

/** Removes links that are not wanted after all. */
export async function removeTogether(context: CreationContext, indexes: number[]): Promise<void> {
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

/** Removes one. What goes wrong here must not hide what went wrong before. */
export async function remove(context: CreationContext, links: LinkVerbs, index: number): Promise<void> {
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
