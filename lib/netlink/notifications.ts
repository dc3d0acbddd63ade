/** A socket of its own for what the kernel announces: multicast groups of a netlink protocol. */
import { addon, type NativeDescriptors, type NativePoller } from '../addon.js'
import { nativeError } from '../errors.js'
import { type NetnsRef, withNetns } from '../netns.js'
import { rtnetlink } from '../rtnetlink/verbs.js'
import { dataView, type Message, messagesIn } from './framing.js'
import type { Protocol } from './protocol.js'
import { traceReceived, tracing } from './trace.js'

const ENOBUFS = -105
const EMSGSIZE = -90
const READABLE = 1
/** Room for 64 KiB datagrams; the native side stops when the next might not fit. */
const SLAB = 512 * 1024
/** Slabs read per turn of the event loop, so that a storm does not starve timers. */
const BUDGET = 4

export interface NotificationHandlers {
  /** A row of announcements, in order. They are only valid during the call. */
  messages(messages: Message[]): void
  /** The receive buffer overflowed: announcements were lost. */
  lost(): void
}

export class Notifications {
  readonly #descriptors: NativeDescriptors
  readonly #poller: NativePoller
  #closed = false

  private constructor(
    descriptors: NativeDescriptors,
    readonly protocol: Protocol,
    handlers: NotificationHandlers
  ) {
    this.#descriptors = descriptors
    const fd = descriptors.fds[0] as number
    const slab = new Uint8Array(SLAB)
    this.#poller = addon().createPoller(fd, () => this.#read(fd, slab, handlers))
    this.#poller.poll(READABLE)
  }

  static async open(
    groups: readonly number[],
    handlers: NotificationHandlers,
    options: { protocol?: Protocol; netns?: NetnsRef | undefined; receiveBuffer?: number } = {}
  ): Promise<Notifications> {
    const { protocol = rtnetlink, netns, receiveBuffer = 0 } = options
    try {
      const descriptors = await withNetns(netns, fd =>
        addon().openNetlinkListener(protocol.number, fd, receiveBuffer, [...groups])
      )
      return new Notifications(descriptors, protocol, handlers)
    } catch (error) {
      throw nativeError(error)
    }
  }

  ref(): void {
    if (!this.#closed) this.#poller.ref()
  }

  unref(): void {
    if (!this.#closed) this.#poller.unref()
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#poller.close()
    await this.#descriptors.close()
  }

  #read(fd: number, slab: Uint8Array, handlers: NotificationHandlers): void {
    for (let turn = 0; turn < BUDGET && !this.#closed; turn++) {
      const length = addon().readNotifications(fd, slab)
      if (length === 0) return
      if (length === ENOBUFS || length === EMSGSIZE) {
        handlers.lost()
        continue
      }
      if (length < 0) throw nativeError({ errno: length, syscall: 'recvmsg' })
      const bytes = slab.subarray(0, length)
      if (tracing()) traceReceived(this.protocol, 0, bytes.slice())
      handlers.messages([...messagesIn(dataView(bytes))])
    }
  }
}
