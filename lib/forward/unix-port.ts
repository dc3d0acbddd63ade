/** Frames over Unix sockets, as QEMU's `-netdev stream` and `-netdev dgram` speak them. */
import { rmSync } from 'node:fs'
import { addon, type NativePort } from '../addon.js'
import { Descriptors } from '../descriptors.js'
import { invalidArgument, nativeError } from '../errors.js'
import { type Check, checkOptions, descriptor, signal as signalCheck } from '../tap/checks.js'
import { PolledFd, READABLE } from '../tap/polled-fd.js'
import { BUFFER_CHECKS, type BufferOptions, buffers, portName, SocketPort } from './socket-port.js'

export interface UnixPortOptions extends BufferOptions {
  /** What it is called in errors and events. */
  name?: string | undefined
}

export interface UnixListenOptions extends UnixPortOptions {
  signal?: AbortSignal | undefined
}

export interface UnixDatagramOptions extends UnixPortOptions {
  /** Path to receive at, which must not exist yet; it is removed when the port is closed. */
  local: string
  /** Path of the peer's socket, which may come and go. */
  remote: string
}

/** Milliseconds. */
const RECONNECT_EVERY = 1000

const SOCKET_TYPES = { stream: 1, dgram: 2 } as const

const CHECKS: Record<keyof UnixPortOptions, Check> = { ...BUFFER_CHECKS, name: portName }
const LISTEN_CHECKS: Record<keyof UnixListenOptions, Check> = { ...CHECKS, signal: signalCheck }
const DATAGRAM_CHECKS: Record<keyof UnixDatagramOptions, Check> = { ...CHECKS, local: checkPath, remote: checkPath }

/**
 * A peer at the other end of a Unix socket: a QEMU, passt, a program of yours. As a stream, each frame comes behind its
 * length in four bytes of network order; as datagrams, each is a frame. There are no virtio-net headers, so no super-frames:
 * the guest computes its checksums itself. A leading NUL in a path means the abstract namespace.
 *
 * When the peer of a stream is gone, or what it sends makes no sense, the port is too. A peer of datagrams that was connected
 * (`adopt`, `pair`) is missed when something is sent.
 */
export class UnixPort extends SocketPort {
  /** Path to be removed. */
  readonly #path: string | undefined

  private constructor(native: NativePort, name: string, path?: string) {
    super(native, name)
    this.#path = path
  }

  /**
   * Connects to a listening stream socket: `-netdev stream,server=on,addr.type=unix,addr.path=…`.
   *
   * @throws LinkwrightError `ENOENT`, `ECONNREFUSED` (nobody listens), `EACCES`
   */
  static async connect(path: string, options: UnixPortOptions = {}): Promise<UnixPort> {
    checkOptions(options, CHECKS)
    checkPath(path, 'path')
    const name = options.name ?? `unix ${readable(path)}`
    const fd = attempt(name, () => addon().unixConnect(path))
    return UnixPort.#take(fd, name, options)
  }

  /**
   * Listens on a path, which must not exist yet, until a stream peer has connected: `-netdev stream,addr.type=unix,addr.path=…`.
   * The path is gone then.
   *
   * @throws LinkwrightError `EADDRINUSE` (the path exists), `EACCES`; and the signal's reason
   */
  static async listen(path: string, options: UnixListenOptions = {}): Promise<UnixPort> {
    checkOptions(options, LISTEN_CHECKS)
    checkPath(path, 'path')
    const { signal } = options
    signal?.throwIfAborted()
    const name = options.name ?? `unix ${readable(path)}`
    const socket = new PolledFd(
      attempt(name, () => addon().unixListen(path)),
      name
    )
    try {
      for (;;) {
        const fd = attempt(name, () => addon().unixAccept(socket.fd))
        if (fd >= 0) return UnixPort.#take(fd, name, options)
        await socket.until(READABLE, signal)
      }
    } finally {
      socket.close()
      removeSocket(path)
    }
  }

  /**
   * Receives datagrams at one path and sends them to another:
   * `-netdev dgram,local.type=unix,local.path=REMOTE,remote.type=unix,remote.path=LOCAL`. Who may write to the file may send.
   * A peer that takes the place of another is heard after a second, or once something was sent to it. The kernel lets
   * `net.unix.max_dgram_qlen` datagrams wait, 10 by default, which is few: raise it, or use a stream.
   *
   * @throws LinkwrightError `EADDRINUSE` (the path exists), `EACCES`, `ENAMETOOLONG`
   */
  static async datagram(options: UnixDatagramOptions): Promise<UnixPort> {
    checkOptions(options, DATAGRAM_CHECKS)
    const { local, remote } = options
    checkPath(local, 'local')
    checkPath(remote, 'remote')
    const name = options.name ?? `unix ${readable(remote)}`
    const { sendBuffer, receiveBuffer } = buffers(options)
    const native = attempt(name, () => addon().openUnixDatagramPort(local, remote, sendBuffer, receiveBuffer))
    keepConnected(native)
    return new UnixPort(native, name, local)
  }

  /**
   * Takes over a connected Unix socket, stream or datagram.
   *
   * @throws LinkwrightError `ENOTSOCK`, `EAFNOSUPPORT` (no Unix socket), `EPROTOTYPE` (neither stream nor datagram),
   * `ENOTCONN`; the descriptor stays the caller's then
   */
  static adopt(fd: number, options: UnixPortOptions = {}): UnixPort {
    checkOptions(options, CHECKS)
    descriptor(fd, 'fd')
    return UnixPort.#adopt(fd, options.name ?? `unix fd ${fd}`, options)
  }

  /**
   * A port and the descriptor of its other end, to be given to a child: `-netdev stream,addr.type=fd,addr.str=3` or
   * `-netdev dgram,local.type=fd,local.str=3`. Close the descriptor when the child has it: the port sees its peer go then.
   */
  static pair(
    type: 'stream' | 'dgram' = 'stream',
    options: UnixPortOptions = {}
  ): { port: UnixPort; peer: Descriptors } {
    checkOptions(options, CHECKS)
    if (!Object.hasOwn(SOCKET_TYPES, type)) throw invalidArgument('type', "'stream' or 'dgram'", type)
    const name = options.name ?? `unix ${type}`
    const [own, other] = attempt(name, () => addon().unixPair(SOCKET_TYPES[type]))
    const peer = new Descriptors(addon().adoptDescriptors([other]), `the peer of ${name}`)
    try {
      return { port: UnixPort.#take(own, name, options), peer }
    } catch (error) {
      void peer.close()
      throw error
    }
  }

  override close(): Promise<void> {
    if (this.#path !== undefined && !this.closed) removeSocket(this.#path)
    return super.close()
  }

  /** Of a descriptor that is ours: closed if it fails. */
  static #take(fd: number, name: string, options: UnixPortOptions): UnixPort {
    try {
      return UnixPort.#adopt(fd, name, options)
    } catch (error) {
      void addon().adoptDescriptors([fd]).close()
      throw error
    }
  }

  static #adopt(fd: number, name: string, options: UnixPortOptions): UnixPort {
    const { sendBuffer, receiveBuffer } = buffers(options)
    return new UnixPort(
      attempt(name, () => addon().adoptUnixPort(fd, sendBuffer, receiveBuffer)),
      name
    )
  }
}

/** Looks for a peer that has taken the place of another, whose datagrams the kernel refuses meanwhile. Keeps nothing alive. */
function keepConnected(native: NativePort): void {
  const timer = setInterval(() => {
    if (!addon().reconnectUnixPort(native)) clearInterval(timer)
  }, RECONNECT_EVERY).unref()
}

function checkPath(value: unknown, where: string): asserts value is string {
  if (typeof value !== 'string' || value === '' || value.indexOf('\0', 1) >= 0) {
    throw invalidArgument(where, 'a path, or a NUL and a name', value)
  }
}

/** Abstract names begin with a NUL; `@` is how people write it. */
const readable = (name: string) => name.replace('\0', '@')

function removeSocket(name: string): void {
  if (!name.startsWith('\0')) rmSync(name, { force: true })
}

function attempt<T>(name: string, action: () => T): T {
  try {
    return action()
  } catch (error) {
    throw nativeError(error, { link: name, diagnosis: diagnose((error as { code?: string }).code) })
  }
}

function diagnose(code: string | undefined): string | undefined {
  if (code === 'EADDRINUSE') return 'the path exists already: remove it if its owner is gone'
  if (code === 'ENAMETOOLONG') return 'paths of sockets have at most 107 bytes'
  if (code === 'EAFNOSUPPORT') return 'it is no Unix socket'
  if (code === 'EPROTOTYPE') return 'it is neither a stream nor a datagram socket'
  return undefined
}
