/** What creating takes: the verbs it is made of, and the doors to other namespaces. */
import { fstatSync } from 'node:fs'
import type { Cancellation } from '../../netlink/cancellation.js'
import type { Request } from '../../netlink/request.js'
import type { NetlinkSocket } from '../../netlink/socket.js'
import type { NetnsRef } from '../../netns.js'
import type { Ipv6Off } from '../ipv6.js'
import type { Link, LinkRef } from '../link.js'
import type { ChangeLink, ChangeOptions } from '../link-options.js'
import type { ResolvedOptions } from '../link-requests.js'

/** The verbs that creating is made of. */
export interface LinkVerbs {
  get(ref: LinkRef): Promise<Link>
  set(ref: LinkRef, changes: ChangeLink, options: Pick<ChangeOptions, 'verify'>): Promise<void>
  delete(ref: LinkRef, options: { ifExists: boolean }): Promise<void>
  addAltnames(ref: LinkRef, names: string[]): Promise<void>
  findMany(refs: readonly (string | number)[]): Promise<(Link | undefined)[]>
  getMany(refs: readonly string[]): Promise<PromiseSettledResult<Link>[]>
  withoutIpv6(index: number, why: Ipv6Off): Promise<void>
  /** Those with an ifindex that is another link's by now are left alone; a result each. */
  removeMade(links: readonly Link[]): Promise<PromiseSettledResult<void>[]>
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
  explain(error: unknown, options: ResolvedOptions, index?: number): Promise<unknown>
  /** Throws if the link does not have what the request asked for. */
  verify(request: Request, link: Link): void
}

export type Settled = PromiseSettledResult<Link>

export interface CreationOptions {
  verify?: boolean | undefined
  cancel: Cancellation
  /** Remove what was made for a caller who has given up meanwhile. */
  undo: boolean
  /** Stop at the first failure and remove what was made. */
  allOrNone?: boolean | undefined
  onProgress?: ((done: number, total: number | undefined) => void) | undefined
}

/** Opens the verbs of each namespace once, for as long as its descriptors are open. */
export class Doors {
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
