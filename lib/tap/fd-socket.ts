/** Unix stream sockets that carry descriptors (SCM_RIGHTS, unix(7)), which Node's own sockets cannot. */
import { addon, type NativePoller } from '../addon.js'
import { closedError, LinkwrightError, nativeError } from '../errors.js'

const EAGAIN = -11
const READABLE = 1
const WRITABLE = 2
const CHUNK = 64 * 1024
const SOCK_STREAM = 1

/** What came in with one read. The descriptors are the receiver's to close. */
export interface Received {
  data: Uint8Array
  fds: number[]
}

/**
 * One end of a Unix stream connection. Descriptors travel with the first byte of what they were sent with.
 *
 * Enough for QEMU's monitor (`getfd`, then `netdev_add`) and for cloud-hypervisor's `PUT /api/v1/vm.add-net`, which takes
 * them in the same `sendmsg` as the request.
 */
export class FdSocket implements AsyncIterable<Received> {
  readonly #fd: number
  readonly #poller: NativePoller
  readonly #waiting: { events: number; wake: (error?: unknown) => void }[] = []
  #writing: Promise<void> = Promise.resolve()
  #reading = false
  #closed = false

  /** Takes over a connected, non-blocking Unix stream socket. */
  constructor(fd: number) {
    this.#fd = fd
    this.#poller = addon().createPoller(fd, (_error, events) => this.#ready(events))
    this.#poller.poll(0)
  }

  /** Connects to a listening socket. */
  static async connect(path: string): Promise<FdSocket> {
    try {
      return new FdSocket(addon().unixConnect(path))
    } catch (error) {
      throw nativeError(error, { link: path })
    }
  }

  /** Two connected ends in this process. */
  static pair(): [FdSocket, FdSocket] {
    const [one, other] = addon().unixPair(SOCK_STREAM)
    return [new FdSocket(one), new FdSocket(other)]
  }

  get closed(): boolean {
    return this.#closed
  }

  /**
   * Sends data, and descriptors along with its first byte. The other process gets duplicates: close yours when they are
   * not needed any more.
   */
  async send(data: Uint8Array | string, fds: readonly number[] = []): Promise<void> {
    const bytes = typeof data === 'string' ? new TextEncoder().encode(data) : data
    if (bytes.length === 0)
      throw new LinkwrightError('descriptors travel with at least one byte of data', {
        code: 'ERR_INVALID_ARG_VALUE',
        path: 'data'
      })
    const turn = this.#writing.then(() => this.#write(bytes, fds))
    this.#writing = turn.catch(() => {})
    await turn
  }

  /** The next data, or `null` at the end. */
  async receive(options: { signal?: AbortSignal | undefined } = {}): Promise<Received | null> {
    if (this.#reading) throw new LinkwrightError('another receive() is under way', { code: 'EBUSY' })
    this.#reading = true
    try {
      const buffer = new Uint8Array(CHUNK)
      for (;;) {
        this.#assertOpen()
        const received = this.#call(() => addon().unixReceive(this.#fd, buffer))
        if (received?.truncated) {
          throw new LinkwrightError('descriptors were lost on the way: too many open files?', {
            code: 'EMFILE',
            syscall: 'recvmsg'
          })
        }
        if (received) {
          if (received.bytes === 0 && received.fds.length === 0) return null
          return { data: buffer.subarray(0, received.bytes), fds: received.fds }
        }
        await this.#until(READABLE, options.signal)
      }
    } finally {
      this.#reading = false
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Received> {
    for (;;) {
      const received = await this.receive()
      if (!received) return
      yield received
    }
  }

  ref(): this {
    this.#poller.ref()
    return this
  }

  unref(): this {
    this.#poller.unref()
    return this
  }

  /** Closes the connection. Idempotent. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#poller.close()
    void addon().adoptDescriptors([this.#fd]).close()
    for (const { wake } of this.#waiting.splice(0)) wake(closedError('the socket'))
  }

  [Symbol.dispose](): void {
    this.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close()
  }

  async #write(bytes: Uint8Array, fds: readonly number[]): Promise<void> {
    let sent = 0
    while (sent < bytes.length) {
      this.#assertOpen()
      const written = this.#call(() => addon().unixSend(this.#fd, bytes.subarray(sent), sent === 0 ? [...fds] : []))
      if (written === EAGAIN) await this.#until(WRITABLE)
      else sent += written
    }
  }

  #call<T>(action: () => T): T {
    try {
      return action()
    } catch (error) {
      throw nativeError(error)
    }
  }

  #until(events: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted()
      const onAbort = () => entry.wake(signal?.reason)
      const entry = {
        events,
        wake: (error?: unknown) => {
          signal?.removeEventListener('abort', onAbort)
          const at = this.#waiting.indexOf(entry)
          if (at >= 0) this.#waiting.splice(at, 1)
          if (error === undefined) resolve()
          else reject(error)
        }
      }
      this.#waiting.push(entry)
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#watch()
    })
  }

  #ready(events: number): void {
    for (const entry of [...this.#waiting]) if (events === 0 || entry.events & events) entry.wake()
    if (!this.#closed) this.#watch()
  }

  #watch(): void {
    this.#poller.poll(this.#waiting.reduce((mask, entry) => mask | entry.events, 0))
  }

  #assertOpen(): void {
    if (this.#closed) throw closedError('the socket')
  }
}

/** Listens for connections that carry descriptors. */
export class FdServer implements AsyncIterable<FdSocket> {
  readonly #fd: number
  readonly #poller: NativePoller
  #wake: (() => void) | undefined
  #closed = false

  private constructor(fd: number) {
    this.#fd = fd
    this.#poller = addon().createPoller(fd, () => this.#wake?.())
    this.#poller.poll(0)
  }

  /** Listens on a path, which must not exist yet. Who closes the server removes the file. */
  static listen(path: string): FdServer {
    try {
      return new FdServer(addon().unixListen(path))
    } catch (error) {
      throw nativeError(error, { link: path })
    }
  }

  /** The next connection, or `null` when the server was closed. */
  async accept(): Promise<FdSocket | null> {
    while (!this.#closed) {
      const fd = addon().unixAccept(this.#fd)
      if (fd >= 0) return new FdSocket(fd)
      this.#poller.poll(READABLE)
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
      if (!this.#closed) this.#poller.poll(0)
    }
    return null
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<FdSocket> {
    for (;;) {
      const socket = await this.accept()
      if (!socket) return
      yield socket
    }
  }

  /** Idempotent. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#poller.close()
    void addon().adoptDescriptors([this.#fd]).close()
    this.#wake?.()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close()
  }
}

/** Sends descriptors over a connection, or over a new one to `path`. */
export async function sendFds(
  target: FdSocket | string,
  fds: readonly number[],
  data: Uint8Array | string
): Promise<void> {
  if (target instanceof FdSocket) return target.send(data, fds)
  const socket = await FdSocket.connect(target)
  try {
    await socket.send(data, fds)
  } finally {
    socket.close()
  }
}

/** Receives data with descriptors; `null` at the end of the connection. */
export async function receiveFds(socket: FdSocket, options: { signal?: AbortSignal } = {}): Promise<Received | null> {
  return socket.receive(options)
}
