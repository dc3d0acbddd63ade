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

/** Datagrams in a slab, at most. */
const DATAGRAMS = 1024
const NO_FILTER = new Uint8Array()

export interface NotificationHandlers {
  /**
   * A row of announcements, in order. They are only valid during the call.
   *
   * @param nsid the namespace that they are from, where those of others are heard as well; -1 for the socket's own
   */
  messages(messages: Message[], nsid: number): void
  /** Announcements were lost: the receive buffer overflowed, or one was larger than a datagram can be. */
  lost(reason: 'overflow' | 'truncated'): void
  /** The socket cannot be read any more. Left out, that is thrown as an uncaught exception. */
  failed?(error: Error): void
}

export interface ListenOptions {
  protocol?: Protocol
  netns?: NetnsRef | undefined
  receiveBuffer?: number | undefined
  /** Classic BPF over each announcement, 8 bytes an instruction. */
  filter?: Uint8Array | undefined
  /** Those of all namespaces that have an id in this one. */
  allNamespaces?: boolean | undefined
}

export class Notifications {
  readonly #descriptors: NativeDescriptors
  readonly #poller: NativePoller
  #closed = false

  private constructor(
    descriptors: NativeDescriptors,
    readonly protocol: Protocol,
    handlers: NotificationHandlers,
    allNamespaces: boolean
  ) {
    this.#descriptors = descriptors
    const fd = descriptors.fds[0] as number
    const slab = new Uint8Array(SLAB)
    const origins = allNamespaces ? new Int32Array(2 * DATAGRAMS) : null
    this.#poller = addon().createPoller(fd, error => {
      this.#read(fd, slab, origins, handlers)
      // libuv takes a loss (POLLERR) for the end of the descriptor, and stops.
      if (error !== 0 && !this.#closed) this.#poller.poll(READABLE)
    })
    this.#poller.poll(READABLE)
  }

  static async open(
    groups: readonly number[],
    handlers: NotificationHandlers,
    options: ListenOptions = {}
  ): Promise<Notifications> {
    const { protocol = rtnetlink, netns, receiveBuffer = 0, filter = NO_FILTER, allNamespaces = false } = options
    try {
      const descriptors = await withNetns(netns, fd =>
        addon().openNetlinkListener(protocol.number, fd, receiveBuffer, [...groups], filter, allNamespaces)
      )
      return new Notifications(descriptors, protocol, handlers, allNamespaces)
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

  #read(fd: number, slab: Uint8Array, origins: Int32Array | null, handlers: NotificationHandlers): void {
    for (let turn = 0; turn < BUDGET && !this.#closed; turn++) {
      origins?.fill(0)
      const length = addon().readNotifications(fd, slab, origins)
      if (length === 0) return
      if (length === ENOBUFS || length === EMSGSIZE) {
        handlers.lost(length === ENOBUFS ? 'overflow' : 'truncated')
        continue
      }
      if (length < 0) {
        const error = nativeError({ errno: length, syscall: 'recvmsg' })
        if (!handlers.failed) throw error
        handlers.failed(error)
        return
      }
      const bytes = slab.subarray(0, length)
      if (tracing()) traceReceived(this.protocol, 0, bytes.slice())
      if (!origins) handlers.messages(messagesIn(dataView(bytes)), OWN)
      else {
        for (const { start, end, nsid } of datagramsIn(origins)) {
          if (!this.#closed) handlers.messages(messagesIn(dataView(slab.subarray(start, end))), nsid)
        }
      }
    }
  }
}

/** The mark of the socket's own namespace. */
const OWN = -1

function* datagramsIn(origins: Int32Array): Generator<{ start: number; end: number; nsid: number }> {
  let start = 0
  for (let at = 0; at + 1 < origins.length; at += 2) {
    const end = origins[at] as number
    if (end === 0) return
    yield { start, end, nsid: origins[at + 1] as number }
    start = end
  }
}
