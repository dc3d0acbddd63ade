/** What the addon offers of TUN, TAP and macvtap devices. */
import type { NativeDescriptors } from './descriptors.js'

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
  /** Whether IPv6 is switched off on the device (`disable_ipv6`) before it can come up. */
  disableIpv6: boolean
  /** ioctls to run on every queue, in order, as pairs of a {@link TunIoctl} and its argument; all or nothing. */
  ioctls: [TunIoctl, number][]
  /** One whole RTM_SETLINK for the device, sent with its ifindex filled in when it is one of many. */
  link?: Uint8Array | undefined
}

export interface TunOpened {
  descriptors: NativeDescriptors
  /** As the kernel resolved it. */
  name: string
  index: number
  /** `IFF_*` as TUNGETIFF reports them. */
  flags: number
  /** Bytes of struct virtio_net_hdr before each frame; 0 without. */
  vnetHeaderSize: number
  /** What `link` was answered with: 0, a negative errno, or 1 where it was not sent. */
  linkStatus: number
}

export interface TunPlace {
  name: string
  /** `IFF_*` as TUNGETIFF reports them. */
  flags: number
  /** Whether it is in the namespace that was asked for. */
  here: boolean
}

export interface MacvtapLink {
  /** Descriptor of the namespace that the link is in, or -1 for that of the process. Not kept. */
  netns: number
  name: string
  index: number
  /** The link's hardware address (6 bytes), compared with what the opened device says. */
  address: Uint8Array
}

/** Device numbers as sysfs writes them, `246:3`. */
export interface MacvtapNumbers {
  /** That of the link. */
  link: string
  /** That of `/dev/tapN`; '' without such a node. */
  node: string
}

export interface MacvtapOpenOptions extends MacvtapLink {
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

/** Links of one namespace whose holders are asked for. */
export interface HolderQuery {
  /** TUNs and TAPs. */
  names: string[]
  macvtaps: { name: string; index: number; address: Uint8Array }[]
  /** Descriptors of this process that do not count. */
  excluded: number[]
}

export interface HolderScan {
  processes: { pid: number; command: string }[]
  /** Pairs: which link (position among the names, and behind them the macvtaps), which of the processes. */
  holdings: Uint32Array
  /** Macvtaps (by the same positions) whose device number is not to be had, so that nobody is known to hold them. */
  unknown: Uint32Array
  /** Descriptors of whatever kind that wait in messages for somebody to receive them (SCM_RIGHTS; 0 before Linux 5.10). */
  inFlight: number
  /** Some process could not be looked at. */
  incomplete: boolean
}
