/** Unix stream sockets that carry descriptors (SCM_RIGHTS, unix(7)), which Node's own sockets cannot. */
import { addon } from '../addon.js'
import { invalidArgument, LinkwrightError, nativeError } from '../errors.js'
import { PolledFd, READABLE, WRITABLE } from './polled-fd.js'

const EAGAIN = -11
const CHUNK = 64 * 1024
/** SCM_MAX_FD */
const MAX_FDS = 253
const SOCK_STREAM = 1

export interface SignalOptions {
  /** Gives the operation up; the promise rejects with the signal's reason. */
  signal?: AbortSignal | undefined
}

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
  readonly #socket: PolledFd
  #writing: Promise<void> = Promise.resolve()
  #reading = false

  /** Takes over a connected, non-blocking Unix stream socket. */
  constructor(fd: number) {
    this.#socket = new PolledFd(fd, 'the socket')
  }

  /** Connects to a listening socket. */
  static async connect(path: string, options: SignalOptions = {}): Promise<FdSocket> {
    options.signal?.throwIfAborted()
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
    return this.#socket.closed
  }

  /**
   * Sends data, and descriptors along with its first byte. The other process gets duplicates: close yours when they are
   * not needed any more.
   *
   * An aborted one leaves the socket usable, unless a part is sent already: then the socket is closed, for the other side
   * would take what comes next for the rest.
   */
  async send(data: Uint8Array | string, fds: readonly number[] = [], options: SignalOptions = {}): Promise<void> {
    const { signal } = options
    signal?.throwIfAborted()
    const bytes = typeof data === 'string' ? new TextEncoder().encode(data) : data
    if (bytes.length === 0)
      throw new LinkwrightError('descriptors travel with at least one byte of data', {
        code: 'ERR_INVALID_ARG_VALUE',
        path: 'data'
      })
    if (fds.length > MAX_FDS) throw invalidArgument('fds', `at most ${MAX_FDS} descriptors`, fds.length)
    const before = this.#writing
    const turn = unlessAborted(before, signal).then(() => this.#write(bytes, fds, signal))
    // One that is given up while it waits lets nobody past those before it.
    this.#writing = turn.catch(() => before)
    await turn
  }

  /** The next data, or `null` at the end. */
  async receive(options: SignalOptions = {}): Promise<Received | null> {
    if (this.#reading) throw new LinkwrightError('another receive() is under way', { code: 'EBUSY' })
    options.signal?.throwIfAborted()
    this.#reading = true
    try {
      const buffer = new Uint8Array(CHUNK)
      for (;;) {
        this.#socket.assertOpen()
        const received = call(() => addon().unixReceive(this.#socket.fd, buffer))
        if (received?.truncated) {
          if (received.fds.length > 0) void addon().adoptDescriptors(received.fds).close()
          throw new LinkwrightError('descriptors were lost on the way: too many open files?', {
            code: 'EMFILE',
            syscall: 'recvmsg'
          })
        }
        if (received) {
          if (received.bytes === 0 && received.fds.length === 0) return null
          return { data: buffer.subarray(0, received.bytes), fds: received.fds }
        }
        await this.#socket.until(READABLE, options.signal)
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
    this.#socket.ref()
    return this
  }

  unref(): this {
    this.#socket.unref()
    return this
  }

  /** Closes the connection. Idempotent. */
  close(): void {
    this.#socket.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close()
  }

  async #write(bytes: Uint8Array, fds: readonly number[], signal: AbortSignal | undefined): Promise<void> {
    let sent = 0
    while (sent < bytes.length) {
      this.#socket.assertOpen()
      const written = call(() => addon().unixSend(this.#socket.fd, bytes.subarray(sent), sent === 0 ? [...fds] : []))
      if (written !== EAGAIN) sent += written
      else await this.#writable(signal, sent > 0)
    }
  }

  async #writable(signal: AbortSignal | undefined, begun: boolean): Promise<void> {
    try {
      await this.#socket.until(WRITABLE, signal)
    } catch (error) {
      if (begun) this.close()
      throw error
    }
  }
}

function call<T>(action: () => T): T {
  try {
    return action()
  } catch (error) {
    throw nativeError(error)
  }
}

/** Rejects with the signal's reason if that comes first. The promise itself never rejects. */
function unlessAborted(promise: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (!signal) return promise
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    void promise.then(() => {
      signal.removeEventListener('abort', onAbort)
      resolve()
    })
  })
}

/** Listens for connections that carry descriptors. */
export class FdServer implements AsyncIterable<FdSocket> {
  readonly #socket: PolledFd
  #accepting = false

  private constructor(fd: number) {
    this.#socket = new PolledFd(fd, 'the server')
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
  async accept(options: SignalOptions = {}): Promise<FdSocket | null> {
    options.signal?.throwIfAborted()
    if (this.#accepting) throw new LinkwrightError('another accept() is under way', { code: 'EBUSY' })
    this.#accepting = true
    try {
      while (!this.#socket.closed) {
        const fd = call(() => addon().unixAccept(this.#socket.fd))
        if (fd >= 0) return new FdSocket(fd)
        await this.#socket.until(READABLE, options.signal)
      }
      return null
    } catch (error) {
      if (this.#socket.closed) return null
      throw error
    } finally {
      this.#accepting = false
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<FdSocket> {
    for (;;) {
      const socket = await this.accept()
      if (!socket) return
      yield socket
    }
  }

  ref(): this {
    this.#socket.ref()
    return this
  }

  unref(): this {
    this.#socket.unref()
    return this
  }

  /** Idempotent. */
  close(): void {
    this.#socket.close()
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
  data: Uint8Array | string,
  options: SignalOptions = {}
): Promise<void> {
  if (target instanceof FdSocket) return target.send(data, fds, options)
  const socket = await FdSocket.connect(target, options)
  try {
    await socket.send(data, fds, options)
  } finally {
    socket.close()
  }
}

/** Receives data with descriptors; `null` at the end of the connection. */
export async function receiveFds(socket: FdSocket, options: SignalOptions = {}): Promise<Received | null> {
  return socket.receive(options)
}
