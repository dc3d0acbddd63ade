/** Descriptors of macvtap (and ipvtap) links, right in any namespace. */
import { addon, type MacvtapOpened, type MacvtapOpenOptions } from '../addon.js'
import { invalidArgument, LinkwrightError, nativeError } from '../errors.js'
import type { FrameSource } from '../frames/queue.js'
import { watchDeletion } from '../link/deletion.js'
import type { Link, LinkRef } from '../link/link.js'
import { Netlink } from '../link/netlink.js'
import { type NetnsRef, withNetns } from '../netns.js'
import {
  anything,
  type Check,
  checkOptions,
  identity,
  mode,
  netlink,
  object,
  onePlace,
  signal as signalCheck
} from './checks.js'
import { resolveOffloads } from './offload-presets.js'
import { type OpenManyOptions, openMany, type Source } from './open-many.js'
import { type Place, placeOf } from './place.js'
import { QueueDevice } from './queue-device.js'
import { checkHeader, QUEUE_CHECKS, type QueueOptions, queueIoctls, vnetFlag } from './queue-options.js'
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

/** A link to open, and how. */
export interface MacvtapSpec extends MacvtapOptions {
  link: LinkRef | Link
}

/** As much as the kernel allows: less makes writes fail with EAGAIN although nothing is wrong. */
const SNDBUF = 0x7fffffff

const NODE_CHECKS = { uid: identity, gid: identity, mode }
const CHECKS: Record<keyof MacvtapOptions, Check> = {
  ...QUEUE_CHECKS,
  netns: anything,
  net: netlink,
  node: (value, path) => {
    object(value, path)
    checkOptions(value as object, NODE_CHECKS, path)
  },
  signal: signalCheck
}

/** An open macvtap link. Closing it leaves the link, which is deleted by `net.links.delete()`. */
export class Macvtap extends QueueDevice {
  /** Number of the character device, as `/dev/tapN` ought to have it. */
  readonly major: number
  readonly minor: number
  /** Path of the link's node, or '' where `/dev/tapN` is missing or another namespace's. */
  readonly node: string

  readonly #place: Place

  private constructor(
    descriptors: QueueDevice['descriptors'],
    link: { name: string; index: number },
    device: { major: number; minor: number; node: string; vnetHeaderSize: number },
    place: Place
  ) {
    super(descriptors, link.name, link.index, device.vnetHeaderSize)
    this.#place = place
    this.major = device.major
    this.minor = device.minor
    this.node = device.node
  }

  /**
   * Opens a macvtap link. `/dev/tapN` is named after the ifindex and shared by all namespaces, so it may be another
   * guest's: the device number is taken from the link's own namespace and compared, a private node is made where needed,
   * and name and MAC address are checked on the open descriptor. Needs no udev.
   *
   * @param link the link, or its name or ifindex. The ifindex finds it; a link must still have the same name and address
   * @throws LinkwrightError `ENODEV` (none, or not the link that `link` was), `EBUSY` (256 queues are open), `EPERM` with
   * syscall `mknod` (a private node is needed and may not be made), `ERR_UNSUPPORTED` (`node` settings without a node)
   */
  static async open(link: LinkRef | Link, options: MacvtapOptions = {}): Promise<Macvtap> {
    checkOptions(options, CHECKS)
    onePlace(options)
    const { netns, net, node = {}, signal, queues = 1 } = options
    checkHeader(options)
    const flags = IFF.TAP | IFF.NO_PI | vnetFlag(options.vnetHeader) | (queues > 1 ? IFF.MULTI_QUEUE : 0)
    const { uid = -1, gid = -1, mode = -1 } = node
    signal?.throwIfAborted()
    // Before anything is waited for: what names the namespace may mean another one afterwards.
    const place = await placeOf(netns, net)
    let descriptors: MacvtapOpened['descriptors'] | undefined
    try {
      const ioctls = queueIoctls({ ...(await resolveOffloads(options)), sndbuf: options.sndbuf ?? SNDBUF })
      const found = await findMacvtap(link, place.netns, net, signal)
      const opening = { ...found, flags, queues, ioctls, uid, gid, mode }
      const opened = await openNative(opening, place.netns)
      descriptors = opened.descriptors
      const [fd = -1] = descriptors.fds
      const vnetHeaderSize = options.vnetHeader ? await addon().tunIoctl(fd, 'TUNGETVNETHDRSZ', 0) : 0
      signal?.throwIfAborted()
      if (opened.node === '' && Math.max(uid, gid, mode) >= 0) throw noNode(found)
      return new Macvtap(descriptors, found, { ...opened, vnetHeaderSize }, place)
    } catch (error) {
      await Promise.all([descriptors?.close(), place.held?.close()])
      throw nativeError(error)
    }
  }

  /**
   * Opens many macvtap links, as `createMany` made them. Each has a result of its own, as of `Promise.allSettled`; with
   * `onError: 'undo'` the first failure stops it all and closes those that are open (the links stay).
   */
  static async openMany(
    specs: Source<MacvtapSpec>,
    options: OpenManyOptions = {}
  ): Promise<PromiseSettledResult<Macvtap>[]> {
    // One socket for all of the process's own namespace; a row of other namespaces brings its own.
    using net = await Netlink.open()
    const open = ({ link, ...own }: MacvtapSpec) =>
      Macvtap.open(link, own.net || own.netns !== undefined ? own : { ...own, net })
    return await openMany(
      specs,
      options,
      chunk => Promise.allSettled(chunk.map(open)),
      devices => Macvtap.closeMany(devices)
    )
  }

  /** Closes many, several at a time: each costs the kernel 10 to 20 ms, also when its link is gone. */
  static async closeMany(devices: Iterable<Macvtap>): Promise<void> {
    await Promise.all(Array.from(devices, device => device.close()))
  }

  /** @internal */
  override get place(): Place {
    return this.#place
  }

  override release(): number[] {
    const fds = super.release()
    void this.#place.held?.close()
    return fds
  }

  override async closeAfter(before: Promise<unknown> | undefined): Promise<void> {
    await super.closeAfter(before)
    await this.#place.held?.close()
  }

  /** The descriptor of a deleted link looks like that of an idle one. */
  protected override frameSource(): FrameSource {
    const { name, layer, index } = this
    const check = checkOf(new WeakRef(this))
    return { name, layer, watch: gone => watchDeletion(index, this.#place.netns, check, gone) }
  }
}

/** A watch must not keep a device that nobody holds any more; its frames do, as long as they are in use. */
function checkOf(device: WeakRef<Macvtap>): () => Promise<unknown> {
  return async () => device.deref()?.describe()
}

async function openNative(
  opening: Omit<MacvtapOpenOptions, 'netns'>,
  netns: NetnsRef | undefined
): Promise<MacvtapOpened> {
  try {
    return await withNetns(netns, fd => addon().openMacvtap({ ...opening, netns: fd }))
  } catch (error) {
    throw nativeError(error, { link: opening.name, diagnosis: diagnoseOpen(error) })
  }
}

function noNode({ name, index }: { name: string; index: number }): LinkwrightError {
  return new LinkwrightError(
    `/dev/tap${index} is missing or another namespace’s: there is no node of ${name} to set owner and mode of`,
    { code: 'ERR_UNSUPPORTED', link: name, path: 'node' }
  )
}

async function findMacvtap(
  ref: LinkRef | Link,
  netns: NetnsRef | undefined,
  given: Netlink | undefined,
  signal: AbortSignal | undefined
): Promise<{ name: string; index: number; address: Uint8Array }> {
  const net = given ?? (await Netlink.open({ netns }))
  try {
    const link = await net.links.get(ref, { signal })
    if (link.kind !== 'macvtap' && link.kind !== 'ipvtap') {
      throw invalidArgument('link', 'a macvtap link', `${link.name} (${link.kind ?? 'a device'})`)
    }
    const { name, index, address } = link
    if (name === undefined || address === undefined) {
      throw new LinkwrightError(`no name or address of link ${index}`, { code: 'ERR_UNEXPECTED_REPLY', link: index })
    }
    assertSame(ref, link)
    return { name, index, address: Uint8Array.from(address.split(':'), byte => Number.parseInt(byte, 16)) }
  } finally {
    if (net !== given) net.close()
  }
}

/** Ifindexes repeat across namespaces: one that was taken from another namespace is another guest's here. */
function assertSame(ref: LinkRef | Link, found: Link): void {
  if (typeof ref !== 'object') return
  const { name = found.name, address = found.address } = ref as Partial<Link>
  if (name === found.name && address === found.address) return
  throw new LinkwrightError(
    `link ${found.index} is ${found.name} (${found.address}) here, not ${name} (${address}): ` +
      'it was changed since, or is a link of another namespace',
    { code: 'ENODEV', link: found.index }
  )
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
