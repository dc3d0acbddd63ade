/** What the addon offers of native forwarding. */

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

/** What a {@link NativeForwarder} keeps of what goes through a port, at most (native/forward/mirror.h). */
export const MIRROR = { frames: 1024, bytes: 1_048_576 } as const

/** Moves frames between ports on threads of its own. Ports are known by ids from 1, which are never used again. */
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
