/** What a call of `ensure` has done, so that it can be taken back. */
import { LinkwrightError } from '../../errors.js'
import type { NetlinkSocket } from '../../netlink/socket.js'
import { Link } from '../link.js'
import type { CreateLink } from '../link-options.js'
import { altnamesRequest, changeRequest, listRequest, type ResolvedOptions } from '../link-requests.js'
import { isOwnedBy } from '../owner.js'
import { recreationOf } from './recreation.js'
import { Snapshot } from './snapshot.js'
import { anotherMtu } from './wanted.js'

/** The verbs that `ensure` is made of. */
export interface EnsureContext {
  readonly socket: NetlinkSocket
  create(specs: readonly CreateLink[], signal?: AbortSignal): Promise<PromiseSettledResult<Link>[]>
  /** Removes links by ifindex; those that are gone, or another's by now, count as removed. */
  remove(indexes: readonly number[], isMeant: (link: Link) => boolean): Promise<PromiseSettledResult<void>[]>
  setIpv6(index: number, on: boolean): Promise<void>
}

/** Removes links, but none that has the ifindex of one by now. */
export function removeAsSeen(
  context: EnsureContext,
  links: readonly Link[],
  owner: string | undefined
): Promise<PromiseSettledResult<void>[]> {
  const seen = new Map(links.map(link => [link.index, link]))
  const isMeant = (now: Link) => {
    const before = seen.get(now.index)
    if (!before) return false
    if (owner !== undefined && isOwnedBy(before, owner)) return isOwnedBy(now, owner)
    return now.name === before.name && now.kind === before.kind
  }
  return context.remove([...seen.keys()], isMeant)
}

interface Changed {
  index: number
  name: string
  back: readonly ResolvedOptions[]
  ipv6?: boolean | undefined
  altnames: { readonly add: readonly string[]; readonly remove: readonly string[] }
}

export class Journal {
  readonly #created: Link[] = []
  readonly #changed: Changed[] = []
  readonly #removed: Link[] = []

  created(link: Link): void {
    this.#created.push(link)
  }

  changed(entry: Changed): void {
    this.#changed.push(entry)
  }

  removed(links: readonly Link[]): void {
    this.#removed.push(...links)
  }

  get isEmpty(): boolean {
    return this.#created.length + this.#changed.length + this.#removed.length === 0
  }

  /** Takes everything back, and returns what could not be, in words. */
  async takeBack(context: EnsureContext, owner: string | undefined): Promise<string[]> {
    const left: string[] = []
    const created = await this.#withoutStrangers(context, owner, left)
    const results = await removeAsSeen(context, created, owner)
    for (const [at, result] of results.entries()) {
      if (result.status === 'rejected') left.push(`${created[at]?.name} is still there: ${said(result.reason)}`)
    }
    await this.#recreate(context, left)
    // Each message is of use without the others.
    for (const { index, name, back, ipv6, altnames } of this.#changed.toReversed()) {
      try {
        if (ipv6 !== undefined) await context.setIpv6(index, ipv6)
        for (const options of back) await context.socket.request(changeRequest(index, options))
        if (altnames.add.length) {
          await context.socket.request(altnamesRequest('RTM_DELLINKPROP', index, [...altnames.add]))
        }
        if (altnames.remove.length) {
          await context.socket.request(altnamesRequest('RTM_NEWLINKPROP', index, [...altnames.remove]))
        }
      } catch (error) {
        // Whoever removed it meanwhile took the change with it.
        if (!(error instanceof LinkwrightError && error.code === 'ENODEV'))
          left.push(`${name} is changed: ${said(error)}`)
      }
    }
    return [...new Set(left)]
  }

  /** What was created and is used by nobody else: others may have found it by now. */
  async #withoutStrangers({ socket }: EnsureContext, owner: string | undefined, left: string[]): Promise<Link[]> {
    if (this.#created.length === 0) return []
    const snapshot = new Snapshot(await socket.dumpAs(listRequest({}), payload => new Link(payload)))
    const known = new Set([...this.#created, ...this.#changed].map(({ index }) => index))
    const isStranger = (link: Link) => !known.has(link.index) && (owner === undefined || !isOwnedBy(link, owner))
    return this.#created.filter(({ index, name }) => {
      const stranger = [...snapshot.portsOf(index), ...snapshot.uppersOf(index)].find(isStranger)
      if (stranger) left.push(`${name} is still there: ${stranger.name} uses it`)
      return !stranger
    })
  }

  async #recreate(context: EnsureContext, left: string[]): Promise<void> {
    const made = new Set<number>()
    for (const link of lowerFirst(this.#removed)) {
      if (made.has(link.index)) continue
      const peer = link.kind === 'veth' ? this.#removed.find(({ index }) => index === link.link) : undefined
      if (peer) made.add(peer.index)
      const { kind, index, mtu = 0 } = link
      const isBridge = kind === 'bridge'
      const options = recreationOf(link, peer)
      const [result] = await context.create([isBridge ? { ...options, mtu: anotherMtu(mtu) } : options])
      if (isBridge) await context.socket.request(changeRequest(index, { mtu })).catch(() => {})
      if (result?.status === 'rejected') left.push(`${link.name} is removed: ${said(result.reason)}`)
    }
  }
}

/** Links after those that they sit on or are ports of. */
function lowerFirst(links: readonly Link[]): Link[] {
  const byIndex = new Map(links.map(link => [link.index, link]))
  const order = new Set<Link>()
  const add = (link: Link | undefined, above: readonly Link[]) => {
    if (!link || order.has(link) || above.includes(link)) return
    const { dev } = (link.data ?? {}) as { dev?: number }
    for (const need of [link.kind === 'veth' ? 0 : link.link, link.master, dev])
      add(byIndex.get(need ?? 0), [...above, link])
    order.add(link)
  }
  for (const link of links) add(link, [])
  return [...order]
}

function said(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
