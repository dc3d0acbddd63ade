/** The public door to rtnetlink of one network namespace. */
import { addon } from '../addon.js'
import { Descriptors } from '../descriptors.js'
import { nativeError } from '../errors.js'
import { type CallOptions, NetlinkSocket, type SocketOptions } from '../netlink/socket.js'
import type { NetnsRef } from '../netns.js'
import { Addresses } from './addresses.js'
import { Bandwidth } from './bandwidth/bandwidth.js'
import { Classes } from './classes.js'
import { Fdb } from './fdb.js'
import { Filters } from './filters.js'
import { Links } from './links.js'
import { Neighbours } from './neighbours.js'
import { assignNsid, findNsid } from './nsid.js'
import { Qdiscs } from './qdiscs.js'
import { Routes } from './routes.js'
import { Rules } from './rules.js'
import type { Asked, WatchedLists, WatchInterest, WatchOptions, WatchSnapshot } from './watch/events.js'
import { Watches } from './watch/open.js'
import { waitForState } from './watch/wait.js'
import type { Watch } from './watch/watch.js'

/**
 * Links, addresses, routes, rules, neighbours, forwarding entries and traffic control of one network namespace, over one
 * netlink socket.
 *
 * An idle one does not keep the process alive, a pending request does (see {@link unref}).
 */
export class Netlink {
  readonly links: Links
  readonly addresses: Addresses
  readonly routes: Routes
  readonly neighbours: Neighbours
  readonly fdb: Fdb
  readonly rules: Rules
  readonly qdiscs: Qdiscs
  readonly classes: Classes
  readonly filters: Filters
  /** Limits of guests' ports. */
  readonly bandwidth: Bandwidth
  /** The socket beneath, for messages that have no verb here. */
  readonly socket: NetlinkSocket
  /** The namespace as it was given. */
  readonly netns: NetnsRef | undefined
  readonly #watches: Watches

  private constructor(socket: NetlinkSocket, netns: NetnsRef | undefined) {
    this.socket = socket
    this.netns = netns
    this.links = new Links(socket, netns, ref => Netlink.open({ netns: ref }))
    this.addresses = new Addresses(socket, this.links)
    this.routes = new Routes(socket, this.links)
    this.neighbours = new Neighbours(socket, this.links)
    this.fdb = new Fdb(socket, this.links)
    this.rules = new Rules(socket)
    this.qdiscs = new Qdiscs(socket, this.links)
    this.classes = new Classes(socket, this.links)
    this.filters = new Filters(socket, this.links)
    this.bandwidth = new Bandwidth(this)
    this.#watches = new Watches({ socket, netns, indexOf: ref => this.links.indexOf(ref) })
  }

  /**
   * Opens a socket in the process's network namespace, or in another one. Nothing else of the process moves there.
   *
   * @throws LinkwrightError `ENOENT` (no such namespace), `EPERM` (it may not be entered)
   */
  static async open(options: SocketOptions = {}): Promise<Netlink> {
    return new Netlink(await NetlinkSocket.open(options), options.netns)
  }

  get closed(): boolean {
    return this.socket.closed
  }

  /**
   * Follows the kernel's tables: a snapshot of what is asked for, then each difference, typed, with before and after.
   *
   * Whoever applies the events has the kernel's state. Announcements that the kernel drops because nobody took them in time
   * become one `resync`, followed by exactly the differences. What happens faster than it is taken is told as one change, or
   * not at all if nothing is left of it. Counters, timers and ages are no changes; an `after` has them as they were read.
   *
   * @throws LinkwrightError `ERR_INVALID_ARG_VALUE`; `ERR_UNSUPPORTED` for what cannot be watched in all namespaces
   */
  watch<const O extends WatchOptions>(options: O): Watch<Asked<O>> {
    return this.#watches.create(options)
  }

  /**
   * Waits until `condition` holds for the tables that are asked for. Resolves with them as they were then.
   * To wait for one link, `links.waitFor` is cheaper.
   *
   * @throws LinkwrightError `ERR_TIMEOUT`; the signal's reason; what {@link watch} throws
   */
  async waitFor<const O extends WatchInterest>(
    interest: O,
    condition: (state: WatchSnapshot<Asked<O>>) => boolean,
    options: CallOptions = {}
  ): Promise<WatchSnapshot<Asked<O>>> {
    return await waitForState(this.#watches.create<Asked<O> & keyof WatchedLists>(interest), condition, options)
  }

  /** The id that a namespace has in this one; `undefined` if none. `NETNSA_NSID` */
  async nsid(netns: NetnsRef, options?: CallOptions): Promise<number | undefined> {
    return await findNsid(this.socket, netns, options)
  }

  /**
   * Gives a namespace an id in this one: the given one, or any. One that has an id keeps it, if none is asked for.
   *
   * @throws LinkwrightError `EEXIST` when it has another, `ENOSPC` when the id is another's
   */
  async assignNsid(netns: NetnsRef, id?: number, options?: CallOptions): Promise<number> {
    return await assignNsid(this.socket, netns, id, options)
  }

  /** Opens a descriptor of the namespace: for a child process, or to keep it alive. The caller closes it. */
  async openNetns(): Promise<Descriptors> {
    const native = this.socket.native
    try {
      return new Descriptors(await addon().openNetns(native), 'a network namespace')
    } catch (error) {
      throw nativeError(error)
    }
  }

  ref(): this {
    this.socket.ref()
    return this
  }

  unref(): this {
    this.socket.unref()
    return this
  }

  /** Closes the socket; pending requests and watches reject with `ERR_CLOSED`. Idempotent. */
  close(): void {
    this.#watches.close()
    this.socket.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close()
  }
}
