/** What a queue has moved and what it has not. */
import { FRAME_COUNTER } from '../addon.js'

/** Counts of one queue since it was opened; each drop is in one of them. They are read without a call into native code. */
export class FrameCounters {
  /** @internal The memory that native code adds to. */
  readonly slots = new Float64Array(
    new SharedArrayBuffer(Float64Array.BYTES_PER_ELEMENT * Object.keys(FRAME_COUNTER).length)
  )

  /** Frames read. */
  get rxFrames(): number {
    return this.slots[FRAME_COUNTER.rxFrames] as number
  }

  /** Bytes of frames read, without virtio-net headers. */
  get rxBytes(): number {
    return this.slots[FRAME_COUNTER.rxBytes] as number
  }

  /** Frames that were longer than the batch's `room` and dropped. */
  get rxTruncated(): number {
    return this.slots[FRAME_COUNTER.rxTruncated] as number
  }

  /** Frames that were shorter than their virtio-net header and dropped. */
  get rxMalformed(): number {
    return this.slots[FRAME_COUNTER.rxMalformed] as number
  }

  /** Frames that the kernel took. */
  get txFrames(): number {
    return this.slots[FRAME_COUNTER.txFrames] as number
  }

  /** Bytes of frames that the kernel took, without virtio-net headers. */
  get txBytes(): number {
    return this.slots[FRAME_COUNTER.txBytes] as number
  }

  /** Frames that the kernel did not take; the caller of `writeBatch` still has them, those of `forward` are dropped. */
  get txRefused(): number {
    return this.slots[FRAME_COUNTER.txRefused] as number
  }

  toJSON(): Record<Exclude<keyof typeof FRAME_COUNTER, 'errno'>, number> {
    const { rxFrames, rxBytes, rxTruncated, rxMalformed, txFrames, txBytes, txRefused } = this
    return { rxFrames, rxBytes, rxTruncated, rxMalformed, txFrames, txBytes, txRefused }
  }
}
