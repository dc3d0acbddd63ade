/** A netlink socket: requests, dumps and batches, answered by promises. It knows messages, not what they mean. */
import { setImmediate } from 'node:timers/promises'
import { addon, type Exchange, type NativeNetlinkSocket, NOT_SENT, type PendingExchange } from '../addon.js'
import { Block } from '../codec/block.js'
import { hostLittleEndian } from '../codec/endian.js'
import { calledBy, closedError, invalidArgument, LinkwrightError, nativeError } from '../errors.js'
import { type NetnsRef, withNetns } from '../netns.js'
import { checkKeys } from '../options.js'
import { rtnetlink } from '../rtnetlink/verbs.js'
import { type CallOptions, Cancellation } from './cancellation.js'
import { NLMSG_DONE, NLMSG_ERROR, NLMSG_HEADER } from './constants.js'
import { requestError } from './extack.js'
import { type Message, messagesIn, type Payload } from './framing.js'
import type { Protocol } from './protocol.js'
import type { Request } from './request.js'
import { traceExchange, tracing } from './trace.js'

export interface SocketOptions {
  /** Namespace to speak to; that of the process if left out. */
  netns?: NetnsRef | undefined
  /** Receive buffer in bytes; 1 MiB if left out, less where the system allows less. */
  receiveBuffer?: number | undefined
}

export type { CallOptions } from './cancellation.js'

export interface BatchOptions extends CallOptions {
  /** All requests in one message to the kernel, never split (nf_tables transactions). */
  atomic?: boolean | undefined
}

/** What became of one request of a batch. */
export type BatchResult = { replies: Message[]; error?: undefined } | { replies: Message[]; error: unknown }

const OPEN_KEYS: ReadonlySet<string> = new Set(['protocol', 'netns', 'receiveBuffer'])

/** Attempts at a dump that the kernel keeps flagging as inconsistent. */
const DUMP_ATTEMPTS = 8

export class NetlinkSocket {
  readonly protocol: Protocol
  readonly #native: NativeNetlinkSocket
  #keepAlive = true
  #closed = false

  private constructor(native: NativeNetlinkSocket, protocol: Protocol) {
    this.#native = native
    this.protocol = protocol
    leaks.register(this, native, this)
  }

  /** Opens a socket. Fails with `ENOENT` (no such namespace) or `EPERM` (it may not be entered). */
  static async open(options: SocketOptions & { protocol?: Protocol } = {}): Promise<NetlinkSocket> {
    checkKeys(options, OPEN_KEYS)
    const { protocol = rtnetlink, netns, receiveBuffer = 0 } = options
    if (!Number.isInteger(receiveBuffer) || receiveBuffer < 0 || receiveBuffer > 0x7fffffff) {
      throw invalidArgument('receiveBuffer', 'a number of bytes', receiveBuffer)
    }
    try {
      const native = await withNetns(netns, fd => addon().openNetlink(protocol.number, fd, receiveBuffer))
      return new NetlinkSocket(native, protocol)
    } catch (error) {
      throw nativeError(error)
    }
  }

  /** @internal */
  static adopt(native: NativeNetlinkSocket, protocol: Protocol): NetlinkSocket {
    return new NetlinkSocket(native, protocol)
  }

  /** The address that the kernel gave to the socket (nl_pid). */
  get portId(): number {
    return this.#native.portId
  }

  /** Capacity of the receive buffer as the kernel accounts it, in bytes. */
  get receiveBuffer(): number {
    return this.#native.receiveBuffer
  }

  get closed(): boolean {
    return this.#closed
  }

  /** @internal */
  get native(): NativeNetlinkSocket {
    if (this.#closed) throw closedError('the netlink socket')
    return this.#native
  }

  /** Sends one request; resolves with what came back besides the acknowledgement. */
  async request(request: Request, options: CallOptions = {}): Promise<Message[]> {
    const [result] = await this.batch([request], options)
    if (!result) throw new Error('a batch of one has one result')
    if (result.error !== undefined) throw calledBy(this.request, result.error)
    return result.replies
  }

  /**
   * Sends requests in order, in as few system calls as the buffers allow. Each has a result of its own: one that fails
   * does not stop the others. When aborted or timed out, those that were not sent have that as their error, and so have
   * those that the kernel had not answered yet: they may have been carried out.
   */
  async batch(requests: readonly Request[], options: BatchOptions = {}): Promise<BatchResult[]> {
    if (requests.length === 0) return []
    const cancel = new Cancellation(options)
    const bytes = requests.length === 1 ? (requests[0] as Request).bytes : concatenate(requests)
    const exchange = await this.#run(bytes, cancel, () =>
      this.native.exchange(bytes, options.atomic ?? false, this.#keepAlive)
    )
    return this.#results(requests, exchange, cancel)
  }

  /**
   * Asks for a table. A table that changed meanwhile (NLM_F_DUMP_INTR) is asked for again, a few times; if it never holds
   * still the promise rejects with `ERR_DUMP_INTERRUPTED`.
   */
  async dump(request: Request, options: CallOptions = {}): Promise<Message[]> {
    const { replies } = await this.#dump(request, options, 0)
    return replies.flatMap(buffer => messagesIn(new Block(buffer)).filter(message => !isEnd(message)))
  }

  /**
   * {@link dump} without a second attempt: what came, and whether the table changed meanwhile, so that something may be
   * missing or twice.
   *
   * @internal
   */
  async dumpOnce(request: Request, options: CallOptions = {}): Promise<{ messages: Message[]; interrupted: boolean }> {
    const { replies, interrupted } = await this.#dump(request, options, 0, 1)
    const messages = replies.flatMap(buffer => messagesIn(new Block(buffer)).filter(message => !isEnd(message)))
    return { messages, interrupted }
  }

  /**
   * {@link dump} for large tables: makes something of each message at once, with an index of its attributes, and lets the
   * event loop turn in between.
   *
   * @param attempts with 1 a table that changed meanwhile is taken as it came
   */
  async dumpAs<T>(
    request: Request,
    make: (payload: Payload) => T,
    options: CallOptions = {},
    attempts = DUMP_ATTEMPTS
  ): Promise<T[]> {
    const attributesAt = request.schema ? NLMSG_HEADER + request.schema.headerLength : 0
    const exchange = await this.#dump(request, options, attributesAt, attempts)
    const made: T[] = []
    let row = 0
    for (const [turn, buffer] of exchange.replies.entries()) {
      if (turn > 0) await setImmediate()
      const data = new Block(buffer)
      data.index = exchange.index
      for (let at = 0; at + NLMSG_HEADER <= data.byteLength; row++) {
        const length = data.getUint32(at, hostLittleEndian)
        if (length < NLMSG_HEADER || at + length > data.byteLength) break
        // The end of a dump is only among them when it has something to say.
        if (data.getUint16(at + 4, hostLittleEndian) > NLMSG_DONE) {
          made.push(make({ data, start: at + NLMSG_HEADER, end: at + length, row: data.index ? row : -1 }))
        }
        at += (length + 3) & ~3
      }
    }
    return made
  }

  /**
   * {@link dump} without an object per message: hands over stretches of whole messages, and lets the event loop turn in
   * between. A table that changed meanwhile is taken as it came: whether it did.
   */
  async dumpBytes(request: Request, take: (messages: Block) => void, options: CallOptions = {}): Promise<boolean> {
    const exchange = await this.#dumpOnce(request, new Cancellation(options), 0)
    let first = true
    for (const buffer of exchange.replies) {
      for (const stretch of stretches(new Block(buffer))) {
        if (!first) await setImmediate()
        first = false
        take(stretch)
      }
    }
    return exchange.interrupted
  }

  /**
   * Sends bytes as they are: whole netlink messages, each padded to four bytes. Sequence numbers, port id and NLM_F_ACK
   * are filled in. Resolves with every message that came back, errors included.
   */
  async raw(bytes: Uint8Array, options: BatchOptions & { dump?: boolean } = {}): Promise<Message[]> {
    const cancel = new Cancellation(options)
    const exchange = await this.#run(bytes, cancel, () =>
      options.dump
        ? this.native.dump(bytes, this.#keepAlive, 0)
        : this.native.exchange(bytes, options.atomic ?? false, this.#keepAlive)
    )
    cancel.throwIfGivenUp()
    if (this.#closed && exchange.status.some(status => status === NOT_SENT || status === CANCELED)) {
      throw closedError('the netlink socket')
    }
    const failed = exchange.status.find(status => status !== 0)
    const replies = exchange.replies.flatMap(buffer => messagesIn(new Block(buffer)))
    if (failed !== undefined && !replies.some(reply => reply.type === NLMSG_ERROR || reply.type === NLMSG_DONE)) {
      throw nativeError({ errno: failed === NOT_SENT ? -125 : failed, syscall: 'sendmsg' })
    }
    return replies
  }

  /** Lets pending requests keep the process alive (the default). */
  ref(): this {
    this.#keepAlive = true
    return this
  }

  /** Lets the process end while requests made from now on are pending. */
  unref(): this {
    this.#keepAlive = false
    return this
  }

  /** Closes the socket; pending requests reject with `ERR_CLOSED`. Idempotent. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    leaks.unregister(this)
    this.#native.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close()
  }

  async #run(bytes: Uint8Array, cancel: Cancellation, send: () => PendingExchange): Promise<Exchange> {
    cancel.throwIfGivenUp()
    // As they are now: raw bytes are the caller's to change.
    const traced = tracing() ? new Uint8Array(bytes) : undefined
    const pending = send()
    const settle = cancel.watch(() => this.#native.cancel(pending.id))
    try {
      const exchange = await pending.result
      if (traced) traceExchange(this.protocol, this.portId, traced, exchange)
      return exchange
    } catch (error) {
      throw nativeError(error)
    } finally {
      settle()
    }
  }

  async #dump(
    request: Request,
    options: CallOptions,
    attributesAt: number,
    attempts = DUMP_ATTEMPTS
  ): Promise<Exchange> {
    const cancel = new Cancellation(options)
    for (let attempt = 1; ; attempt++) {
      const exchange = await this.#dumpOnce(request, cancel, attributesAt)
      if (!exchange.interrupted || attempts === 1) return exchange
      if (attempt === attempts) {
        throw new LinkwrightError(
          `${request.verb}: the kernel's table changed during each of ${attempt} dumps; ask again when it is calmer`,
          { code: 'ERR_DUMP_INTERRUPTED', syscall: request.verb }
        )
      }
    }
  }

  async #dumpOnce(request: Request, cancel: Cancellation, attributesAt: number): Promise<Exchange> {
    const exchange = await this.#run(request.bytes, cancel, () =>
      this.native.dump(request.bytes, this.#keepAlive, attributesAt)
    )
    if (exchange.status[0] === 0) return exchange
    const [result] = this.#results([request], exchange, cancel)
    throw result?.error
  }

  #results(requests: readonly Request[], exchange: Exchange, cancel: Cancellation): BatchResult[] {
    const replies: Message[][] = requests.map(() => [])
    const errors: (Message | undefined)[] = []
    for (const buffer of exchange.replies) {
      for (const message of messagesIn(new Block(buffer))) {
        const item = (message.sequence - exchange.firstSequence) >>> 0
        if (isEnd(message)) errors[item] = message
        else replies[item]?.push(message)
      }
    }
    const batch = requests.length > 1
    const results: BatchResult[] = []
    // A loop, for each function here is one frame less of the caller's in the stack of an error.
    for (let item = 0; item < requests.length; item++) {
      const status = exchange.status[item] ?? NOT_SENT
      const own = replies[item] as Message[]
      const unsent = status === NOT_SENT || status === CANCELED
      const givenUp = unsent ? cancel.givenUp : undefined
      if (status === 0) results.push({ replies: own })
      else if (givenUp) results.push({ replies: own, error: givenUp.reason })
      else if (unsent && this.#closed) results.push({ replies: own, error: closedError('the netlink socket') })
      else {
        const errno = status === NOT_SENT ? CANCELED : status
        const error = requestError(requests[item] as Request, errno, errors[item], batch ? item : undefined)
        results.push({ replies: own, error })
      }
    }
    return results
  }
}

const CANCELED = -125

/** As much as is dealt with in well under a millisecond. */
const STRETCH = 128 * 1024

function* stretches(data: Block): Generator<Block> {
  let from = 0
  for (let at = 0; at + NLMSG_HEADER <= data.byteLength; ) {
    const length = data.getUint32(at, hostLittleEndian)
    if (length < NLMSG_HEADER || at + length > data.byteLength) break
    at += (length + 3) & ~3
    if (at - from < STRETCH && at < data.byteLength) continue
    yield new Block(data.buffer, data.byteOffset + from, Math.min(at, data.byteLength) - from)
    from = at
  }
}

/** NLMSG_ERROR and NLMSG_DONE end an answer. */
function isEnd(message: Message): boolean {
  return message.type === NLMSG_ERROR || message.type === NLMSG_DONE
}

function concatenate(requests: readonly Request[]): Uint8Array {
  const total = requests.reduce((sum, request) => sum + request.bytes.length, 0)
  const bytes = new Uint8Array(total)
  let at = 0
  for (const request of requests) {
    bytes.set(request.bytes, at)
    at += request.bytes.length
  }
  return bytes
}

/** Objects that were collected while open are a mistake of the program: they are closed, with a warning. */
const leaks = new FinalizationRegistry<NativeNetlinkSocket>(native => {
  native.close()
  process.emitWarning('a netlink socket was garbage-collected while open; call close()', {
    code: 'LINKWRIGHT_LEAK'
  })
})
