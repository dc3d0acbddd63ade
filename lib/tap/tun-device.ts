/** TUN and TAP devices: /dev/net/tun, see Documentation/networking/tuntap.rst. */
import { addon, type TunIoctl } from '../addon.js'
import { invalidArgument, LinkwrightError, nativeError } from '../errors.js'
import type { Link, LinkRef } from '../link/link.js'
import type { BridgePortSettings, ChangeLink, LinkSettings } from '../link/link-options.js'
import { Netlink } from '../link/netlink.js'
import { type NetnsRef, withNetns } from '../netns.js'
import { diagnoseTun } from './diagnosis.js'
import { type Place, placeOf } from './place.js'
import { QueueDevice } from './queue-device.js'
import { checkQueues, type QueueOptions, queueIoctls, vnetFlag } from './queue-options.js'
import { IFF } from './tun-constants.js'

/** Settings of the link that go along with the opening. */
type OwnLinkSettings = Pick<
  LinkSettings,
  | 'address'
  | 'mtu'
  | 'txqlen'
  | 'alias'
  | 'group'
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
  /** Fail with `EBUSY` if the device exists. On by default; `false` attaches to a persistent one. */
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
] as const

const OPTIONS: ReadonlySet<string> = new Set([
  ...LINK_SETTINGS,
  'name',
  'index',
  'netns',
  'net',
  'queues',
  'vnetHeader',
  'offloads',
  'vnetEndian',
  'sndbuf',
  'multiQueue',
  'persist',
  'uid',
  'gid',
  'exclusive',
  'carrier',
  'napi',
  'napiFrags',
  'filter',
  'steeringProgram',
  'filterProgram',
  'ipv6',
  'altnames',
  'signal'
])

/** What was opened, before there is an object for it. */
export interface OpenedTun {
  descriptors: ConstructorParameters<typeof TunDevice>[0]
  name: string
  index: number
  netns: NetnsRef | undefined
  place: Place
  multiQueue: boolean
  queueIoctls: [TunIoctl, number][]
  flags: number
}

/** Opens and configures a device; whatever fails, nothing stays. */
export async function openTunDevice(type: 'tun' | 'tap', options: TunOptions): Promise<OpenedTun> {
  checkOptions(type, options)
  const { netns, net, signal, name = '', exclusive = true, persist } = options
  signal?.throwIfAborted()
  const queues = checkQueues(options.queues ?? 1)
  const multiQueue = options.multiQueue ?? queues > 1
  if (queues > 1 && !multiQueue) throw invalidArgument('multiQueue', 'true (more than one queue needs it)', false)
  const flags =
    (type === 'tap' ? IFF.TAP : IFF.TUN) |
    IFF.NO_PI |
    vnetFlag(options.vnetHeader) |
    (multiQueue ? IFF.MULTI_QUEUE : 0) |
    (options.napi ? IFF.NAPI : 0) |
    (options.napiFrags ? IFF.NAPI_FRAGS : 0) |
    (options.carrier === false ? IFF.NO_CARRIER : 0)
  const ioctls = queueIoctls(options)
  const opening = {
    name,
    flags,
    exclusive,
    queues,
    index: options.index ?? 0,
    disableIpv6: !(options.ipv6 ?? options.master === undefined),
    ioctls: [...ioctls, ...deviceIoctls(options)]
  }
  const place = await placeOf(netns, net)
  const existed = !exclusive && name !== '' && !name.includes('%')
  let opened: Awaited<ReturnType<ReturnType<typeof addon>['openTun']>>
  try {
    opened = await withNetns(place.netns, fd => addon().openTun({ ...opening, netns: fd }))
  } catch (error) {
    const diagnosis = await diagnoseTun(error, opening, place.netns)
    await place.held?.close()
    throw nativeError(error, { link: name || type, diagnosis })
  }
  const undo: (() => Promise<unknown>)[] = [
    async () => {
      await opened.descriptors.close()
      await place.held?.close()
    }
  ]
  try {
    const [fd = -1] = opened.descriptors.fds
    if (options.filter) await addon().tunAttachFilter(fd, options.filter)
    await configure(opened.index, options, place, existed, undo)
    if (persist !== undefined) {
      const before = opened.flags & IFF.PERSIST ? 1 : 0
      undo.push(() => addon().tunIoctl(fd, 'TUNSETPERSIST', before))
      await addon().tunIoctl(fd, 'TUNSETPERSIST', persist ? 1 : 0)
    }
    signal?.throwIfAborted()
  } catch (error) {
    for (const step of undo.reverse()) await step().catch(() => {})
    throw nativeError(error, { link: opened.name })
  }
  return { ...opened, netns: netns ?? net?.netns, place, multiQueue, queueIoctls: ioctls, flags }
}

/** The link's own settings, in as few messages as the kernel allows: one, or two for a port with settings. */
async function configure(
  index: number,
  options: TunOptions,
  { netns }: Place,
  existed: boolean,
  undo: (() => Promise<unknown>)[]
): Promise<void> {
  const settings: Record<string, unknown> = {}
  for (const key of LINK_SETTINGS) if (options[key] !== undefined) settings[key] = options[key]
  const { altnames, signal } = options
  if (Object.keys(settings).length === 0 && !altnames?.length) return
  const net = options.net ?? (await Netlink.open({ netns }))
  try {
    if (existed) {
      const before = await net.links.get(index, { signal })
      undo.push(() => restore(netns, index, before, settings))
    }
    const { port, up, ...first } = settings as ChangeLink & { port?: BridgePortSettings }
    if (port) {
      // A port's settings cannot go along with its master, and have to be in force before frames flow.
      if (Object.keys(first).length > 0) await net.links.set(index, first as ChangeLink, { signal })
      await net.links.set(index, { port, up }, { signal })
    } else if (Object.keys(settings).length > 0) await net.links.set(index, settings as ChangeLink, { signal })
    if (altnames?.length) await net.links.addAltnames(index, altnames, { signal })
  } finally {
    if (net !== options.net) net.close()
  }
}

/** Puts a persistent device's link back to what it was. */
async function restore(netns: NetnsRef | undefined, index: number, before: Link, changed: object): Promise<void> {
  const net = await Netlink.open({ netns })
  try {
    const old: Record<string, unknown> = {}
    for (const key of Object.keys(changed)) {
      if (key === 'port') continue
      if (key === 'up') old[key] = before.up
      else if (key === 'master') old[key] = before.master ?? null
      else if (key === 'alias') old[key] = before.alias ?? ''
      else old[key] = before[key as 'mtu']
    }
    await net.links.set(index, old as ChangeLink)
  } finally {
    net.close()
  }
}

function deviceIoctls(options: TunOptions): [TunIoctl, number][] {
  const ioctls: [TunIoctl, number][] = []
  // Kernels that do not know IFF_NO_CARRIER ignore it.
  if (options.carrier === false) ioctls.push(['TUNSETCARRIER', 0])
  if (options.uid !== undefined) ioctls.push(['TUNSETOWNER', identity('uid', options.uid)])
  if (options.gid !== undefined) ioctls.push(['TUNSETGROUP', identity('gid', options.gid)])
  if (options.steeringProgram !== undefined) ioctls.push(['TUNSETSTEERINGEBPF', options.steeringProgram])
  if (options.filterProgram !== undefined) ioctls.push(['TUNSETFILTEREBPF', options.filterProgram])
  return ioctls
}

function identity(name: string, value: number): number {
  if (!Number.isInteger(value) || value < 0 || value > 0xfffffffe) throw invalidArgument(name, 'a numeric id', value)
  return value
}

function checkOptions(type: 'tun' | 'tap', options: TunOptions): void {
  for (const key of Object.keys(options)) {
    if (!OPTIONS.has(key)) throw invalidArgument(key, `one of the options ${[...OPTIONS].join(', ')}`, key)
  }
  const { name } = options
  if (
    name !== undefined &&
    (typeof name !== 'string' || name === '' || Buffer.byteLength(name) > 15 || /[\s/:]/.test(name))
  ) {
    throw invalidArgument('name', 'a link name of 1 to 15 bytes, possibly with %d', name)
  }
  if (name && (name.match(/%/g)?.length ?? 0) > (name.includes('%d') ? 1 : 0)) {
    throw invalidArgument('name', 'a link name with at most one %d', name)
  }
  const { index } = options
  if (index !== undefined && (!Number.isInteger(index) || index < 1 || index > 0x7fffffff)) {
    throw invalidArgument('index', 'an ifindex', index)
  }
  if (type === 'tun' && (options.master !== undefined || options.port)) {
    throw invalidArgument('master', 'nothing (a TUN carries no Ethernet frames and cannot be a port)', options.master)
  }
  if (options.napiFrags && !(type === 'tap' && options.napi)) {
    throw invalidArgument('napiFrags', 'false (fragments are for TAP, and need napi)', true)
  }
  if (options.port && options.master === undefined) {
    throw invalidArgument('master', 'the bridge that the port settings are for', options.master)
  }
  if (options.netns !== undefined && options.net) {
    throw invalidArgument('netns', 'nothing beside net, whose namespace it is', options.netns)
  }
}

/** An open TUN or TAP device. */
export class TunDevice extends QueueDevice {
  /** The namespace that it was made in, as it was given. */
  readonly netns: NetnsRef | undefined
  readonly #opened: OpenedTun

  /** @internal */
  constructor(descriptors: QueueDevice['descriptors'], opened: OpenedTun) {
    super(descriptors, opened.name, opened.index)
    this.netns = opened.netns
    this.#opened = opened
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
    const { flags, queueIoctls: ioctls } = this.#opened
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
    await this.ioctl('TUNSETCARRIER', on ? 1 : 0)
  }

  /** Whether the device outlives its descriptors. */
  async setPersist(on: boolean): Promise<void> {
    await this.ioctl('TUNSETPERSIST', on ? 1 : 0)
  }

  /** Bytes that may wait on the way to the stack. */
  async setSndbuf(bytes: number): Promise<void> {
    this.assertOpen()
    for (let queue = 0; queue < this.fds.length; queue++) await this.ioctl('TUNSETSNDBUF', bytes, queue)
  }

  /** User and group who may attach; `undefined` leaves one as it is. */
  async setOwner(owner: { uid?: number | undefined; gid?: number | undefined }): Promise<void> {
    if (owner.uid !== undefined) await this.ioctl('TUNSETOWNER', identity('uid', owner.uid))
    if (owner.gid !== undefined) await this.ioctl('TUNSETGROUP', identity('gid', owner.gid))
  }

  /** Byte order of the virtio-net header. */
  async setVnetEndian(endian: 'little' | 'big'): Promise<void> {
    this.assertOpen()
    for (let queue = 0; queue < this.fds.length; queue++) {
      await this.ioctl(endian === 'little' ? 'TUNSETVNETLE' : 'TUNSETVNETBE', 1, queue)
    }
  }

  /** Classic BPF program that chooses what reaches the descriptors, or `null` for none; TAP only. */
  async setFilter(program: Uint8Array | null): Promise<void> {
    const fd = this.queue(0)
    if (program === null) await this.ioctl('TUNDETACHFILTER', 0)
    else await this.run(() => addon().tunAttachFilter(fd, program), 'ioctl(TUNATTACHFILTER)')
  }

  /** eBPF program that chooses the queue of each frame, or `null` for none. */
  async setSteeringProgram(program: number | null): Promise<void> {
    await this.ioctl('TUNSETSTEERINGEBPF', program ?? -1)
  }

  /** eBPF program that drops frames, or `null` for none. */
  async setFilterProgram(program: number | null): Promise<void> {
    await this.ioctl('TUNSETFILTEREBPF', program ?? -1)
  }
}
