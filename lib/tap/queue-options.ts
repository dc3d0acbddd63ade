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

export interface QueueOptions {
  /** Queues to open, each a descriptor of its own; 1 by default, at most 256. */
  queues?: number | undefined
  /**
   * A virtio-net header before each frame, both ways: `true` for the size that the kernel chooses (10 bytes), or its
   * size from 10 to 64: 12 (with the number of buffers), 20 (with a hash), 24 (with tunnel offloads). Off by default.
   */
  vnetHeader?: boolean | number | undefined
  offloads?: Offloads | undefined
  /** Byte order of the virtio-net header; that of the machine by default. */
  vnetEndian?: 'little' | 'big' | undefined
  /** Bytes that may wait in the kernel on the way from the descriptor to the stack (TUNSETSNDBUF). */
  sndbuf?: number | undefined
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
  offloads: value => offloadMask(value as Offloads),
  vnetEndian: (value, path) => {
    if (value !== 'little' && value !== 'big') throw invalidArgument(path, "'little' or 'big'", value)
  },
  sndbuf: sndbufCheck
}

/** The ioctls for a fresh descriptor, in the order that the kernel wants them. The options were checked. */
export function queueIoctls(options: QueueOptions): [TunIoctl, number][] {
  const { vnetHeader, offloads, vnetEndian, sndbuf } = options
  if (!vnetHeader && (offloads || vnetEndian)) {
    throw invalidArgument('vnetHeader', 'true or a size (offloads and vnetEndian need the header)', vnetHeader)
  }
  const ioctls: [TunIoctl, number][] = []
  if (typeof vnetHeader === 'number') ioctls.push(['TUNSETVNETHDRSZ', vnetHeader])
  if (vnetEndian) ioctls.push([vnetEndian === 'little' ? 'TUNSETVNETLE' : 'TUNSETVNETBE', 1])
  if (offloads) ioctls.push(['TUNSETOFFLOAD', offloadMask(offloads)])
  if (sndbuf !== undefined) ioctls.push(['TUNSETSNDBUF', sndbuf])
  return ioctls
}
