/** Options of TUN and TAP devices. */
import type { TunIoctl } from '../addon.js'
import { invalidArgument } from '../errors.js'
import type { LinkRef } from '../link/link.js'
import type { BridgePortSettings, LinkSettings } from '../link/link-options.js'
import { altnamesRequest, changeRequest } from '../link/link-requests.js'
import type { Netlink } from '../link/netlink.js'
import { withOwner } from '../link/owner.js'
import { plainRef, References } from '../link/references.js'
import type { NetnsRef } from '../netns.js'
import {
  anything,
  boolean,
  bpf,
  type Check,
  checkOptions,
  descriptor,
  identity,
  ifindex,
  names,
  netlink,
  object,
  onePlace,
  signal
} from './checks.js'
import { QUEUE_CHECKS, type QueueOptions } from './queue-options.js'

/** Settings of the link that go along with the opening. */
type OwnLinkSettings = Pick<
  LinkSettings,
  | 'address'
  | 'mtu'
  | 'txqlen'
  | 'alias'
  | 'group'
  | 'owner'
  | 'up'
  | 'promisc'
  | 'allmulti'
  | 'multicast'
  | 'gsoMaxSize'
  | 'gsoMaxSegs'
  | 'groMaxSize'
  | 'gsoIpv4MaxSize'
  | 'groIpv4MaxSize'
>

export interface TunOptions extends QueueOptions, OwnLinkSettings {
  /** Name, or a pattern: `vnet%d` takes the first free number. Left out, the kernel chooses (`tap0`, `tun0`). */
  name?: string | undefined
  /** The ifindex to have. */
  index?: number | undefined
  /** The namespace to make the device in. */
  netns?: NetnsRef | undefined
  /** An open Netlink of the same namespace, to save opening one. */
  net?: Netlink | undefined
  /** IFF_MULTI_QUEUE: further queues can be opened. On by default when `queues` is above 1; a guest with one queue is
   * better off without (Firecracker refuses it). */
  multiQueue?: boolean | undefined
  /** The device outlives its descriptors; it is made so as the last step. */
  persist?: boolean | undefined
  /** User and group who may attach to a persistent device without CAP_NET_ADMIN (TUNSETOWNER, TUNSETGROUP). */
  uid?: number | undefined
  gid?: number | undefined
  /**
   * Fail with `EBUSY` if the device exists. On by default; `false` attaches to a persistent one, which is put back to
   * what it was if that fails, except for offloads, filters, programs and an owner where it had none: the kernel does
   * not tell the former and cannot take back the latter.
   */
  exclusive?: boolean | undefined
  /** `false` keeps the carrier off until {@link TunDevice.setCarrier}. */
  carrier?: boolean | undefined
  /** Frames that are written go through NAPI and GRO: pays for TCP streams into the host's own stack. */
  napi?: boolean | undefined
  /** Frames in fragments (IFF_NAPI_FRAGS): a testing aid of the kernel's, TAP only, with `napi`. */
  napiFrags?: boolean | undefined
  /** Classic BPF program (`struct sock_filter`, 8 bytes each) that chooses what reaches the descriptors; TAP only. */
  filter?: Uint8Array | undefined
  /** Descriptor of an eBPF program that chooses the queue, and one that drops (TUNSETSTEERINGEBPF, TUNSETFILTEREBPF). */
  steeringProgram?: number | undefined
  filterProgram?: number | undefined
  /** Whether the host's side speaks IPv6. Off by default on ports (with `master`), which should have no address. */
  ipv6?: boolean | undefined
  /** The bridge that the device becomes a port of; not for TUN. */
  master?: LinkRef | undefined
  /** Settings as a port of the bridge, in force before the link comes up. */
  port?: BridgePortSettings | undefined
  altnames?: string[] | undefined
  signal?: AbortSignal | undefined
}

const LINK_SETTINGS = [
  'address',
  'mtu',
  'txqlen',
  'alias',
  'group',
  'owner',
  'up',
  'promisc',
  'allmulti',
  'multicast',
  'gsoMaxSize',
  'gsoMaxSegs',
  'groMaxSize',
  'gsoIpv4MaxSize',
  'groIpv4MaxSize',
  'master',
  'port'
] as const satisfies (keyof TunOptions)[]

type LinkSetting = (typeof LINK_SETTINGS)[number]

const CHECKS: Record<keyof TunOptions, Check> = {
  // By the encoder, when all of them are together.
  ...(Object.fromEntries(LINK_SETTINGS.map(key => [key, anything])) as Record<LinkSetting, Check>),
  master: (value, path) => plainRef(value as LinkRef, path),
  port: object,
  ...QUEUE_CHECKS,
  name: checkName,
  index: ifindex,
  netns: anything,
  net: netlink,
  multiQueue: boolean,
  persist: boolean,
  uid: identity,
  gid: identity,
  exclusive: boolean,
  carrier: boolean,
  napi: boolean,
  napiFrags: boolean,
  filter: bpf,
  steeringProgram: descriptor,
  filterProgram: descriptor,
  ipv6: boolean,
  altnames: names,
  signal
}

function checkName(name: unknown): void {
  if (typeof name !== 'string' || name === '' || Buffer.byteLength(name) > 15 || /[\s/:]/.test(name)) {
    throw invalidArgument('name', 'a link name of 1 to 15 bytes, possibly with %d', name)
  }
  if ((name.match(/%/g)?.length ?? 0) > (name.includes('%d') ? 1 : 0)) {
    throw invalidArgument('name', 'a link name with at most one %d', name)
  }
}

/** Refuses whatever can be known to be wrong, so that it never costs a device. */
export function checkTunOptions(type: 'tun' | 'tap', options: TunOptions): void {
  checkOptions(options, CHECKS)
  if (type === 'tun' && (options.master !== undefined || options.port)) {
    throw invalidArgument('master', 'nothing (a TUN carries no Ethernet frames and cannot be a port)', options.master)
  }
  if (options.napiFrags && !(type === 'tap' && options.napi)) {
    throw invalidArgument('napiFrags', 'false (fragments are for TAP, and need napi)', true)
  }
  if (options.port && options.master === undefined) {
    throw invalidArgument('master', 'the bridge that the port settings are for', options.master)
  }
  const { queues = 1, multiQueue = queues > 1 } = options
  if (queues > 1 && !multiQueue) throw invalidArgument('multiQueue', 'true (more than one queue needs it)', false)
  onePlace(options)
  if (options.altnames?.length) altnamesRequest('RTM_NEWLINKPROP', 1, options.altnames)
}

/** Throws for settings of the link that cannot be encoded. */
export function checkLinkSettings(options: TunOptions): void {
  for (const changes of linkChanges(options)) changeRequest(1, References.dry.resolve(changes))
}

/** The link's settings that are given. */
export function linkSettings(options: TunOptions): Record<string, unknown> {
  const given = LINK_SETTINGS.filter(key => options[key] !== undefined)
  return withOwner(Object.fromEntries(given.map(key => [key, options[key]])))
}

/** The same as one change, or two: a port's settings cannot go along with its master, and precede the frames. */
export function linkChanges(options: TunOptions): Record<string, unknown>[] {
  const settings = linkSettings(options)
  const { port, up, ...first } = settings
  const changes = port ? [first, { port, ...(up === undefined ? {} : { up }) }] : [settings]
  return changes.filter(change => Object.keys(change).length > 0)
}

export function deviceIoctls(options: TunOptions): [TunIoctl, number][] {
  const ioctls: [TunIoctl, number][] = []
  // Kernels that do not know IFF_NO_CARRIER ignore it.
  if (options.carrier === false) ioctls.push(['TUNSETCARRIER', 0])
  if (options.steeringProgram !== undefined) ioctls.push(['TUNSETSTEERINGEBPF', options.steeringProgram])
  if (options.filterProgram !== undefined) ioctls.push(['TUNSETFILTEREBPF', options.filterProgram])
  return ioctls
}

export function ownerIoctls({ uid, gid }: Pick<TunOptions, 'uid' | 'gid'>): [TunIoctl, number][] {
  const ioctls: [TunIoctl, number][] = []
  if (uid !== undefined) ioctls.push(['TUNSETOWNER', uid])
  if (gid !== undefined) ioctls.push(['TUNSETGROUP', gid])
  return ioctls
}
