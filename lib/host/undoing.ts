/** Carrying out a way back, and what to say when it fails. */
import { errnoName, LinkwrightError } from '../errors.js'
import type { Link } from '../link/link.js'
import type { Netlink } from '../link/netlink.js'
import { Guard, type Restoration } from './guard.js'
import { stale } from './host-identity.js'
import type { SavedState } from './saved-state.js'
import type { Operation } from './way-back.js'

/** By a guard that was started for nothing else. */
export async function undoNow(net: Netlink, back: readonly Operation[]): Promise<void> {
  const guard = await Guard.start({ net })
  try {
    await guard.arm(back)
    assertRestored(await guard.restore(), back)
  } finally {
    await guard.dismiss()
  }
}

/** @throws LinkwrightError `ERR_NOT_UNDONE` */
export function assertRestored({ failures }: Restoration, back: readonly Operation[], cause?: unknown): void {
  if (failures.length === 0) return
  const said = failures.map(({ operation, errno }) => `${errnoName(errno)} at ${back[operation]?.command ?? operation}`)
  const first = cause instanceof Error ? `${cause.message}; ` : ''
  throw new LinkwrightError(`${first}it could not be undone: ${said.join(', ')}`, {
    code: 'ERR_NOT_UNDONE',
    errno: failures[0]?.errno,
    cause
  })
}

/** What is sent by index or by name has to be for the same link. @throws LinkwrightError `ERR_STALE_STATE` */
export async function assertSameLinks(net: Netlink, links: SavedState['links']): Promise<void> {
  if (links.length === 0) return
  const names = new Map((await net.links.list()).map(({ index, name }) => [index, name]))
  for (const { index, name, mayGo = false } of links) {
    const now = names.get(index)
    if (now === undefined && mayGo) continue
    if (now === undefined) throw stale(`${name} (index ${index}) is gone`)
    if (now !== name) throw stale(`index ${index} is ${now} now, and was ${name}`)
  }
}

/** A link that was made may have got ports, upper links and guests that are not ours to cut off. */
export async function assertUnused(net: Netlink, made: readonly number[], own: readonly number[]): Promise<void> {
  if (made.length === 0) return
  const links = await net.links.list()
  await assertNotHeld(
    net,
    links.filter(({ index, kind = '' }) => made.includes(index) && OPENABLE.has(kind))
  )
  for (const link of links) {
    const on = [link.master, link.linkNetnsid === undefined ? link.link : undefined].find(
      index => index !== undefined && made.includes(index)
    )
    if (on === undefined || made.includes(link.index) || own.includes(link.index)) continue
    throw new LinkwrightError(`EBUSY: ${link.name} is on a link that would be removed; remove it first`, {
      code: 'EBUSY',
      link: link.name
    })
  }
}

const OPENABLE = new Set(['tun', 'macvtap'])

async function assertNotHeld(net: Netlink, links: readonly Link[]): Promise<void> {
  if (links.length === 0) return
  const found = await net.links.holders(links.map(({ index }) => index))
  for (const { link, holders } of found) {
    const [holder] = holders
    if (!holder) continue
    throw new LinkwrightError(`EBUSY: ${holder.command} (${holder.pid}) has ${link.name} open; end it first`, {
      code: 'EBUSY',
      link: link.name
    })
  }
}
