/** Options that TAP, TUN and macvtap descriptors share, and the ioctls that they become. */
import type { TunIoctl } from '../addon.js'
import { invalidArgument } from '../errors.js'
import { type Check, object, sndbuf as sndbufCheck, vnetHeaderSize } from './checks.js'
import { IFF, MAX_QUEUES, TUN_F } from './tun-constants.js'

/** What the reader of the descriptor can take, so that the kernel need not do it (TUN_F_*). Needs `vnetHeader`. */
export interface Offloads {
  /** Frames without a computed checksum. All others need it. */
  csum?: boolean | undefined
  /** TCP segments of up to 64 KiB. */
  tso4?: boolean | undefined
  tso6?: boolean | undefined
  tsoEcn?: boolean | undefined
  /** Obsolete: taken and ignored. */
  ufo?: boolean | undefined
  /** UDP segments of up to 64 KiB; Linux 6.2. TUN and TAP take both families or none. */
  uso4?: boolean | undefined
  uso6?: boolean | undefined
  /** Segments inside of UDP tunnels; Linux 6.17, TUN and TAP only, header of 24 bytes. */
  udpTunnelGso?: boolean | undefined
  udpTunnelGsoCsum?: boolean | undefined
}

/**
 * Offloads by a word. `auto`: those that this kernel was proved to get right (`probeOffloads()`), and none where that may
 * not be tried; the first device of a process waits 0.2 s for it. `csum`: checksums only. `tso`: TCP segments as well.
 * `full`: UDP segments too, which Linux 6.2 and later know. `off`: none, which is also what a device begins with.
 */
export type OffloadPreset = 'auto' | 'off' | 'csum' | 'tso' | 'full'

export interface QueueOptions {
  /** Queues to open, each a descriptor of its own; 1 by default, at most 256. */
  queues?: number | undefined
  /**
   * A virtio-net header before each frame, both ways: `true` for the size that the kernel chooses (10 bytes), or its
   * size from 10 to 64: 12 (with the number of buffers), 20 (with a hash), 24 (with tunnel offloads). Off by default.
   */
  vnetHeader?: boolean | number | undefined
  /** What the reader takes: one by one, or by a word. */
  offloads?: Offloads | OffloadPreset | undefined
  /** Byte order of the virtio-net header; that of the machine by default. */
  vnetEndian?: 'little' | 'big' | undefined
  /** Bytes that may wait in the kernel on the way from the descriptor to the stack (TUNSETSNDBUF). */
  sndbuf?: number | undefined
}

/** The same after words were looked up. */
export type ResolvedOptions<T extends QueueOptions> = Omit<T, 'offloads'> & { offloads?: Offloads | undefined }

const TSO: Offloads = { csum: true, tso4: true, tso6: true, tsoEcn: true }
/** What the words stand for, but for the one that depends on the kernel. */
export const OFFLOAD_PRESETS: Readonly<Record<Exclude<OffloadPreset, 'auto'>, Offloads>> = {
  off: {},
  csum: { csum: true },
  tso: TSO,
  full: { ...TSO, uso4: true, uso6: true }
}

const OFFLOADS: Record<keyof Offloads, number> = {
  csum: TUN_F.CSUM,
  tso4: TUN_F.TSO4,
  tso6: TUN_F.TSO6,
  tsoEcn: TUN_F.TSO_ECN,
  ufo: TUN_F.UFO,
  uso4: TUN_F.USO4,
  uso6: TUN_F.USO6,
  udpTunnelGso: TUN_F.UDP_TUNNEL_GSO,
  udpTunnelGsoCsum: TUN_F.UDP_TUNNEL_GSO_CSUM
}

/** TUN_F_* for offloads by name. */
export function offloadMask(offloads: Offloads): number {
  object(offloads, 'offloads')
  let mask = 0
  for (const [name, on] of Object.entries(offloads)) {
    const bit = Object.hasOwn(OFFLOADS, name) ? OFFLOADS[name as keyof Offloads] : undefined
    if (bit === undefined) throw invalidArgument(`offloads.${name}`, `one of ${Object.keys(OFFLOADS).join(', ')}`, on)
    if (on !== undefined && typeof on !== 'boolean') throw invalidArgument(`offloads.${name}`, 'true or false', on)
    if (on) mask |= bit
  }
  if (mask && !(mask & TUN_F.CSUM)) throw invalidArgument('offloads.csum', 'true (the others need it)', offloads.csum)
  return mask
}

export function checkQueues(queues: number): number {
  if (!Number.isInteger(queues) || queues < 1 || queues > MAX_QUEUES) {
    throw invalidArgument('queues', `a number from 1 to ${MAX_QUEUES}`, queues)
  }
  return queues
}

export function vnetFlag(vnetHeader: boolean | number | undefined): number {
  return vnetHeader ? IFF.VNET_HDR : 0
}

export const QUEUE_CHECKS: Record<keyof QueueOptions, Check> = {
  queues: value => checkQueues(value as number),
  vnetHeader: (value, path) => {
    if (typeof value === 'number') vnetHeaderSize(value, path)
    else if (typeof value !== 'boolean')
      throw invalidArgument(path, 'true, false, or a size from 10 to 64 bytes', value)
  },
  offloads: (value, path) => {
    if (typeof value !== 'string') offloadMask(value as Offloads)
    else if (value !== 'auto' && !Object.hasOwn(OFFLOAD_PRESETS, value)) {
      throw invalidArgument(path, `auto, ${Object.keys(OFFLOAD_PRESETS).join(', ')}, or single offloads`, value)
    }
  },
  vnetEndian: (value, path) => {
    if (value !== 'little' && value !== 'big') throw invalidArgument(path, "'little' or 'big'", value)
  },
  sndbuf: sndbufCheck
}

/** The ioctls for a fresh descriptor, in the order that the kernel wants them. The options were checked. */
export function queueIoctls(options: ResolvedOptions<QueueOptions>): [TunIoctl, number][] {
  const { vnetHeader, offloads, vnetEndian, sndbuf } = options
  const ioctls: [TunIoctl, number][] = []
  if (typeof vnetHeader === 'number') ioctls.push(['TUNSETVNETHDRSZ', vnetHeader])
  if (vnetEndian) ioctls.push([vnetEndian === 'little' ? 'TUNSETVNETLE' : 'TUNSETVNETBE', 1])
  if (offloads) ioctls.push(['TUNSETOFFLOAD', offloadMask(offloads)])
  if (sndbuf !== undefined) ioctls.push(['TUNSETSNDBUF', sndbuf])
  return ioctls
}

/** Refuses options that need a virtio-net header without one. */
export function checkHeader({ vnetHeader, offloads, vnetEndian }: QueueOptions): void {
  const offloading = typeof offloads === 'string' ? offloads !== 'off' : offloads && offloadMask(offloads) !== 0
  if (vnetHeader || (!offloading && !vnetEndian)) return
  throw invalidArgument('vnetHeader', 'true or a size (offloads and vnetEndian need the header)', vnetHeader)
}
