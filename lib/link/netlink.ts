/** The public door to rtnetlink of one network namespace. */
import { addon } from '../addon.js'
import { Descriptors } from '../descriptors.js'
import { nativeError } from '../errors.js'
import { NetlinkSocket, type SocketOptions } from '../netlink/socket.js'
import type { NetnsRef } from '../netns.js'
import { Addresses } from './addresses.js'
import { Fdb } from './fdb.js'
import { Links } from './links.js'
import { Neighbours } from './neighbours.js'
import { Routes } from './routes.js'

/**
 * Links, addresses, routes, neighbours and forwarding entries of one network namespace, over one netlink socket.
 *
 * An idle one does not keep the process alive, a pending request does (see {@link unref}).
 */
export class Netlink {
  readonly links: Links
  readonly addresses: Addresses
  readonly routes: Routes
  readonly neighbours: Neighbours
  readonly fdb: Fdb
  /** The socket beneath, for messages that have no verb here. */
  readonly socket: NetlinkSocket
  /** The namespace as it was given. */
  readonly netns: NetnsRef | undefined

  private constructor(socket: NetlinkSocket, netns: NetnsRef | undefined) {
    this.socket = socket
    this.netns = netns
    this.links = new Links(socket, netns, ref => Netlink.open({ netns: ref }))
    this.addresses = new Addresses(socket, this.links)
    this.routes = new Routes(socket, this.links)
    this.neighbours = new Neighbours(socket, this.links)
    this.fdb = new Fdb(socket, this.links)
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

  /** Closes the socket; pending requests reject with `ERR_CLOSED`. Idempotent. */
  close(): void {
    this.socket.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close()
  }
}
