/** Opening TUN and TAP devices: what is asked of the kernel, in which order, and the way back. */
import { addon, type NativeDescriptors, type TunIoctl, type TunOpened, type TunOpenOptions } from '../addon.js'
import { nativeError } from '../errors.js'
import type { Link } from '../link/link.js'
import { Netlink } from '../link/netlink.js'
import { type NetnsRef, withNetns } from '../netns.js'
import { diagnoseTun } from './diagnosis.js'
import { resolveOffloads } from './offload-presets.js'
import { type Place, placeOf } from './place.js'
import { checkHeader, type Offloads, queueIoctls, vnetFlag } from './queue-options.js'
import { disableIpv6, restoreLink, runIoctls, type Undo } from './restore.js'
import { IFF } from './tun-constants.js'
import {
  checkLinkSettings,
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
  /** Made persistent by this opening. */
  persisted: boolean
}

/** Options that were found right. */
export interface Opening {
  readonly options: TunOptions
  /** IFF_* */
  readonly flags: number
  /** The device may be there already: what it has is noted before it is changed, so that comes later. */
  readonly attaching: boolean
  readonly withoutIpv6: boolean
  readonly owner: [TunIoctl, number][]
}

/** What the addon is asked for, and the ioctls that a device which may have been there gets later. */
export interface NativeOpening {
  readonly device: Omit<TunOpenOptions, 'netns'>
  readonly ioctls: [TunIoctl, number][]
}

/** Throws for whatever can be known to be wrong but for the link's settings, which the encoder looks at. */
export function readOptions(type: 'tun' | 'tap', options: TunOptions): Opening {
  checkTunOptions(type, options)
  const { name = '', exclusive = true, queues = 1 } = options
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
  return { options, flags, attaching: !exclusive && name !== '' && !name.includes('%'), withoutIpv6, owner }
}

export function nativeOpening(opening: Opening): NativeOpening | Promise<NativeOpening> {
  const { options } = opening
  // A preset may have to be found out first.
  if (typeof options.offloads === 'string') {
    return resolveOffloads(options).then(({ offloads }) => openingWith(opening, offloads))
  }
  return openingWith(opening, options.offloads)
}

function openingWith(
  { options, flags, attaching, withoutIpv6, owner }: Opening,
  offloads: Offloads | undefined
): NativeOpening {
  const { name = '', exclusive = true, queues = 1, index = 0 } = options
  const ioctls = [...queueIoctls({ ...options, offloads }), ...deviceIoctls(options)]
  const device = {
    name,
    flags,
    exclusive,
    queues,
    index,
    disableIpv6: withoutIpv6 && !attaching,
    ioctls: attaching ? [] : [...ioctls, ...owner]
  }
  return { device, ioctls }
}

/** Opens and configures a device; whatever fails, nothing stays. */
export async function openTunDevice(type: 'tun' | 'tap', options: TunOptions): Promise<OpenedTun> {
  const opening = readOptions(type, options)
  checkLinkSettings(options)
  options.signal?.throwIfAborted()
  // Before anything is waited for: what names the namespace may mean another one afterwards.
  const place = await placeOf(options.netns, options.net)
  let opened: TunOpened
  let native: NativeOpening
  try {
    native = await nativeOpening(opening)
    opened = await openNative(opening, native, place)
  } catch (error) {
    await place.held?.close()
    throw error
  }
  return await finishOpening(opening, native, opened, place)
}

async function openNative({ options }: Opening, { device }: NativeOpening, place: Place): Promise<TunOpened> {
  try {
    return await withNetns(place.netns, netns => addon().openTun({ ...device, netns }))
  } catch (error) {
    throw await openingError(error, options, device, place.netns)
  }
}

export async function openingError(
  error: unknown,
  options: TunOptions,
  device: NativeOpening['device'],
  netns: Place['netns']
): Promise<Error> {
  const diagnosis = await diagnoseTun(error, device, netns)
  const link = options.name || (device.flags & IFF.TAP ? 'tap' : 'tun')
  return nativeError(error, { link, diagnosis })
}

/** What was opened, where nothing is left to be done; `undefined` where there is. */
export function openedAtOnce(
  { options, flags, attaching }: Opening,
  opened: TunOpened,
  place: () => Place
): OpenedTun | undefined {
  const { filter, persist, netns, net, signal } = options
  if (attaching || filter || persist !== undefined || signal?.aborted) return undefined
  const { descriptors, name, index, vnetHeaderSize } = opened
  return {
    descriptors,
    name,
    index,
    netns: netns ?? net?.netns,
    place: place(),
    flags,
    vnetHeaderSize,
    persisted: false
  }
}

/**
 * Does what is left once the device is open. It takes over the place.
 *
 * @param configured the link's own settings and alternative names are made already
 */
export async function finishOpening(
  { options, flags, attaching, withoutIpv6, owner }: Opening,
  { ioctls }: NativeOpening,
  opened: TunOpened,
  place: Place,
  configured = false
): Promise<OpenedTun> {
  const { netns, net, signal, persist } = options
  const undo: Undo = [
    async () => {
      await opened.descriptors.close()
      await place.held?.close()
    }
  ]
  let { vnetHeaderSize } = opened
  try {
    const [fd = -1] = opened.descriptors.fds
    if (attaching && withoutIpv6) await disableIpv6(place.netns, opened.name, undo)
    const before = configured ? undefined : await configure(opened.index, options, place, attaching, undo)
    if (options.filter) await addon().tunAttachFilter(fd, options.filter)
    if (before) await runIoctls(fd, ioctls, before, undo)
    if (persist !== undefined) {
      const persisted = opened.flags & IFF.PERSIST ? 1 : 0
      undo.push(() => addon().tunIoctl(fd, 'TUNSETPERSIST', persisted))
      await addon().tunIoctl(fd, 'TUNSETPERSIST', persist ? 1 : 0)
    }
    if (before && opened.flags & IFF.VNET_HDR) vnetHeaderSize = await addon().tunIoctl(fd, 'TUNGETVNETHDRSZ', 0)
    signal?.throwIfAborted()
    // Last, for an owner cannot be taken away again where there was none.
    if (before) await runIoctls(fd, owner, before, undo)
  } catch (error) {
    for (const step of undo.reverse()) await step().catch(() => {})
    throw nativeError(error, { link: opened.name })
  }
  const persisted = persist === true && (opened.flags & IFF.PERSIST) === 0
  const { descriptors, name, index } = opened
  return { descriptors, name, index, netns: netns ?? net?.netns, place, flags, vnetHeaderSize, persisted }
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
