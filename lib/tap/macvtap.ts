/** Descriptors of macvtap (and ipvtap) links, right in any namespace. */
import { addon } from '../addon.js'
import { invalidArgument, LinkwrightError, nativeError } from '../errors.js'
import { Link, type LinkRef } from '../link/link.js'
import { Netlink } from '../link/netlink.js'
import { type NetnsRef, withNetns } from '../netns.js'
import { placeOf } from './place.js'
import { QueueDevice } from './queue-device.js'
import { checkQueues, type QueueOptions, queueIoctls, vnetFlag } from './queue-options.js'
import { IFF } from './tun-constants.js'

export interface MacvtapOptions extends QueueOptions {
  /** The namespace that the link is in. */
  netns?: NetnsRef | undefined
  /** An open Netlink of the same namespace, to save opening one. */
  net?: Netlink | undefined
  /** Owner, group and permissions for the link's `/dev/tapN`, for programs that open it by path. */
  node?: { uid?: number | undefined; gid?: number | undefined; mode?: number | undefined } | undefined
  signal?: AbortSignal | undefined
}

/** As much as the kernel allows: less makes writes fail with EAGAIN although nothing is wrong. */
const SNDBUF = 0x7fffffff
const OPTIONS: ReadonlySet<string> = new Set([
  'netns',
  'net',
  'queues',
  'vnetHeader',
  'offloads',
  'vnetEndian',
  'sndbuf',
  'node',
  'signal'
])

/** An open macvtap link. Closing it leaves the link, which is deleted by `net.links.delete()`. */
export class Macvtap extends QueueDevice {
  /** Number of the character device, as `/dev/tapN` ought to have it. */
  readonly major: number
  readonly minor: number
  /** Path of the link's node, or '' where `/dev/tapN` is missing or another namespace's. */
  readonly node: string

  private constructor(
    descriptors: QueueDevice['descriptors'],
    link: { name: string; index: number },
    device: { major: number; minor: number; node: string }
  ) {
    super(descriptors, link.name, link.index)
    this.major = device.major
    this.minor = device.minor
    this.node = device.node
  }

  /**
   * Opens a macvtap link. `/dev/tapN` is named after the ifindex and shared by all namespaces, so it may be another
   * guest's: the device number is taken from the link's own namespace and compared, a private node is made where needed,
   * and name and MAC address are checked on the open descriptor. Needs no udev.
   *
   * @param link the link, or its name or ifindex
   * @throws LinkwrightError `ENODEV`, `EBUSY` (256 queues are open), `EPERM` with syscall `mknod` (a private node is
   * needed and may not be made)
   */
  static async open(link: LinkRef | Link, options: MacvtapOptions = {}): Promise<Macvtap> {
    for (const key of Object.keys(options)) {
      if (!OPTIONS.has(key)) throw invalidArgument(key, `one of the options ${[...OPTIONS].join(', ')}`, key)
    }
    const { netns, net: given, node = {}, signal } = options
    if (netns !== undefined && given) {
      throw invalidArgument('netns', 'nothing beside net, whose namespace it is', netns)
    }
    signal?.throwIfAborted()
    const queues = checkQueues(options.queues ?? 1)
    const flags = IFF.TAP | IFF.NO_PI | vnetFlag(options.vnetHeader) | (queues > 1 ? IFF.MULTI_QUEUE : 0)
    const ioctls = queueIoctls({ sndbuf: SNDBUF, ...options })
    const found = await findMacvtap(link, netns, given, signal)
    const opening = {
      name: found.name,
      index: found.index,
      address: found.address,
      flags,
      queues,
      ioctls,
      uid: node.uid ?? -1,
      gid: node.gid ?? -1,
      mode: node.mode ?? -1
    }
    const place = await placeOf(netns, given)
    try {
      const opened = await withNetns(place.netns, fd => addon().openMacvtap({ ...opening, netns: fd }))
      return new Macvtap(opened.descriptors, found, opened)
    } catch (error) {
      throw nativeError(error, { link: found.name, diagnosis: diagnoseOpen(error) })
    } finally {
      await place.held?.close()
    }
  }
}

async function findMacvtap(
  ref: LinkRef | Link,
  netns: NetnsRef | undefined,
  given: Netlink | undefined,
  signal: AbortSignal | undefined
): Promise<{ name: string; index: number; address: Uint8Array }> {
  const net = given ?? (await Netlink.open({ netns }))
  try {
    const link = await net.links.get(ref instanceof Link ? ref.index : ref, { signal })
    if (link.kind !== 'macvtap' && link.kind !== 'ipvtap') {
      throw invalidArgument('link', 'a macvtap link', `${link.name} (${link.kind ?? 'a device'})`)
    }
    const { name, index, address } = link
    if (name === undefined || address === undefined) {
      throw new LinkwrightError(`no name or address of link ${index}`, { code: 'ERR_UNEXPECTED_REPLY', link: index })
    }
    return { name, index, address: Uint8Array.from(address.split(':'), byte => Number.parseInt(byte, 16)) }
  } finally {
    if (net !== given) net.close()
  }
}

function diagnoseOpen(error: unknown): string | undefined {
  const { code, syscall = '' } = error as { code?: string; syscall?: string }
  if (code === 'EBUSY') return 'all 256 queues of the link are open'
  if ((code === 'EPERM' || code === 'EACCES') && syscall.startsWith('mknod')) {
    return '/dev/tapN is missing or another namespace’s, and a private node takes CAP_MKNOD in the initial user namespace'
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return 'the node belongs to root; open it as root and hand the descriptor over, or set the owner of the node'
  }
  return undefined
}
