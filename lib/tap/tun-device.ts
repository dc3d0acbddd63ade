/** TUN and TAP devices: /dev/net/tun, see Documentation/networking/tuntap.rst. */
import { addon, type NativeDescriptors, type TunIoctl } from '../addon.js'
import { LinkwrightError, nativeError } from '../errors.js'
import type { Link } from '../link/link.js'
import { Netlink } from '../link/netlink.js'
import { type NetnsRef, withNetns } from '../netns.js'
import * as check from './checks.js'
import { diagnoseTun } from './diagnosis.js'
import { resolveOffloads } from './offload-presets.js'
import { type Place, placeOf } from './place.js'
import { QueueDevice } from './queue-device.js'
import { checkHeader, checkQueues, QUEUE_CHECKS, queueIoctls, vnetFlag } from './queue-options.js'
import { disableIpv6, restoreLink, runIoctls, type Undo } from './restore.js'
import { IFF } from './tun-constants.js'
import {
  checkTunOptions,
  deviceIoctls,
  linkChanges,
  linkSettings,
  ownerIoctls,
  type TunOptions
} from './tun-options.js'

/** What was opened, before there is an object for it. */
export interface OpenedTun {
  descriptors: NativeDescriptors
  name: string
  index: number
  netns: NetnsRef | undefined
  place: Place
  flags: number
  vnetHeaderSize: number
}

/** Opens and configures a device; whatever fails, nothing stays. */
export async function openTunDevice(type: 'tun' | 'tap', options: TunOptions): Promise<OpenedTun> {
  checkTunOptions(type, options)
  const { netns, net, signal, name = '', exclusive = true, persist, queues = 1 } = options
  signal?.throwIfAborted()
  const flags =
    (type === 'tap' ? IFF.TAP : IFF.TUN) |
    IFF.NO_PI |
    vnetFlag(options.vnetHeader) |
    ((options.multiQueue ?? queues > 1) ? IFF.MULTI_QUEUE : 0) |
    (options.napi ? IFF.NAPI : 0) |
    (options.napiFrags ? IFF.NAPI_FRAGS : 0) |
    (options.carrier === false ? IFF.NO_CARRIER : 0)
  checkHeader(options)
  const owner = ownerIoctls(options)
  const withoutIpv6 = !(options.ipv6 ?? options.master === undefined)
  // What a device has that may be there already is noted before it is changed, so that comes later.
  const attaching = !exclusive && name !== '' && !name.includes('%')
  // Before anything is waited for: what names the namespace may mean another one afterwards.
  const place = await placeOf(netns, net)
  const ioctls = [...queueIoctls(await resolveOffloads(options)), ...deviceIoctls(options)]
  const opening = {
    name,
    flags,
    exclusive,
    queues,
    index: options.index ?? 0,
    disableIpv6: withoutIpv6 && !attaching,
    ioctls: attaching ? [] : [...ioctls, ...owner]
  }
  let opened: Awaited<ReturnType<ReturnType<typeof addon>['openTun']>>
  try {
    opened = await withNetns(place.netns, fd => addon().openTun({ ...opening, netns: fd }))
  } catch (error) {
    const diagnosis = await diagnoseTun(error, opening, place.netns)
    await place.held?.close()
    throw nativeError(error, { link: name || type, diagnosis })
  }
  const undo: Undo = [
    async () => {
      await opened.descriptors.close()
      await place.held?.close()
    }
  ]
  let vnetHeaderSize = 0
  try {
    const [fd = -1] = opened.descriptors.fds
    if (attaching && withoutIpv6) await disableIpv6(place.netns, opened.name, undo)
    const before = await configure(opened.index, options, place, attaching, undo)
    if (options.filter) await addon().tunAttachFilter(fd, options.filter)
    if (before) await runIoctls(fd, ioctls, before, undo)
    if (persist !== undefined) {
      const persisted = opened.flags & IFF.PERSIST ? 1 : 0
      undo.push(() => addon().tunIoctl(fd, 'TUNSETPERSIST', persisted))
      await addon().tunIoctl(fd, 'TUNSETPERSIST', persist ? 1 : 0)
    }
    if (opened.flags & IFF.VNET_HDR) vnetHeaderSize = await addon().tunIoctl(fd, 'TUNGETVNETHDRSZ', 0)
    signal?.throwIfAborted()
    // Last, for an owner cannot be taken away again where there was none.
    if (before) await runIoctls(fd, owner, before, undo)
  } catch (error) {
    for (const step of undo.reverse()) await step().catch(() => {})
    throw nativeError(error, { link: opened.name })
  }
  return { ...opened, netns: netns ?? net?.netns, place, flags, vnetHeaderSize }
}

/** The link's own settings. Gives the link as it was before, if it may have been there. */
async function configure(
  index: number,
  options: TunOptions,
  { netns }: Place,
  attaching: boolean,
  undo: Undo
): Promise<Link | undefined> {
  const { altnames = [], signal } = options
  const changes = linkChanges(options)
  if (!attaching && changes.length === 0 && altnames.length === 0) return undefined
  const net = options.net ?? (await Netlink.open({ netns }))
  try {
    const before = attaching ? await net.links.get(index, { signal }) : undefined
    if (before) undo.push(() => restoreLink(netns, before, linkSettings(options), altnames))
    for (const change of changes) await net.links.set(index, change, { signal })
    if (altnames.length > 0) await net.links.addAltnames(index, altnames, { signal })
    return before
  } finally {
    if (net !== options.net) net.close()
  }
}

/** An open TUN or TAP device. */
export class TunDevice extends QueueDevice {
  /** The namespace that it was made in, as it was given. */
  readonly netns: NetnsRef | undefined
  readonly #opened: OpenedTun

  protected constructor(descriptors: NativeDescriptors, opened: OpenedTun) {
    super(descriptors, opened.name, opened.index, opened.vnetHeaderSize)
    this.netns = opened.netns
    this.#opened = opened
  }

  /** @internal */
  override get place(): Place {
    return this.#opened.place
  }

  override release(): number[] {
    const fds = super.release()
    void this.#opened.place.held?.close()
    return fds
  }

  override async close(): Promise<void> {
    await Promise.all([super.close(), this.#opened.place.held?.close()])
  }

  /** Opens further queues of a multi-queue device. */
  async addQueues(count: number): Promise<void> {
    this.assertOpen()
    checkQueues(count)
    const { name } = await this.describe()
    const { flags } = this.#opened
    // All else is the device's, and may have been changed since it was opened.
    const ioctls: [TunIoctl, number][] = [['TUNSETSNDBUF', await this.ioctl('TUNGETSNDBUF', 0)]]
    const more = await this.run(
      () =>
        withNetns(this.#opened.place.netns, netns =>
          addon().openTun({ netns, name, flags, exclusive: false, queues: count, index: 0, disableIpv6: false, ioctls })
        ),
      'ioctl(TUNSETIFF)'
    )
    if (this.closed || more.index !== this.index) {
      await more.descriptors.close()
      this.assertOpen()
      throw new LinkwrightError(`${name} is another device now`, { code: 'ENODEV', link: name })
    }
    this.descriptors.adopt(more.descriptors.release())
  }

  /** Link up or down as the host's stack sees it (TUNSETCARRIER). */
  async setCarrier(on: boolean): Promise<void> {
    check.boolean(on, 'carrier')
    await this.ioctl('TUNSETCARRIER', on ? 1 : 0)
  }

  /** Whether the device outlives its descriptors. */
  async setPersist(on: boolean): Promise<void> {
    check.boolean(on, 'persist')
    await this.ioctl('TUNSETPERSIST', on ? 1 : 0)
  }

  /** Bytes that may wait on the way to the stack. */
  async setSndbuf(bytes: number): Promise<void> {
    this.assertOpen()
    check.sndbuf(bytes, 'sndbuf')
    for (let queue = 0; queue < this.fds.length; queue++) await this.ioctl('TUNSETSNDBUF', bytes, queue)
  }

  /** User and group who may attach; `undefined` leaves one as it is. */
  async setOwner(owner: { uid?: number | undefined; gid?: number | undefined }): Promise<void> {
    check.checkOptions(owner, { uid: check.identity, gid: check.identity })
    for (const [ioctl, id] of ownerIoctls(owner)) await this.ioctl(ioctl, id)
  }

  /** Byte order of the virtio-net header. */
  async setVnetEndian(endian: 'little' | 'big'): Promise<void> {
    this.assertOpen()
    QUEUE_CHECKS.vnetEndian(endian, 'vnetEndian')
    for (let queue = 0; queue < this.fds.length; queue++) {
      await this.ioctl(endian === 'little' ? 'TUNSETVNETLE' : 'TUNSETVNETBE', 1, queue)
    }
  }

  /** Classic BPF program that chooses what reaches the descriptors, or `null` for none; TAP only. */
  async setFilter(program: Uint8Array | null): Promise<void> {
    const fd = this.queue(0)
    if (program !== null) check.bpf(program, 'filter')
    if (program === null) await this.ioctl('TUNDETACHFILTER', 0)
    else await this.run(() => addon().tunAttachFilter(fd, program), 'ioctl(TUNATTACHFILTER)')
  }

  /** eBPF program that chooses the queue of each frame, or `null` for none. */
  async setSteeringProgram(program: number | null): Promise<void> {
    if (program !== null) check.descriptor(program, 'steeringProgram')
    await this.ioctl('TUNSETSTEERINGEBPF', program ?? -1)
  }

  /** eBPF program that drops frames, or `null` for none. */
  async setFilterProgram(program: number | null): Promise<void> {
    if (program !== null) check.descriptor(program, 'filterProgram')
    await this.ioctl('TUNSETFILTEREBPF', program ?? -1)
  }
}
