/** Copies of frames that native threads move, fetched for a mirror. */
import { MIRROR, type NativeForwarder } from '../addon.js'
import type { Mirror, MirroredFrames } from '../frames/mirror.js'
import { VNET_HEADER_SIZE } from '../frames/vnet-header.js'

/** Memory for what a port's mirror holds, filled again and again. */
export class MirroredCopies implements MirroredFrames {
  readonly bytes = new Uint8Array(MIRROR.bytes)
  readonly offsets = new Uint32Array(MIRROR.frames)
  readonly lengths = new Uint32Array(MIRROR.frames)
  readonly originalLengths = new Uint32Array(MIRROR.frames)
  readonly timestamps = new BigUint64Array(MIRROR.frames)
  readonly vnetHeaderSize = VNET_HEADER_SIZE
  readonly #outbound = new Uint8Array(MIRROR.frames)
  length = 0
  lost = 0
  #showing = false

  /** Fetches what there is, and shows it in runs of one direction. Not again while it does. */
  show(native: NativeForwarder, port: number, mirror: Mirror): void {
    if (this.#showing) return
    this.#showing = true
    try {
      this.#show(native, port, mirror)
    } finally {
      this.#showing = false
      this.lost = 0
    }
  }

  #show(native: NativeForwarder, port: number, mirror: Mirror): void {
    const { bytes, offsets, lengths, originalLengths, timestamps } = this
    const outbound = this.#outbound
    const [frames, lost] = native.takeMirrored(port, bytes, offsets, lengths, originalLengths, outbound, timestamps)
    this.length = frames
    for (let from = 0; from < frames; ) {
      let to = from + 1
      while (to < frames && outbound[to] === outbound[from]) to++
      mirror(this, from, to, outbound[from] ? 'outbound' : 'inbound')
      from = to
    }
    if (lost === 0) return
    // They came behind the others.
    this.lost = lost
    mirror(this, frames, frames, 'inbound')
  }
}
