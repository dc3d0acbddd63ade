/** Frames shown to somebody beside their way, for captures. */

/** What frames begin with: an Ethernet header, or an IP packet at once, as a TUN carries them. */
export type Layer = 'ethernet' | 'ip'

/** As this program sees it: `inbound` is what it reads from a device, `outbound` what it writes to it. */
export type FrameDirection = 'inbound' | 'outbound'

/**
 * Frames in one piece of memory: a `FrameBatch`, or whatever has its shape. Where every frame has a time of its own, as
 * those of another thread or machine have, it is in `timestamps`.
 */
export interface MirroredFrames {
  readonly bytes: Uint8Array
  /** Where each frame begins in `bytes`, behind its virtio-net header. */
  readonly offsets: Uint32Array
  /** Bytes of each frame without that header. */
  readonly lengths: Uint32Array
  readonly length: number
  /** Bytes of the virtio-net header right before each frame, which says what is offloaded; 0 if left out. */
  readonly vnetHeaderSize?: number
  /** Nanoseconds since 1970. */
  readonly timestamps?: BigUint64Array
  /** Bytes that each frame had before it was cut. */
  readonly originalLengths?: Uint32Array
  /** Frames that nobody is shown because there was no room for them: they came before these. */
  readonly lost?: number
}

/** Called with frames that were read or written: those from `from` to before `to`. They are valid during the call. */
export interface Mirror {
  (frames: MirroredFrames, from: number, to: number, direction: FrameDirection): void
  /** Bytes of each frame that are looked at, which saves copies of the rest; all by default. */
  readonly snapLength?: number
}

/** Where frames can be seen: a queue, or a port of a pipe or switch. */
export interface Mirrored {
  readonly name: string
  readonly layer: Layer
  /** Sees what is read and written. */
  mirror: Mirror | undefined
}
