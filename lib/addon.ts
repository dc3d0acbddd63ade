/**
 * The one door to native code: loads the addon and says what it offers.
 *
 * Whatever may block in the kernel runs on the addon's own threads and answers by a promise; the few synchronous
 * functions never block. A failing system call rejects (or throws) an Error with `code`, negative `errno` and `syscall`.
 */
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import type { NativeChild, SpawnOptions } from './addon/child.js'
import type { NativeDescriptors, NativePoller } from './addon/descriptors.js'
import type {
  HolderQuery,
  HolderScan,
  MacvtapLink,
  MacvtapNumbers,
  MacvtapOpened,
  MacvtapOpenOptions,
  TunIoctl,
  TunOpened,
  TunOpenOptions,
  TunPlace
} from './addon/device.js'
import type {
  NativeForwarder,
  NativeForwarderOptions,
  NativePort,
  PacketPortOpenOptions,
  TapPortOptions,
  TunnelOpened,
  UdpPortOpenOptions,
  VxlanPortOpenOptions
} from './addon/forward.js'
import type { NativeFrameCopy, NativeFrameQueue } from './addon/frames.js'
import type { NativeNetlinkSocket } from './addon/socket.js'

export * from './addon/child.js'
export * from './addon/descriptors.js'
export * from './addon/device.js'
export * from './addon/forward.js'
export * from './addon/frames.js'
export * from './addon/socket.js'

export interface Addon {
  /**
   * Opens a netlink socket. `receiveBuffer` is asked for by SO_RCVBUFFORCE, then SO_RCVBUF; 0 means the engine's default
   * of 1 MiB. EXT_ACK and CAP_ACK are always on, GET_STRICT_CHK where the protocol has it.
   * `netns`: a descriptor (not kept), -1 for the process's namespace, -2 for a new one that lives as long as its sockets
   * and devices.
   */
  openNetlink(protocol: number, netns: number, receiveBuffer: number): Promise<NativeNetlinkSocket>
  /**
   * Takes over a connected Unix socket of messages (SOCK_SEQPACKET or SOCK_DGRAM) with somebody at the other end who
   * plays the kernel: for tests. Throws EAFNOSUPPORT where it is no Unix socket, EPROTOTYPE where it is a stream, and
   * refuses a descriptor that has an owner; each leaves the descriptor alone.
   */
  adoptNetlink(fd: number): NativeNetlinkSocket
  /**
   * Opens a netlink socket for notifications and joins multicast groups; the result is a non-blocking descriptor.
   *
   * @param filter a classic BPF program over the datagram: 8 bytes per instruction (`struct sock_filter`); empty for none
   * @param allNamespaces also those of the namespaces that have an id in this one (NETLINK_LISTEN_ALL_NSID); EPERM
   * without CAP_NET_BROADCAST
   */
  openNetlinkListener(
    protocol: number,
    netns: number,
    receiveBuffer: number,
    groups: number[],
    filter: Uint8Array,
    allNamespaces: boolean
  ): Promise<NativeDescriptors>
  /**
   * Reads notifications without blocking into `slab` until it has no 64 KiB left or nothing is queued: the bytes written
   * (whole messages from the kernel, back to back), 0 when there is nothing, or a negative errno: -ENOBUFS after a loss,
   * -EMSGSIZE after a truncation.
   *
   * @param origins filled with a pair for each datagram: where it ends in the slab, and the id of the namespace that it is
   * from, -1 for the socket's own; reading stops when it is full
   */
  readNotifications(fd: number, slab: Uint8Array, origins: Int32Array | null): number
  /** The namespace that a netlink socket or, with null, the process lives in, as a new descriptor. */
  openNetns(socket: NativeNetlinkSocket | null): Promise<NativeDescriptors>
  /** SO_NETNS_COOKIE of a socket's namespace: no other gets it until the next boot. 0 before Linux 5.14. */
  netnsCookie(socket: NativeNetlinkSocket): bigint

  /** All queues are on one device, or it rejects with ENODEV: it was renamed meanwhile, and the name another's. */
  openTun(options: TunOpenOptions): Promise<TunOpened>
  /**
   * Many in one namespace, one after the other on one thread, which then sends their `link` requests: each opened, or the
   * error. Calls are carried out in their order, one at a time.
   */
  openTuns(netns: number, devices: Omit<TunOpenOptions, 'netns'>[]): Promise<(TunOpened | Error)[]>
  /** What open devices are called now, and whether they are in a namespace; an error for one that is deleted. */
  findTuns(netns: number, fds: number[]): Promise<(TunPlace | Error)[]>
  openMacvtap(options: MacvtapOpenOptions): Promise<MacvtapOpened>
  /** Opens nothing. */
  macvtapNumbers(link: MacvtapLink): Promise<MacvtapNumbers>
  /** Runs an ioctl on an engine thread (they take the RTNL lock). Resolves with the value that a TUNGET* wrote, else 0. */
  tunIoctl(fd: number, ioctl: TunIoctl, value: number): Promise<number>
  /** TUNGETIFF: resolves with the name and `IFF_*` flags. */
  tunGetInterface(fd: number): Promise<{ name: string; flags: number }>
  /** TUNATTACHFILTER with a classic BPF program: 8 bytes per instruction (`struct sock_filter`). */
  tunAttachFilter(fd: number, program: Uint8Array): Promise<void>
  /**
   * Which processes have devices of a namespace open: one pass over /proc. A TUN or TAP that is only known by its name,
   * because the descriptor may not be looked at, counts as held.
   */
  findHolders(netns: number, query: HolderQuery): Promise<HolderScan>
  /** Reads or writes a file under /proc/sys/net as the namespace sees it; the path is relative to that, or whole. */
  readSysctl(netns: number, path: string): Promise<string>
  writeSysctl(netns: number, path: string, value: string): Promise<void>

  /**
   * Takes IPv6 from links (`disable_ipv6`) of the namespace that a socket or, with null, the process lives in: 0 or a
   * negative errno for each. Where the kernel has no IPv6 that is no error.
   */
  disableIpv6(socket: NativeNetlinkSocket | null, indexes: number[]): Promise<number[]>

  openUdpPort(options: UdpPortOpenOptions): Promise<TunnelOpened>
  openVxlanPort(options: VxlanPortOpenOptions): Promise<TunnelOpened>
  openPacketPort(options: PacketPortOpenOptions): Promise<{ port: NativePort; name: string; index: number }>
  /** Takes over a connected Unix socket of streams or datagrams, unless it throws. */
  adoptUnixPort(fd: number, sendBuffer: number, receiveBuffer: number): NativePort
  /** Binds a datagram socket to a path; the remote is connected to when it is there. */
  openUnixDatagramPort(local: string, remote: string, sendBuffer: number, receiveBuffer: number): NativePort
  /** Connects such a port to its remote again, where another socket may be by now; false when the port is closed. */
  reconnectUnixPort(port: NativePort): boolean
  /** Writes the slots of {@link SOCKET_PORT_FAULT}; false when the port is closed. Throws for what is no port. */
  socketPortFaults(port: NativePort, into: Float64Array): boolean

  /**
   * Starts a program in a network namespace, in a session of its own; resolves when it runs. A failing execve() rejects
   * with its errno, and clone() with EINVAL before Linux 5.2.
   */
  spawnChild(options: SpawnOptions): Promise<NativeChild>
  /** A process that runs already (pidfd_open): throws ESRCH where there is none. */
  openProcess(pid: number): NativeChild
  /** Opens and locks a file (flock), made if it is missing, until the descriptor is closed: EAGAIN when it is locked. */
  lockFile(path: string): Promise<NativeDescriptors>

  /** Takes ownership of descriptors that something else opened. */
  adoptDescriptors(fds: number[]): NativeDescriptors
  /** @param counters over a SharedArrayBuffer, with the slots of {@link FRAME_COUNTER} */
  createFrameQueue(fd: number, vnetHeaderSize: number, counters: Float64Array): NativeFrameQueue
  /** Another descriptor of the same open file (F_DUPFD_CLOEXEC), for the caller to own. */
  duplicateDescriptor(fd: number): number
  /** A port of duplicates of a device's descriptors, one a queue. */
  openTapPort(fds: number[], options: TapPortOptions): NativePort
  /** @param callback told what happens to ports, with a negative errno */
  createForwarder(
    options: NativeForwarderOptions,
    callback: (port: number, event: 'up' | 'down' | 'gone' | 'mirrored', errno: number) => void
  ): NativeForwarder
  createPoller(fd: number, callback: (error: number, events: number) => void): NativePoller

  /**
   * Computes the checksums that virtio-net headers leave to the receiver (VIRTIO_NET_HDR_F_NEEDS_CSUM), in place: how
   * many. Left alone are super-frames, and headers that point outside of their frame.
   */
  completeChecksums(
    bytes: Uint8Array,
    offsets: Uint32Array,
    lengths: Uint32Array,
    vnetHeader: number,
    from: number,
    to: number
  ): number
  /**
   * Copies the first `frames` frames of a batch behind those of another, as frames that a receiver takes: super-frames are
   * split, checksums completed. Goes on where `progress` says until the other is full: how many frames that has now.
   *
   * @param progress frames that are done, segments of the next one that are done, frames that were left out
   * @param layer 0 for Ethernet frames, 1 for IP packets
   * @param receiver bits of {@link RECEIVER}
   */
  segmentFrames: NativeFrameCopy
  /** The same for merging: segments of a flow become super-frames. No frame is done in part. */
  mergeFrames: NativeFrameCopy

  /** Non-blocking, close-on-exec Unix stream sockets. */
  unixConnect(path: string): number
  unixListen(path: string): number
  /** A connection, or -EAGAIN. */
  unixAccept(fd: number): number
  /** @param type 1 SOCK_STREAM, 2 SOCK_DGRAM, 5 SOCK_SEQPACKET */
  unixPair(type: number): [number, number]
  /** `sendmsg` with SCM_RIGHTS: bytes sent, or -EAGAIN. Descriptors go along with at least one byte. */
  unixSend(fd: number, data: Uint8Array, fds: number[]): number
  /** `recvmsg`: null when nothing is there yet. Zero bytes without descriptors is the end of the stream. */
  unixReceive(fd: number, data: Uint8Array): { bytes: number; fds: number[]; truncated: boolean } | null

  /** Counters of this environment, for tests and for leak hunting. */
  statistics(): { threads: number; sockets: number; descriptors: number; pending: number }
}

/** A native file for this platform: a bundled prebuild, or what `node-gyp` built. */
function nativeFile(prebuild: (libc: string) => string, built: string): string {
  const root = new URL('../', import.meta.url)
  // The report lists every network interface unless told not to, and there may be thousands.
  const report = process.report as typeof process.report & { excludeNetwork?: boolean }
  const excluded = report.excludeNetwork
  report.excludeNetwork = true
  const { header } = process.report.getReport() as unknown as { header: { glibcVersionRuntime?: string } }
  if (excluded !== undefined) report.excludeNetwork = excluded
  const libc = header.glibcVersionRuntime ? 'glibc' : 'musl'
  const candidates = [
    `prebuilds/${process.platform}-${process.arch}/${prebuild(libc)}`,
    `build/Release/${built}`,
    `build/Debug/${built}`
  ]
  for (const candidate of candidates) {
    const path = fileURLToPath(new URL(candidate, root))
    if (existsSync(path)) return path
  }
  throw Object.assign(
    new Error(
      `linkwright has no binary for ${process.platform}-${process.arch} (${libc}); ` +
        'build it with: npx node-gyp rebuild -C node_modules/linkwright'
    ),
    { code: 'ERR_LINKWRIGHT_NO_BINARY' }
  )
}

/** The executable that puts a host's network back: native/guard/. */
export function guardExecutable(): string {
  return nativeFile(libc => `linkwright-guard.${libc}`, 'linkwright-guard')
}

function load(): Addon {
  if (process.platform !== 'linux') {
    throw Object.assign(new Error(`linkwright needs Linux, this is ${process.platform}`), {
      code: 'ERR_LINKWRIGHT_PLATFORM'
    })
  }
  return createRequire(import.meta.url)(nativeFile(libc => `linkwright.${libc}.node`, 'linkwright.node')) as Addon
}

let loaded: Addon | undefined

/** The addon, loaded at the first use, so that importing the package works on every platform. */
export function addon(): Addon {
  loaded ??= load()
  return loaded
}
