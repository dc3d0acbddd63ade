/**
 * The one door to native code: loads the addon and says what it offers.
 *
 * Whatever may block in the kernel runs on the addon's own threads and answers by a promise; the few synchronous
 * functions never block. A failing system call rejects (or throws) an Error with `code`, negative `errno` and `syscall`.
 */
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

/** What a batch of requests came back with. */
export interface Exchange {
  /** Sequence number of the first request; request `i` was sent with `firstSequence + i` (modulo 2^32). */
  firstSequence: number
  /** Per request: 0, a negative errno, or {@link NOT_SENT}. */
  status: Int32Array
  /**
   * Whole netlink messages, back to back, each padded to 4 bytes: data and echo replies, error messages, and
   * acknowledgements that carry extended-ACK attributes. Plain acknowledgements and the end of a dump are left out, unless
   * that NLMSG_DONE carries an error or extended-ACK attributes. No message crosses two buffers.
   */
  replies: ArrayBuffer[]
  /** A dump only: the kernel flagged it as inconsistent (NLM_F_DUMP_INTR). */
  interrupted: boolean
  /** A dump that was asked for an index only: a row a message, as `INDEX_ROW` says. */
  index?: Uint16Array
}

/** Status of a request that never left this process, because its exchange was cancelled or failed first. */
export const NOT_SENT = 1

export interface PendingExchange {
  id: number
  result: Promise<Exchange>
}

/** A netlink socket for requests. The kernel is spoken to on the engine's threads, one exchange at a time per socket. */
export interface NativeNetlinkSocket {
  /** Address that the kernel gave to the socket (`nl_pid`). */
  readonly portId: number
  /** Capacity of the receive buffer in bytes, as the kernel accounts it (SO_RCVBUF). */
  readonly receiveBuffer: number
  /**
   * Sends whole requests laid back to back (each padded to 4 bytes) and collects all answers. The sequence numbers, port
   * id and NLM_F_ACK are filled in by the engine. Requests that wait for the same socket share `sendmsg` calls.
   * Only the last message of a round is acknowledged, so a warning (extended-ACK attributes of a success) is only kept
   * for that one. Requests for a dump are not supported here: they are for `dump`. What the kernel leaves without any
   * answer has -EBADMSG as its status; after a loss (-ENOBUFS) the socket sends less at once, so asking again helps.
   *
   * @param atomic all in one `sendmsg`, never split nor joined with others (an nf_tables transaction)
   * @param keepAlive whether the pending exchange keeps the process alive
   */
  exchange(requests: Uint8Array, atomic: boolean, keepAlive: boolean): PendingExchange
  /**
   * Sends one request with NLM_F_REQUEST and NLM_F_DUMP set by the caller (refused without), and collects until
   * NLMSG_DONE; its error is in `status[0]`, -EBADMSG where the kernel falls silent before that.
   *
   * @param attributesAt where the attributes of each message begin, for an index of them; 0 for none
   */
  dump(request: Uint8Array, keepAlive: boolean, attributesAt: number): PendingExchange
  /**
   * Gives an exchange up: what was not sent stays unsent, what was sent is answered by the kernel and dropped. Its promise
   * resolves at once with what is known so far (unsent: NOT_SENT; sent and not yet answered: -ECANCELED).
   */
  cancel(id: number): void
  /** Idempotent. Pending exchanges are cancelled; the descriptor is closed when the engine has let go of it. */
  close(): void
}

/** Descriptors with an owner: closed off the JavaScript thread when it is closed, collected, or its environment ends. */
export interface NativeDescriptors {
  /** Empty once closed or released. */
  readonly fds: number[]
  /** Closes all on an engine thread (closing a TAP may take 100 ms in the kernel). Idempotent. */
  close(): Promise<void>
  /** Closes one of them likewise; the others stay. */
  closeOne(fd: number): Promise<void>
  /** Takes over more descriptors. */
  adopt(fds: number[]): void
  /** Gives them up: the caller closes them. */
  release(): number[]
}

/** Watches a descriptor on this environment's event loop (`uv_poll`). The descriptor stays the caller's. */
export interface NativePoller {
  /** @param events 1 readable, 2 writable, 3 both, 0 none */
  poll(events: number): void
  ref(): void
  unref(): void
  /** Must be called before the descriptor is closed. Idempotent. */
  close(): void
}

/** Slots of the counters that a {@link NativeFrameQueue} adds to. */
export const FRAME_COUNTER = {
  rxFrames: 0,
  rxBytes: 1,
  rxTruncated: 2,
  rxMalformed: 3,
  txFrames: 4,
  txBytes: 5,
  txRefused: 6,
  /** Not a counter: the errno of the last write that failed. */
  errno: 7
} as const

/** What a program can decide of a frame besides the number of a port; what a port refused is marked. */
export const VERDICT = { drop: -1, flood: -2, refused: -3 } as const

/**
 * Many frames in one call, on the JavaScript thread and without blocking; the descriptor stays the caller's. A batch is its
 * bytes, where each frame begins and how long it is; a virtio-net header of `vnetHeader` bytes lies right before each frame.
 */
export interface NativeFrameQueue {
  /**
   * Reads until the batch is full or nothing is there: the number of frames, or a negative errno.
   *
   * @param headroom bytes left free before each frame and its header
   * @param room longest frame that is kept, in bytes; longer ones are counted and dropped
   * @param spin nanoseconds to ask again for when nothing is there
   */
  read(
    bytes: Uint8Array,
    offsets: Uint32Array,
    lengths: Uint32Array,
    vnetHeader: number,
    headroom: number,
    room: number,
    spin: number
  ): number
  /** Writes frames in order: how many, and if not all, why in the counters. */
  write(
    bytes: Uint8Array,
    offsets: Uint32Array,
    lengths: Uint32Array,
    vnetHeader: number,
    from: number,
    to: number
  ): number
  /** Moves each frame as its verdict says ({@link VERDICT}): how many writes there were. */
  forward(
    bytes: Uint8Array,
    offsets: Uint32Array,
    lengths: Uint32Array,
    vnetHeader: number,
    count: number,
    verdicts: Int32Array,
    ports: NativeFrameQueue[]
  ): number
  /** Forgets the descriptor: what is asked for from now on answers EBADF. */
  close(): void
}

/** What a receiver takes besides finished frames; USO in both families. */
export const RECEIVER = { csum: 1, tso4: 2, tso6: 4, uso: 8 } as const

/** Frames from one batch into another: see {@link Addon.segmentFrames}. */
export type NativeFrameCopy = (
  bytes: Uint8Array,
  offsets: Uint32Array,
  lengths: Uint32Array,
  vnetHeader: number,
  frames: number,
  progress: Uint32Array,
  layer: 0 | 1,
  receiver: number,
  intoBytes: Uint8Array,
  intoOffsets: Uint32Array,
  intoLengths: Uint32Array,
  intoVnetHeader: number,
  intoHeadroom: number,
  intoFrames: number
) => number

/** Where frames come from and go to, for a {@link NativeForwarder}: a device's queues, a socket. */
export interface NativePort {
  /** `undefined` once closed. */
  readonly layer: 'ethernet' | 'ip' | undefined
  /** Queues that are read, each by a thread; 0 once closed. */
  readonly queues: number
  /** 0, or the negative errno of why it will never work again, where reading and writing do not tell. */
  check(): Promise<number>
  /** Lets go of it; a forwarder that uses it goes on until the port is removed there. Idempotent. */
  close(): Promise<void>
}

/** Slots of what {@link Addon.socketPortFaults} writes. */
export const SOCKET_PORT_FAULT = { malformed: 0, foreign: 1, tooLong: 2, unsegmented: 3, kernelDrops: 4 } as const

/** A tunnel's socket. An empty local address is any of the remote's family, port 0 one of the kernel's choice. */
export interface UdpPortOpenOptions {
  /** Descriptor of the namespace, or -1 for that of the process. Not kept. */
  netns: number
  local: { address: string; port: number }
  remote: { address: string; port: number }
  /** Whether datagrams above the path's MTU are sent in fragments, instead of not at all. */
  fragment: boolean
  /** SO_REUSEPORT */
  reusePort: boolean
  /** Bytes; 0 leaves the kernel's. */
  sendBuffer: number
  receiveBuffer: number
}

export interface VxlanPortOpenOptions extends UdpPortOpenOptions {
  /** 24 bits. */
  vni: number
  /** Bytes of IP packets in the tunnel; 0 for what the path's MTU leaves. */
  mtu: number
}

export interface TunnelOpened {
  port: NativePort
  localAddress: string
  localPort: number
  /** Bytes that the path's MTU leaves to IP packets in the tunnel, or those that were asked for. */
  mtu: number
}

export interface PacketPortOpenOptions {
  netns: number
  /** The link's name, or its ifindex where that is not 0. */
  name: string
  index: number
  promiscuous: boolean
  qdiscBypass: boolean
  /** Whether super-frames and missing checksums are taken, and whether USO is among them. */
  offload: boolean
  uso: boolean
  sendBuffer: number
  receiveBuffer: number
}

/** How a port of a {@link NativeForwarder} is set, which can be changed while frames go through it. */
export interface NativePortSettings {
  /** Nothing is read from it, and nothing is sent to it. */
  paused: boolean
  /** Isolated ports do not talk to each other. */
  isolated: boolean
  learning: boolean
  /** Which frames without a known destination it gets: 1 unknown, 2 multicast, 4 broadcast; their sum. */
  flood: number
  /** Most frames a second that are flooded from here; 0 for any number. */
  stormLimit: number
}

export interface NativeForwarderOptions {
  /** A learning switch, or a pipe between two ports. */
  switching: boolean
  /** What its threads are called. */
  name: string
  /** Most threads, from 1 to 1024. */
  threads: number
  /** Microseconds to go on asking for frames after the last one. */
  busyPoll: number
  /** Microseconds that a port without room is waited for. */
  patience: number
  /** Whether segments are merged for ports that take super-frames. */
  merge: boolean
  /** Addresses that a switch remembers. */
  entries: number
  /** Seconds after which it forgets a station that is silent. */
  ageing: number
}

/** Moves frames between ports on threads of its own. Ports are known by ids from 1, which are never used again. */
/** What a {@link NativeForwarder} keeps of what goes through a port, at most (native/forward/mirror.h). */
export const MIRROR = { frames: 1024, bytes: 1_048_576 } as const

export interface NativeForwarder {
  /**
   * Takes a port into use, one forwarder at a time.
   *
   * @param counters over a SharedArrayBuffer, as lib/forward/counters.ts lays it out
   */
  addPort(port: NativePort, counters: BigUint64Array, settings: NativePortSettings): number
  /** Begins to copy frames that go through a port, up to so many bytes of each, or ends that with 0. */
  setMirror(port: number, snapLength: number): void
  /**
   * Takes the copies that there are, into memory for {@link MIRROR}; their virtio-net headers lie before them. They are
   * announced by the event `mirrored`.
   *
   * @returns how many they are, and how many frames behind them found no room
   */
  takeMirrored(
    port: number,
    bytes: Uint8Array,
    offsets: Uint32Array,
    lengths: Uint32Array,
    originalLengths: Uint32Array,
    outbound: Uint8Array,
    timestamps: BigUint64Array
  ): [frames: number, lost: number]
  /** Changes ports, all at the same moment. */
  setPorts(ports: [port: number, settings: NativePortSettings][]): void
  /** Resolves when no thread uses the port any more. */
  removePort(port: number): Promise<void>
  /** Addresses, four numbers each: the address, its port (0: ours), whether it is fixed, seconds since it was heard. */
  table(): Float64Array
  /** Fixes an address to a port, or makes it ours with 0. False when there is no room or no such port. */
  fix(mac: number, port: number): boolean
  forget(mac: number): boolean
  /** Forgets what was learned of a port, or of all with 0. */
  flush(port: number): void
  setAgeing(seconds: number): void
  ref(): void
  unref(): void
  /** Ends. What was read is sent; with `drain` (milliseconds) also what waits to be read, as far as time allows. */
  close(drain: number): Promise<void>
}

export interface TapPortOptions {
  /** Bytes of the virtio-net header before each frame; 0 for none. */
  vnetHeader: number
  /** Bare IP packets (TUN). */
  ip: boolean
  /** What may be written besides finished frames: bits of {@link RECEIVER}. */
  offloads: number
  /** Bytes of the longest frame that may be written. */
  largest: number
  /** The headers are of the other byte order than the machine. */
  swapped: boolean
}

export interface TunOpenOptions {
  /** Descriptor of the network namespace to create the device in, or -1 for that of the process. Not kept. */
  netns: number
  /** Name, or a pattern with `%d`; empty lets the kernel choose. */
  name: string
  /** `IFF_*` for TUNSETIFF (16 bits), without IFF_TUN_EXCL. */
  flags: number
  /** IFF_TUN_EXCL on the first queue: fail with EBUSY when the device exists. */
  exclusive: boolean
  queues: number
  /** Ifindex that a new device shall get (TUNSETIFINDEX), or 0. */
  index: number
  /** Whether IPv6 is switched off on the device (`disable_ipv6`) before anything else happens to it. */
  disableIpv6: boolean
  /** ioctls to run on every queue, in order, as pairs of a {@link TunIoctl} and its argument; all or nothing. */
  ioctls: [TunIoctl, number][]
}

export interface TunOpened {
  descriptors: NativeDescriptors
  /** As the kernel resolved it. */
  name: string
  index: number
  /** `IFF_*` as TUNGETIFF reports them. */
  flags: number
}

export interface MacvtapOpenOptions {
  /** Descriptor of the namespace that the link is in, or -1 for that of the process. Not kept. */
  netns: number
  name: string
  index: number
  /** The link's hardware address (6 bytes), compared with what the opened device says. */
  address: Uint8Array
  flags: number
  queues: number
  ioctls: [TunIoctl, number][]
  /** Owner, group and mode for `/dev/tapN` if that node is this link's; -1 leaves each as it is. */
  uid: number
  gid: number
  mode: number
}

export interface MacvtapOpened {
  descriptors: NativeDescriptors
  /** Device number of the character device. */
  major: number
  minor: number
  /** Path of the public node if it is this link's, or '' when a private one had to be made. */
  node: string
}

/** ioctls of a TUN, TAP or macvtap descriptor, by the names of linux/if_tun.h and linux/sockios.h. */
export type TunIoctl =
  | 'TUNSETOFFLOAD'
  | 'TUNSETVNETHDRSZ'
  | 'TUNGETVNETHDRSZ'
  | 'TUNSETVNETLE'
  | 'TUNGETVNETLE'
  | 'TUNSETVNETBE'
  | 'TUNGETVNETBE'
  | 'TUNSETSNDBUF'
  | 'TUNGETSNDBUF'
  | 'TUNSETPERSIST'
  | 'TUNSETOWNER'
  | 'TUNSETGROUP'
  | 'TUNSETLINK'
  | 'TUNSETCARRIER'
  | 'TUNSETQUEUE'
  | 'TUNSETSTEERINGEBPF'
  | 'TUNSETFILTEREBPF'
  | 'TUNDETACHFILTER'
  | 'TUNGETFEATURES'

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
   */
  openNetlinkListener(
    protocol: number,
    netns: number,
    receiveBuffer: number,
    groups: number[]
  ): Promise<NativeDescriptors>
  /**
   * Reads notifications without blocking into `slab` until it has no 64 KiB left or nothing is queued: the bytes written
   * (whole messages from the kernel, back to back), 0 when there is nothing, or a negative errno: -ENOBUFS after a loss,
   * -EMSGSIZE after a truncation.
   */
  readNotifications(fd: number, slab: Uint8Array): number
  /** The namespace that a netlink socket or, with null, the process lives in, as a new descriptor. */
  openNetns(socket: NativeNetlinkSocket | null): Promise<NativeDescriptors>

  /** All queues are on one device, or it rejects with ENODEV: it was renamed meanwhile, and the name another's. */
  openTun(options: TunOpenOptions): Promise<TunOpened>
  openMacvtap(options: MacvtapOpenOptions): Promise<MacvtapOpened>
  /** Runs an ioctl on an engine thread (they take the RTNL lock). Resolves with the value that a TUNGET* wrote, else 0. */
  tunIoctl(fd: number, ioctl: TunIoctl, value: number): Promise<number>
  /** TUNGETIFF: resolves with the name and `IFF_*` flags. */
  tunGetInterface(fd: number): Promise<{ name: string; flags: number }>
  /** TUNATTACHFILTER with a classic BPF program: 8 bytes per instruction (`struct sock_filter`). */
  tunAttachFilter(fd: number, program: Uint8Array): Promise<void>
  /** Reads or writes a file under /proc/sys/net as the namespace sees it; the path is relative to that, or whole. */
  readSysctl(netns: number, path: string): Promise<string>
  writeSysctl(netns: number, path: string, value: string): Promise<void>

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

/** The addon's file for this platform: a bundled prebuild, or what `node-gyp` built. */
function addonPath(): string {
  const root = new URL('../', import.meta.url)
  // The report lists every network interface unless told not to, and there may be thousands.
  const report = process.report as typeof process.report & { excludeNetwork?: boolean }
  const excluded = report.excludeNetwork
  report.excludeNetwork = true
  const { header } = process.report.getReport() as unknown as { header: { glibcVersionRuntime?: string } }
  if (excluded !== undefined) report.excludeNetwork = excluded
  const libc = header.glibcVersionRuntime ? 'glibc' : 'musl'
  const candidates = [
    `prebuilds/${process.platform}-${process.arch}/linkwright.${libc}.node`,
    'build/Release/linkwright.node',
    'build/Debug/linkwright.node'
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

function load(): Addon {
  if (process.platform !== 'linux') {
    throw Object.assign(new Error(`linkwright needs Linux, this is ${process.platform}`), {
      code: 'ERR_LINKWRIGHT_PLATFORM'
    })
  }
  return createRequire(import.meta.url)(addonPath()) as Addon
}

let loaded: Addon | undefined

/** The addon, loaded at the first use, so that importing the package works on every platform. */
export function addon(): Addon {
  loaded ??= load()
  return loaded
}
