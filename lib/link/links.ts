/** Verbs over links. */
import { invalidArgument, LinkwrightError } from '../errors.js'
import { kernelAtLeast } from '../kernel-release.js'
import type { Message } from '../netlink/framing.js'
import type { Request } from '../netlink/request.js'
import type { CallOptions, NetlinkSocket } from '../netlink/socket.js'
import { type NetnsRef, type OpenNetns, openNetns } from '../netns.js'
import type { KindName } from '../rtnetlink/link-kind.js'
import { RTM } from '../rtnetlink/verbs.js'
import { diagnose } from './diagnosis.js'
import { Link, type LinkOfKind, type LinkRef } from './link.js'
import type { BridgePortSettings, ChangeLink, CreateLink, VethPeer } from './link-options.js'
import {
  afterCreation,
  altnamesRequest,
  changeRequest,
  createRequest,
  deleteRequest,
  getRequest,
  listRequest,
  notApplied,
  type ResolvedOptions
} from './link-requests.js'
import { type WaitOptions, waitForLink } from './wait.js'

export interface ChangeOptions extends CallOptions {
  /**
   * Read back what was set, and reject with `ERR_NOT_APPLIED` where the kernel ignored an attribute: it does so silently
   * with those it does not know. By default only when an attribute is newer than the running kernel.
   */
  verify?: boolean | undefined
}

export interface ListOptions extends CallOptions {
  /** Only links of this kind, chosen by the kernel. */
  kind?: string | undefined
  /** Only ports of this master, chosen by the kernel. */
  master?: LinkRef | undefined
  /** With counters (`stats64`); they double the size of the answer. */
  statistics?: boolean | undefined
}

/** Opens the verbs of another namespace for a moment. */
export type OpenLinks = (netns: NetnsRef) => Promise<{ links: Links; close(): void }>

/** Ifindexes that nobody picks by accident, for links whose name the kernel chooses and does not tell. */
const RANDOM_INDEX_FROM = 0x10000
const RANDOM_INDEX_TO = 0x3fffffff

export class Links {
  readonly #socket: NetlinkSocket
  readonly #netns: NetnsRef | undefined
  readonly #open: OpenLinks

  /** @internal */
  constructor(socket: NetlinkSocket, netns: NetnsRef | undefined, open: OpenLinks) {
    this.#socket = socket
    this.#netns = netns
    this.#open = open
  }

  /**
   * One link, by ifindex, name or alternative name, without a dump.
   *
   * @throws LinkwrightError `ENODEV` if there is none
   */
  async get(ref: LinkRef, options: CallOptions & { statistics?: boolean } = {}): Promise<Link> {
    const target = plainRef(ref)
    const replies = await this.#socket.request(getRequest(target, options.statistics ?? false), options)
    return this.#link(replies, target)
  }

  /** Like {@link get}, with `undefined` for a link that does not exist. */
  async find(ref: LinkRef, options: CallOptions & { statistics?: boolean } = {}): Promise<Link | undefined> {
    try {
      return await this.get(ref, options)
    } catch (error) {
      if (error instanceof LinkwrightError && error.code === 'ENODEV') return undefined
      throw error
    }
  }

  /** All links, or those that the filters choose. */
  async list(options: ListOptions = {}): Promise<Link[]> {
    const { kind, master, statistics = false } = options
    const index = master === undefined ? undefined : await this.#index(master, options)
    const replies = await this.#socket.dump(listRequest({ kind, master: index, statistics }), options)
    const links: Link[] = []
    for (const reply of replies) {
      const link = new Link(reply)
      // Kernels before 4.20 ignore the filters.
      if ((kind === undefined || link.kind === kind) && (index === undefined || link.master === index)) links.push(link)
    }
    return links
  }

  /**
   * Creates a link with all its settings, in one message where the kernel allows it. If a later step fails, what was
   * made is removed again.
   *
   * @returns the link as the kernel made it
   * @throws LinkwrightError `EEXIST` for a name that is taken, `ERR_INVALID_ARG_VALUE` for wrong options (nothing was
   * sent), `ERR_NOT_APPLIED` (see {@link ChangeOptions.verify})
   */
  async create<K extends KindName>(options: CreateLink<K>, callOptions: ChangeOptions = {}): Promise<LinkOfKind<K>> {
    const [result] = await this.#createAll([options as CreateLink], callOptions)
    if (result?.status !== 'fulfilled') throw result?.reason
    return result.value as LinkOfKind<K>
  }

  /**
   * Creates many links in few system calls. Each has a result of its own, as of `Promise.allSettled`: one that fails does
   * not stop the others, and what one of them made in part is removed.
   */
  async createMany(
    options: Iterable<CreateLink>,
    callOptions: ChangeOptions = {}
  ): Promise<PromiseSettledResult<Link>[]> {
    return this.#createAll([...options], callOptions)
  }

  /**
   * Changes a link: what is given is set, the rest stays. Attributes of a kind need the `kind` beside them.
   *
   * @throws LinkwrightError `ENODEV`, `ERR_NOT_APPLIED`, and what the kernel refuses
   */
  async set(ref: LinkRef, changes: ChangeLink, options: ChangeOptions = {}): Promise<void> {
    // Renaming takes the ifindex: the name attribute is the new name then.
    const target = changes.name === undefined ? plainRef(ref) : await this.#index(ref, options)
    const resolved = await this.#resolve(changes, options)
    using netns = changes.netns === undefined ? undefined : openNetns(changes.netns)
    if (netns) resolved.netnsFd = netns.fd
    const request = changeRequest(target, resolved)
    try {
      await this.#socket.request(request, options)
    } catch (error) {
      throw await this.#explain(error, resolved, target)
    }
    if (!netns && wantsVerification(request, options)) await this.#verify(request, target)
  }

  /** Makes a link a port of a bridge, bond or VRF. */
  async enslave(port: LinkRef, master: LinkRef, settings?: BridgePortSettings, options?: CallOptions): Promise<void> {
    await this.set(port, { master }, options)
    if (!settings) return
    try {
      await this.set(port, { port: settings }, options)
    } catch (error) {
      await this.set(port, { master: null }).catch(() => {})
      throw error
    }
  }

  /** Takes a port away from its master. */
  async release(port: LinkRef, options?: CallOptions): Promise<void> {
    await this.set(port, { master: null }, options)
  }

  /** Renames a link. Kernels before 6.2 refuse it while the link is up (`EBUSY`). */
  async rename(ref: LinkRef, name: string, options?: CallOptions): Promise<void> {
    await this.set(ref, { name }, options)
  }

  /** Sets a link administratively up. */
  async up(ref: LinkRef, options?: CallOptions): Promise<void> {
    await this.set(ref, { up: true }, options)
  }

  /** Sets a link administratively down. */
  async down(ref: LinkRef, options?: CallOptions): Promise<void> {
    await this.set(ref, { up: false }, options)
  }

  /** Moves a link into another namespace, where it may get another ifindex and is down. */
  async move(ref: LinkRef, netns: NetnsRef, options?: CallOptions & { name?: string }): Promise<void> {
    const { name, ...callOptions } = options ?? {}
    await this.set(ref, { netns, name }, callOptions)
  }

  /** Gives a link further names, of up to 127 bytes. */
  async addAltnames(ref: LinkRef, names: string[], options?: CallOptions): Promise<void> {
    await this.#socket.request(altnamesRequest('RTM_NEWLINKPROP', plainRef(ref), names), options)
  }

  async removeAltnames(ref: LinkRef, names: string[], options?: CallOptions): Promise<void> {
    await this.#socket.request(altnamesRequest('RTM_DELLINKPROP', plainRef(ref), names), options)
  }

  /**
   * Removes a link, and with it its veth peer or the links on top of it.
   *
   * @param options.ifExists a link that does not exist is no error
   */
  async delete(ref: LinkRef, options: CallOptions & { ifExists?: boolean } = {}): Promise<void> {
    try {
      await this.#socket.request(deleteRequest(plainRef(ref)), options)
    } catch (error) {
      if (!(options.ifExists && error instanceof LinkwrightError && error.code === 'ENODEV')) throw error
    }
  }

  /**
   * Waits until `condition` holds for a link, which may not exist yet or no longer (`undefined`). Resolves with the link
   * as it was then. Driven by the kernel's announcements.
   *
   * @throws LinkwrightError `ERR_TIMEOUT`; the signal's reason
   */
  async waitFor(
    ref: LinkRef,
    condition: (link: Link | undefined) => boolean,
    options: WaitOptions = {}
  ): Promise<Link | undefined> {
    return waitForLink(() => this.find(ref), condition, this.#netns, this.#socket, options)
  }

  /** The ifindex that a reference stands for. */
  async indexOf(ref: LinkRef, options: CallOptions = {}): Promise<number> {
    return this.#index(ref, options)
  }

  async #createAll(all: CreateLink[], options: ChangeOptions): Promise<PromiseSettledResult<Link>[]> {
    const cache = new Map<string, Promise<number>>()
    const items = await Promise.all(
      all.map(async (given, item) => {
        try {
          return await this.#prepare(given, options, cache)
        } catch (error) {
          if (all.length === 1) throw error
          return { item, error }
        }
      })
    )
    try {
      return await this.#runCreations(items, options)
    } finally {
      for (const item of items) if ('dispose' in item) item.dispose()
    }
  }

  async #runCreations(items: Item[], options: ChangeOptions): Promise<PromiseSettledResult<Link>[]> {
    const ready = items.filter(item => 'request' in item)
    const results = await this.#socket.batch(
      ready.map(item => item.request),
      options
    )
    const byItem = new Map(ready.map((item, at) => [item, results[at]]))
    return Promise.all(
      items.map(async (item): Promise<PromiseSettledResult<Link>> => {
        if (!('request' in item)) return { status: 'rejected', reason: item.error }
        const result = byItem.get(item)
        try {
          if (result?.error !== undefined) throw await this.#explain(result.error, item.resolved)
          return { status: 'fulfilled', value: await this.#finish(item, result?.replies ?? [], options) }
        } catch (reason) {
          return { status: 'rejected', reason }
        }
      })
    )
  }

  /** What follows on a creation: settings that could not go along, verification; undone if it fails. */
  async #finish(item: Prepared, replies: Message[], options: ChangeOptions): Promise<Link> {
    const { given, resolved, request } = item
    if (given.netns !== undefined) {
      const other = await this.#open(given.netns)
      try {
        const link = await other.links.get(resolved.index ?? (resolved.name as string))
        return await other.links.#complete(item, link, options)
      } finally {
        other.close()
      }
    }
    const echoed = replies.find(reply => reply.type === RTM.RTM_NEWLINK)
    const link = echoed ? new Link(echoed) : await this.get(resolved.index ?? (resolved.name as string))
    const done = await this.#complete(item, link, options)
    if (!wantsVerification(request, options)) return done
    try {
      await this.#verify(request, done.index)
    } catch (error) {
      await this.delete(done.index, { ifExists: true }).catch(() => {})
      throw error
    }
    return done
  }

  async #complete(item: Prepared, link: Link, options: ChangeOptions): Promise<Link> {
    const { given, resolved } = item
    const later = afterCreation(resolved)
    const peer = (given as { peer?: VethPeer }).peer
    const peerLater = peer && peerAfterCreation(peer)
    if (!later && !given.altnames?.length && !peerLater) return link
    try {
      if (later) await this.#socket.request(changeRequest(link.index, later), options)
      if (given.altnames?.length) await this.addAltnames(link.index, given.altnames, options)
      if (peer && peerLater && link.link !== undefined) {
        await this.#finishPeer(peer, peerLater, link.link, options)
      }
      return await this.get(link.index, options)
    } catch (error) {
      await this.delete(link.index, { ifExists: true }).catch(() => {})
      throw error
    }
  }

  async #finishPeer(peer: VethPeer, later: ChangeLink, index: number, options: ChangeOptions): Promise<void> {
    const other = peer.netns === undefined ? undefined : await this.#open(peer.netns)
    try {
      const links = other?.links ?? this
      const { port, up, ...first } = later
      if (Object.keys(first).length > 0) await links.set(index, first, options)
      await links.set(index, { port, up }, options)
      if (peer.altnames?.length) await links.addAltnames(index, peer.altnames, options)
    } finally {
      other?.close()
    }
  }

  async #prepare(given: CreateLink, options: ChangeOptions, cache: Map<string, Promise<number>>): Promise<Prepared> {
    const resolved = await this.#resolve(given, options, cache)
    // The namespaces that the request names stay open until it was answered.
    const held: OpenNetns[] = []
    const dispose = () => {
      for (const netns of held) netns.close()
    }
    const hold = (ref: NetnsRef) => {
      const netns = openNetns(ref)
      held.push(netns)
      return netns.fd
    }
    try {
      if (given.netns !== undefined) resolved.netnsFd = hold(given.netns)
      const peer = (given as { peer?: VethPeer }).peer
      if (resolved.peer && peer?.netns !== undefined) resolved.peer.netnsFd = hold(peer.netns)
      const echo = given.netns === undefined && kernelAtLeast('6.3')
      const nameless = resolved.name === undefined || resolved.name.includes('%')
      if (!echo && nameless && resolved.index === undefined) {
        resolved.index = RANDOM_INDEX_FROM + Math.floor(Math.random() * (RANDOM_INDEX_TO - RANDOM_INDEX_FROM))
      }
      return { given, resolved, request: createRequest(resolved, echo), dispose }
    } catch (error) {
      dispose()
      throw error
    }
  }

  /** Looks up the references among options. */
  async #resolve(given: object, options: CallOptions, cache?: Map<string, Promise<number>>): Promise<ResolvedOptions> {
    const {
      master,
      link,
      dev,
      port,
      peer,
      netns: _,
      ...rest
    } = given as {
      master?: LinkRef | null
      link?: LinkRef
      dev?: LinkRef
      port?: BridgePortSettings
      peer?: VethPeer
      netns?: NetnsRef
    }
    const resolved: ResolvedOptions = { ...rest }
    const index = async (name: string, ref: LinkRef) => this.#index(ref, options, cache, name)
    if (master !== undefined) resolved.master = master === null ? 0 : await index('master', master)
    if (link !== undefined) resolved.link = await index('link', link)
    if (dev !== undefined) resolved.dev = await index('dev', dev)
    if (port !== undefined) {
      const { backupPort, ...settings } = port
      resolved.port = settings
      if (backupPort !== undefined) {
        resolved.port['backupPort'] = backupPort === null ? 0 : await index('port.backupPort', backupPort)
      }
    }
    if (peer !== undefined) {
      const { master: _master, port: _port, ...own } = peer
      resolved.peer = await this.#resolve(own, options, cache)
    }
    return resolved
  }

  async #index(
    ref: LinkRef,
    options: CallOptions,
    cache?: Map<string, Promise<number>>,
    path = 'link'
  ): Promise<number> {
    const target = plainRef(ref, path)
    if (typeof target === 'number') return target
    let found = cache?.get(target)
    if (!found) {
      found = this.get(target, { signal: options.signal, timeout: options.timeout }).then(link => link.index)
      cache?.set(target, found)
    }
    return found
  }

  #link(replies: Message[], ref: string | number): Link {
    const reply = replies.find(message => message.type === RTM.RTM_NEWLINK)
    if (!reply) {
      throw new LinkwrightError(`RTM_GETLINK ${ref}: no link in the kernel's answer`, {
        code: 'ERR_UNEXPECTED_REPLY',
        link: ref
      })
    }
    return new Link(reply)
  }

  async #verify(request: Request, ref: string | number): Promise<void> {
    const ignored = notApplied(request, await this.get(ref))
    if (ignored.length === 0) return
    throw new LinkwrightError(
      `the kernel took the request for ${request.link} but did not apply ${ignored.join(', ')}` +
        (request.since && !kernelAtLeast(request.since) ? ` (Linux ${request.since} and later know it)` : ''),
      { code: 'ERR_NOT_APPLIED', link: request.link, path: ignored[0], syscall: request.verb }
    )
  }

  async #explain(error: unknown, options: ResolvedOptions, ref?: string | number): Promise<unknown> {
    if (!(error instanceof LinkwrightError) || error.errno === undefined) return error
    const diagnosis = await diagnose(this, error, options, ref)
    if (!diagnosis) return error
    const { code, errno, syscall, link, path, allowed, item } = error
    return new LinkwrightError(`${error.message}; ${diagnosis}`, {
      code,
      errno,
      syscall,
      link,
      path,
      allowed,
      item,
      diagnosis
    })
  }
}

interface Prepared {
  given: CreateLink
  resolved: ResolvedOptions
  request: Request
  dispose(): void
}
type Item = Prepared | { item: number; error: unknown }

function plainRef(ref: LinkRef, path = 'link'): string | number {
  const target = typeof ref === 'object' && ref !== null ? ref.index : ref
  if (typeof target === 'number' || (typeof target === 'string' && target !== '')) return target
  throw invalidArgument(path, 'a name, an ifindex or a link', ref)
}

function wantsVerification(request: Request, options: ChangeOptions): boolean {
  return options.verify ?? (request.since !== '' && !kernelAtLeast(request.since))
}

/** What of a veth's peer has to wait until the pair exists. */
function peerAfterCreation(peer: VethPeer): ChangeLink | undefined {
  const { up, master, port } = peer
  if (up === undefined && master === undefined && port === undefined && !peer.altnames?.length) return undefined
  return { up, master, port }
}
