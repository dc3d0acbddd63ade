/** Verbs over links. */
import { amend, calledBy, invalidArgument, LinkwrightError } from '../errors.js'
import { kernelAtLeast } from '../kernel-release.js'
import { Cancellation } from '../netlink/cancellation.js'
import type { Message } from '../netlink/framing.js'
import type { Request } from '../netlink/request.js'
import type { BatchResult, CallOptions, NetlinkSocket } from '../netlink/socket.js'
import { type NetnsRef, openNetns } from '../netns.js'
import { checkKeys } from '../options.js'
import type { KindName } from '../rtnetlink/link-kind.js'
import { RTM } from '../rtnetlink/verbs.js'
import { type CounterOptions, LinkCounters } from './counters.js'
import type { OpenLinks } from './creation/context.js'
import { createLinks, type LinkSource } from './creation/create-links.js'
import { linkIn, wantsVerification } from './creation/steps.js'
import { diagnose } from './diagnosis.js'
import { ensureLinks } from './ensure/ensure.js'
import type { EnsureLink, EnsureOptions } from './ensure/options.js'
import type { EnsurePlan } from './ensure/plan.js'
import { holdersOfLinks, type LinkHolders } from './holders.js'
import { type Ipv6Off, Ipv6Switch, isRefusal } from './ipv6.js'
import { Link, type LinkOfKind, type LinkRef } from './link.js'
import type { BridgePortSettings, ChangeLink, ChangeOptions, CreateLink } from './link-options.js'
import {
  altnamesRequest,
  changeRequest,
  deleteRequest,
  getRequest,
  listRequest,
  notApplied,
  type ResolvedOptions,
  reference
} from './link-requests.js'
import { keeping, type RemovedOwned, type RemoveOwnedOptions, removeOwnedOf } from './owned.js'
import { checkOwner, isOwnedBy } from './owner.js'
import { namesIn, plainRef, References } from './references.js'
import { removeLinks } from './removal.js'
import { type WaitOptions, waitForLink } from './wait.js'

export interface ListOptions extends CallOptions {
  /** Only links of this kind, chosen by the kernel. */
  kind?: string | undefined
  /** Only ports of this master, chosen by the kernel. */
  master?: LinkRef | undefined
  /** With IPv6's counters (`afSpec.inet6.stats`), a third of the answer. Those of the link (`stats64`) come always. */
  statistics?: boolean | undefined
}

/** Options of {@link Links.create} that are more than attributes. */
const CREATION_ONLY = ['index', 'link', 'altnames', 'peer', 'ipv6']

const LIST_KEYS: ReadonlySet<string> = new Set<keyof ListOptions>(['kind', 'master', 'statistics', 'signal', 'timeout'])

export interface CreateManyOptions extends ChangeOptions {
  /** Whether one that fails leaves the others alone (`keep`, the default) or ends it all and removes them. */
  onError?: 'keep' | 'undo' | undefined
  /** Called with how many links have a result, of how many if that is known. */
  onProgress?: ((done: number, total: number | undefined) => void) | undefined
}

export interface DeleteManyOptions extends CallOptions {
  ifExists?: boolean | undefined
  onProgress?: ((done: number, total: number) => void) | undefined
}

const COUNTER_KEYS: ReadonlySet<string> = new Set<keyof CounterOptions>(['kind', 'master', 'bigint'])

const DELETE_MANY_KEYS: ReadonlySet<string> = new Set<keyof DeleteManyOptions>([
  'ifExists',
  'onProgress',
  'signal',
  'timeout'
])

const REMOVE_OWNED_KEYS: ReadonlySet<string> = new Set<keyof RemoveOwnedOptions>([
  'keep',
  'onProgress',
  'signal',
  'timeout'
])

export class Links {
  readonly #socket: NetlinkSocket
  readonly #netns: NetnsRef | undefined
  readonly #open: OpenLinks
  readonly #ipv6: Ipv6Switch

  /** @internal */
  constructor(socket: NetlinkSocket, netns: NetnsRef | undefined, open: OpenLinks) {
    this.#socket = socket
    this.#netns = netns
    this.#open = open
    this.#ipv6 = new Ipv6Switch(socket, netns === undefined)
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
    checkKeys(options, LIST_KEYS)
    const { kind, master, statistics = false } = options
    const index = master === undefined ? undefined : await this.indexOf(master, options)
    const { signal, timeout } = options
    const request = listRequest({ kind, master: index, statistics })
    const links = await this.#socket.dumpAs(request, payload => new Link(payload), { signal, timeout })
    if (kind === undefined && index === undefined) return links
    // Kernels before 4.20 ignore the filters.
    return links.filter(
      link => (kind === undefined || link.kind === kind) && (index === undefined || link.master === index)
    )
  }

  /**
   * Counters of all links, or of those that the filters choose, to be read again and again with one request each: as typed
   * arrays. Nothing is asked before the first {@link LinkCounters.read}. For one link there is `get` with `statistics`.
   */
  counters(options: CounterOptions & { bigint: true }): LinkCounters<BigUint64Array>
  counters(options?: CounterOptions & { bigint?: false | undefined }): LinkCounters
  counters(options: CounterOptions = {}): LinkCounters<Float64Array | BigUint64Array> {
    checkKeys(options, COUNTER_KEYS)
    if (options.master !== undefined) plainRef(options.master, 'master')
    return new LinkCounters(this.#socket, { ...options }, (ref, callOptions) => this.indexOf(ref, callOptions))
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
    const [result] = await this.#create([options as CreateLink], callOptions, true)
    if (result?.status !== 'fulfilled') throw calledBy(this.create, result?.reason)
    return result.value as LinkOfKind<K>
  }

  /**
   * Creates many links in few system calls. Each has a result of its own, as of `Promise.allSettled`: one that fails does
   * not stop the others, and what one of them made in part is removed. With `onError: 'undo'` it stops them, and those that
   * were made are removed as by {@link deleteMany}; their error is `ERR_UNDONE`, with the failure as its cause.
   *
   * A link may refer by name to one that stands before it. An async iterable is read as far as the kernel follows, so that
   * not all has to be in memory.
   */
  async createMany(options: LinkSource, callOptions: CreateManyOptions = {}): Promise<PromiseSettledResult<Link>[]> {
    const { onError = 'keep', onProgress } = callOptions
    if (onError !== 'keep' && onError !== 'undo') throw invalidArgument('onError', "'keep' or 'undo'", onError)
    checkProgress(onProgress)
    return await this.#create(options, callOptions, false)
  }

  /**
   * Changes a link: what is given is set, the rest stays. Attributes of a kind need the `kind` beside them.
   *
   * @throws LinkwrightError `ENODEV`, `ERR_NOT_APPLIED`, and what the kernel refuses
   */
  async set(ref: LinkRef, changes: ChangeLink, options: ChangeOptions = {}): Promise<void> {
    if (changes.netns !== undefined && changes.master !== undefined) {
      throw invalidArgument('master', 'nothing beside netns (set it there, after the move)', changes.master)
    }
    if (changes.master && changes.port) return this.#setPort(ref, changes, options)
    for (const key of CREATION_ONLY) {
      const value = (changes as Record<string, unknown>)[key]
      if (value !== undefined) throw invalidArgument(key, 'nothing (it can only be given at creation)', value)
    }
    // Wrong input is refused before anything is looked up.
    const lookups = changes.name !== undefined || namesIn(changes).length > 0
    if (lookups) changeRequest(1, References.dry.resolve(changes))
    // Renaming takes the ifindex: the name attribute is the new name then.
    const target = changes.name === undefined ? plainRef(ref) : await this.indexOf(ref, options)
    const references = new References(names => this.getMany(names, options))
    await references.load([changes])
    const resolved = references.resolve(changes)
    using netns = changes.netns === undefined ? undefined : openNetns(changes.netns)
    if (netns) resolved.netnsFd = netns.fd
    const request = changeRequest(target, resolved)
    try {
      await this.#socket.request(request, options)
    } catch (error) {
      throw await this.#explain(error, resolved, target)
    }
    if (!netns && wantsVerification(request, options.verify)) assertApplied(request, await this.get(target))
  }

  /** The kernel takes a master and settings as its port in two messages only. */
  async #setPort(ref: LinkRef, changes: ChangeLink, options: ChangeOptions): Promise<void> {
    const { port, up, ...first } = changes
    changeRequest(1, References.dry.resolve({ port, up }))
    changeRequest(1, References.dry.resolve(first))
    const before = await this.get(ref, options)
    await this.set(before.index, first as ChangeLink, options)
    try {
      await this.set(before.index, { port, up }, options)
    } catch (error) {
      await this.set(before.index, { master: before.master ?? null }).catch(() => {})
      throw error
    }
  }

  /** Makes a link a port of a bridge, bond or VRF. */
  async enslave(port: LinkRef, master: LinkRef, settings?: BridgePortSettings, options?: ChangeOptions): Promise<void> {
    await this.set(port, settings ? { master, port: settings } : { master }, options)
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
   * Removes many links at once, of whatever kinds: 1,000 TAPs, macvtaps or veth pairs in less than half a second, which
   * take 20 s one by one. Each has a result of its own, as of `Promise.allSettled`. Bridges come last; they take 17 ms
   * each.
   *
   * What is removed is what the references meant when this was called, whatever is renamed or created meanwhile. On the
   * way the links are in a group (`IFLA_GROUP`) of their own; those that cannot be removed get theirs back.
   *
   * Giving up (`signal`, `timeout`) stops before the next thousand.
   *
   * @param options.ifExists links that do not exist are no errors
   * @param options.onProgress called with how many links have a result, of how many
   */
  async deleteMany(refs: Iterable<LinkRef>, options: DeleteManyOptions = {}): Promise<PromiseSettledResult<void>[]> {
    checkKeys(options, DELETE_MANY_KEYS)
    const { ifExists = false, onProgress } = options
    checkProgress(onProgress)
    const targets = [...refs].map((ref, at) => plainRef(ref, `refs[${at}]`))
    for (const [at, target] of targets.entries()) reference(target, `refs[${at}]`)
    return await removeLinks(this.#socket, targets, { ifExists, onProgress, cancel: new Cancellation(options) })
  }

  /** What is tagged as an owner's; of a pair of which only one end is, that end. */
  async listOwned(owner: string, options: ListOptions = {}): Promise<Link[]> {
    checkOwner(owner)
    return (await this.list(options)).filter(link => isOwnedBy(link, owner))
  }

  /**
   * Removes what is an owner's in this namespace, as {@link deleteMany} does: for the start of a program whose last run
   * was killed, while guests of that run live on. What stays, each with its reason:
   *
   * - what `keep` names;
   * - TUNs, TAPs and macvtaps that some process (this one as well) has open, or may have: a descriptor in a message that
   *   nobody has received, a process that may not be looked at;
   * - what these need, however far down: the lower device, the other end of a pair, the master, and of a master that is
   *   needed the other ports, but for TAPs that nobody has open, since one of them is its way out;
   * - what another's link stands on.
   *
   * Not seen are links of other namespaces on top of those here, processes of an outer pid namespace, and whoever opens a
   * TAP between the look at the processes and its removal, about a tenth of a second later. A veth's peer without an owner
   * of its own goes with the pair.
   *
   * @returns what was removed, what was kept and why, and what the kernel refused to remove, with the error
   */
  async removeOwned(owner: string, options: RemoveOwnedOptions = {}): Promise<RemovedOwned> {
    checkOwner(owner)
    checkKeys(options, REMOVE_OWNED_KEYS)
    checkProgress(options.onProgress)
    const keep = keeping(options.keep)
    const cancel = new Cancellation(options)
    const { onProgress, signal, timeout } = options
    const all = await this.list({ signal, timeout })
    return await removeOwnedOf(all, {
      socket: this.#socket,
      netns: this.#netns,
      owner,
      keep,
      cancel,
      onProgress
    })
  }

  /**
   * Which processes have TUNs, TAPs and macvtaps open, in the order given: one look at all descriptors of the system.
   * Links of other kinds have no descriptors.
   *
   * @throws LinkwrightError `ENODEV` for a link that does not exist
   */
  async holders(refs: Iterable<LinkRef>, options: CallOptions = {}): Promise<LinkHolders[]> {
    const links = await Promise.all([...refs].map(ref => this.get(ref, options)))
    return (await holdersOfLinks(this.#socket, this.#netns, links)).found
  }

  /**
   * Makes links what they shall be: those that are missing are created, those that differ are changed, and what only
   * creation can set is reached by replacing a link, where that is the owner's to do. What the owner has and the list does
   * not is removed last. A link that is as it shall be gets no message, and links of others are never touched.
   *
   * Everything is looked at before anything is changed: one dump, then few messages for many links, then another dump to
   * see that it is so. If a step fails, what was done is taken back, but for the IP addresses, routes and forwarding
   * entries of links that were replaced or removed. Steps that fail because others change links at the same time are
   * planned anew, a dozen times.
   *
   * @returns the steps that were taken; with `dryRun` those that would be. `String()` of it reads like commands of `ip`.
   * @throws LinkwrightError `ERR_INVALID_ARG_VALUE` with the path (`specs[3].mtu`), `ERR_NOT_OWNED` (nothing was changed),
   * `ERR_NOT_APPLIED`, `ERR_NOT_SETTLED` (others keep changing links), and what the kernel refuses, with the step's `link`
   */
  async ensure(specs: Iterable<EnsureLink>, options: EnsureOptions = {}): Promise<EnsurePlan> {
    const context = {
      socket: this.#socket,
      create: (all: readonly CreateLink[], signal?: AbortSignal) => this.createMany(all, { signal }),
      remove: (indexes: readonly number[], isMeant: (link: Link) => boolean) =>
        removeLinks(this.#socket, indexes, {
          ifExists: true,
          isMeant,
          cancel: new Cancellation({}),
          onProgress: undefined
        }),
      setIpv6: async (index: number, on: boolean) =>
        // By the name that it has by now: the one it had may be another's.
        on ? this.#ipv6.on((await this.get(index)).name as string) : this.withoutIpv6(index, 'asked')
    }
    return await ensureLinks(context, specs, options)
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
    return await waitForLink(() => this.find(ref), condition, this.#netns, this.#socket, options)
  }

  /** The ifindex that a reference stands for. */
  async indexOf(ref: LinkRef, options: CallOptions = {}): Promise<number> {
    const target = plainRef(ref)
    return typeof target === 'number' ? target : (await this.get(target, options)).index
  }

  /** @internal Those of some links that there are, in one exchange. */
  async findMany(refs: readonly (string | number)[], options: CallOptions = {}): Promise<(Link | undefined)[]> {
    const requests = refs.map(ref => {
      try {
        return getRequest(ref, false)
      } catch {
        return undefined // nothing that a link could be called
      }
    })
    const sent = requests.filter(request => request !== undefined)
    const answers = (await this.#socket.batch(sent, options)).values()
    return requests.map(request => request && linkIn(answers.next().value as BatchResult))
  }

  /** @internal The same, and why where there is none. */
  async getMany(refs: readonly string[], options: CallOptions = {}): Promise<PromiseSettledResult<Link>[]> {
    const found = refs.length > 1 ? await this.findMany(refs, options).catch(() => []) : []
    return await Promise.allSettled(refs.map(async (ref, at) => found[at] ?? (await this.get(ref, options))))
  }

  /** @internal */
  async withoutIpv6(index: number, why: Ipv6Off): Promise<void> {
    if (why === 'port' && (await this.get(index)).portKind !== 'bridge') return
    try {
      await this.#ipv6.off(index)
    } catch (error) {
      if (why === 'asked' || !isRefusal(error)) throw error
      // At least no address on the guest's network.
      await this.set(index, { afSpec: { inet6: { addrGenMode: 'none' } } })
    }
  }

  /** @internal Removes links that were just made, if they are still what is there. */
  async removeMade(made: readonly Link[]): Promise<PromiseSettledResult<void>[]> {
    const links = new Map(made.map(link => [link.index, link]))
    const isMeant = ({ index, kind, name, address }: Link) => {
      const link = links.get(index)
      return kind === link?.kind && (name === link?.name || address === link?.address)
    }
    const options = { ifExists: true, isMeant, cancel: new Cancellation({}), onProgress: undefined }
    return await removeLinks(this.#socket, [...links.keys()], options)
  }

  #create(all: LinkSource, options: CreateManyOptions, undo: boolean): Promise<PromiseSettledResult<Link>[]> {
    const context = {
      socket: this.#socket,
      links: this,
      open: this.#open,
      removeAll: (indexes: number[]) => this.deleteMany(indexes, { ifExists: true }),
      ownNetns: this.#netns === undefined,
      explain: (error: unknown, resolved: ResolvedOptions, index?: number) => this.#explain(error, resolved, index),
      verify: assertApplied
    }
    const { verify, onError, onProgress } = options
    const allOrNone = onError === 'undo'
    return createLinks(context, all, { verify, cancel: new Cancellation(options), undo, allOrNone, onProgress })
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

  async #explain(error: unknown, options: ResolvedOptions, ref?: string | number): Promise<unknown> {
    if (!(error instanceof LinkwrightError) || error.errno === undefined) return error
    const diagnosis = await diagnose(this, error, options, ref)
    if (!diagnosis) return error
    return amend(error, { diagnosis })
  }
}

function checkProgress(onProgress: unknown): void {
  if (onProgress !== undefined && typeof onProgress !== 'function')
    throw invalidArgument('onProgress', 'a function', onProgress)
}

function assertApplied(request: Request, link: Link): void {
  const ignored = notApplied(request, link)
  if (ignored.length === 0) return
  const paths = ignored.map(attribute => request.schema?.optionOf?.(attribute) ?? attribute)
  throw new LinkwrightError(
    `the kernel took the request for ${request.link} but did not apply ${paths.join(', ')}` +
      (request.since && !kernelAtLeast(request.since) ? ` (Linux ${request.since} and later know it)` : ''),
    { code: 'ERR_NOT_APPLIED', link: request.link, path: paths[0], attribute: ignored[0], syscall: request.verb }
  )
}
