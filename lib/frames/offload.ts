/**
 * Offloads in software, for receivers that do not take what a device delivers: checksums (VIRTIO_NET_HDR_F_NEEDS_CSUM),
 * segmentation (GSO: TSO and USO), and merging (GRO), which saves a receiver that takes super-frames most of its work.
 */
import { addon, type NativeFrameCopy, RECEIVER } from '../addon.js'
import { invalidArgument } from '../errors.js'
import { checkKeys } from '../options.js'
import type { FrameBatch } from './batch.js'
import { VNET_HEADER_SIZE } from './vnet-header.js'

/** What a receiver takes besides finished frames: as in the `offloads` of a device. All but `csum` need that as well. */
export interface ReceiverOffloads {
  csum?: boolean | undefined
  tso4?: boolean | undefined
  tso6?: boolean | undefined
  /** Both families or none. */
  uso4?: boolean | undefined
  uso6?: boolean | undefined
}

export interface OffloadOptions {
  /** What the frames begin with: an Ethernet header by default, `ip` for those of a TUN. */
  layer?: 'ethernet' | 'ip' | undefined
  /** What the frames of `into` may leave to their receiver. */
  offloads?: ReceiverOffloads | undefined
  /** What the last call returned for the same `from`: goes on behind it. From the first frame by default. */
  after?: Progress | undefined
}

/** How far a batch was worked through before the other was full. */
export interface Progress {
  /** Frames of `from` that are done, in all calls together: all of them when this is its length. */
  readonly frames: number
  /** Segments of the frame after those that are in `into` already: a super-frame may not fit in one batch. */
  readonly segments: number
  /**
   * Frames among those done that were left out, because they are not what their virtio-net header says: wrong lengths,
   * offsets or types. Whoever sends such frames is at fault.
   */
  readonly refused: number
}

const OPTIONS: ReadonlySet<string> = new Set<keyof OffloadOptions>(['layer', 'offloads', 'after'])
const ALL: ReceiverOffloads = { csum: true, tso4: true, tso6: true, uso4: true, uso6: true }
/** Written by native code, read at once. */
const progress = new Uint32Array(3)

/**
 * Computes the checksums that virtio-net headers leave to the receiver, in place, and clears their flags. Super-frames are
 * left alone, as are headers that point outside of their frame: both are dealt with by {@link segmentFrames}.
 *
 * @returns frames that were completed
 */
export function completeChecksums(batch: FrameBatch, from = 0, to: number = batch.length): number {
  if (!Number.isInteger(from) || from < 0 || from > batch.length) {
    throw invalidArgument('from', `a frame of the batch (0 to ${batch.length})`, from)
  }
  if (!Number.isInteger(to) || to < from || to > batch.length) {
    throw invalidArgument('to', `from ${from} to ${batch.length}`, to)
  }
  const { bytes, offsets, lengths, vnetHeaderSize } = batch
  return addon().completeChecksums(bytes, offsets, lengths, vnetHeaderSize, from, to)
}

/**
 * Copies the frames of a batch behind those of another, as frames of the wire: super-frames (TSO, USO) are split into
 * segments with right lengths, identifications, sequence numbers, flags and checksums, and the checksums of other frames
 * are completed. Knows VLAN tags (802.1Q, 802.1ad), IPv4 with options, IPv6 with extension headers. What the receiver
 * takes (`offloads`, none by default) is copied as it is, with its virtio-net header.
 *
 * Where `into` is full the rest waits:
 *
 * ```ts
 * for (let done: Progress | undefined; (done?.frames ?? 0) < batch.length; ) {
 *   done = segmentFrames(batch, into, { after: done })
 *   await queue.write(into)
 *   into.clear()
 * }
 * ```
 *
 * @throws LinkwrightError `ERR_INVALID_ARG_VALUE` where `into` is empty and has no room for the next frame
 */
export function segmentFrames(from: FrameBatch, into: FrameBatch, options: OffloadOptions = {}): Progress {
  const receiver = receiverBits(options.offloads ?? {})
  if (receiver && into.vnetHeaderSize < VNET_HEADER_SIZE) throw needsHeader(into)
  return copy(addon().segmentFrames, from, into, options, receiver)
}

/**
 * Copies the frames of a batch behind those of another (with virtio-net headers) and merges consecutive segments of TCP
 * and UDP flows on the way into super-frames of up to 64 KiB or 128 segments, as generic receive offload does, for a
 * receiver that takes them: all kinds by default. Segmentation makes the same frames of them again.
 *
 * Frames of a flow keep their order. Merged are frames with the same MACs, VLAN tags, addresses and ports whose headers
 * differ in nothing but what must (and, with DF, the identification), with a right checksum or one that is vouched for
 * (`dataValid`, `needsChecksum`); TCP only with data, ACK and possibly PSH, which ends a super-frame; UDP only with a
 * checksum. All other frames are copied as they are, with their virtio-net header.
 *
 * @returns progress without `segments`; `refused` are frames outside of their batch
 * @throws LinkwrightError `ERR_INVALID_ARG_VALUE` where `into` is empty and has no room for the next frame
 */
export function mergeFrames(from: FrameBatch, into: FrameBatch, options: OffloadOptions = {}): Progress {
  if (into.vnetHeaderSize < VNET_HEADER_SIZE) throw needsHeader(into)
  return copy(addon().mergeFrames, from, into, options, receiverBits(options.offloads ?? ALL))
}

function copy(
  native: NativeFrameCopy,
  from: FrameBatch,
  into: FrameBatch,
  options: OffloadOptions,
  receiver: number
): Progress {
  checkKeys(options, OPTIONS)
  const { layer = 'ethernet', after } = options
  if (layer !== 'ethernet' && layer !== 'ip') throw invalidArgument('layer', "'ethernet' or 'ip'", layer)
  if (into.bytes.buffer === from.bytes.buffer) throw invalidArgument('into', 'another batch', 'the same')
  if (after) checkProgress(after, from)
  const before = into.length
  progress[0] = after?.frames ?? 0
  progress[1] = after?.segments ?? 0
  progress[2] = after?.refused ?? 0
  const [done, segmentsDone] = progress as unknown as [number, number, number]
  into.length = native(
    from.bytes,
    from.offsets,
    from.lengths,
    from.vnetHeaderSize,
    from.length,
    progress,
    layer === 'ethernet' ? 0 : 1,
    receiver,
    into.bytes,
    into.offsets,
    into.lengths,
    into.vnetHeaderSize,
    into.headroom,
    before
  )
  const [frames, segments, refused] = progress as unknown as [number, number, number]
  if (before === 0 && frames === done && segments === segmentsDone && frames < from.length) {
    throw invalidArgument('into', `a batch with room for a frame of ${from.lengths[frames]} bytes`, into.bytes.length)
  }
  return { frames, segments, refused }
}

function checkProgress({ frames, segments, refused }: Progress, from: FrameBatch): void {
  const counts = [frames, segments, refused].every(count => Number.isInteger(count) && count >= 0)
  if (!counts || frames > from.length) throw invalidArgument('after', 'what the last call returned', { frames })
}

/** Without checksums nothing else can be left to a receiver. */
function receiverBits({ csum, tso4, tso6, uso4, uso6 }: ReceiverOffloads): number {
  if (!csum) {
    if (tso4 || tso6 || uso4 || uso6) throw invalidArgument('offloads.csum', 'true (the others need it)', csum)
    return 0
  }
  const { csum: checksum, tso4: four, tso6: six, uso } = RECEIVER
  return checksum | (tso4 ? four : 0) | (tso6 ? six : 0) | (uso4 && uso6 ? uso : 0)
}

function needsHeader(into: FrameBatch): Error {
  const expected = `a batch with virtio-net headers (vnetHeaderSize of ${VNET_HEADER_SIZE} at least)`
  return invalidArgument('into', expected, into.vnetHeaderSize)
}
