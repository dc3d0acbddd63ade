/** What the addon offers of frames in batches. */

/** Slots of the counters that a {@link NativeFrameQueue} adds to. */
export const FRAME_COUNTER = {
  rxFrames: 0,
  rxBytes: 1,
  rxTruncated: 2,
  rxMalformed: 3,
  txFrames: 4,
  txBytes: 5,
  txRefused: 6,
  /** Not a counter: the errno of the last write that failed. */
  errno: 7
} as const

/** What a program can decide of a frame besides the number of a port; what a port refused is marked. */
export const VERDICT = { drop: -1, flood: -2, refused: -3 } as const

/**
 * Many frames in one call, on the JavaScript thread and without blocking; the descriptor stays the caller's. A batch is its
 * bytes, where each frame begins and how long it is; a virtio-net header of `vnetHeader` bytes lies right before each frame.
 */
export interface NativeFrameQueue {
  /**
   * Reads until the batch is full or nothing is there: the number of frames, or a negative errno.
   *
   * @param headroom bytes left free before each frame and its header
   * @param room longest frame that is kept, in bytes; longer ones are counted and dropped
   * @param spin nanoseconds to ask again for when nothing is there
   */
  read(
    bytes: Uint8Array,
    offsets: Uint32Array,
    lengths: Uint32Array,
    vnetHeader: number,
    headroom: number,
    room: number,
    spin: number
  ): number
  /** Writes frames in order: how many, and if not all, why in the counters. */
  write(
    bytes: Uint8Array,
    offsets: Uint32Array,
    lengths: Uint32Array,
    vnetHeader: number,
    from: number,
    to: number
  ): number
  /** Moves each frame as its verdict says ({@link VERDICT}): how many writes there were. */
  forward(
    bytes: Uint8Array,
    offsets: Uint32Array,
    lengths: Uint32Array,
    vnetHeader: number,
    count: number,
    verdicts: Int32Array,
    ports: NativeFrameQueue[]
  ): number
  /** Forgets the descriptor: what is asked for from now on answers EBADF. */
  close(): void
}

/** What a receiver takes besides finished frames; USO in both families. */
export const RECEIVER = { csum: 1, tso4: 2, tso6: 4, uso: 8 } as const

/** Frames from one batch into another: see {@link Addon.segmentFrames}. */
export type NativeFrameCopy = (
  bytes: Uint8Array,
  offsets: Uint32Array,
  lengths: Uint32Array,
  vnetHeader: number,
  frames: number,
  progress: Uint32Array,
  layer: 0 | 1,
  receiver: number,
  intoBytes: Uint8Array,
  intoOffsets: Uint32Array,
  intoLengths: Uint32Array,
  intoVnetHeader: number,
  intoHeadroom: number,
  intoFrames: number
) => number
