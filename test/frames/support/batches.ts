/** Batches from frames and back. */
import { FrameBatch } from '../../../lib/index.js'
import type { SuperFrame } from './flows.js'

/** A batch with virtio-net headers, just large enough, so that whoever looks beyond its end is noticed. */
export function batchOf(frames: (SuperFrame | Uint8Array)[], vnetHeaderSize = 10): FrameBatch {
  const pairs = frames.map(frame => (frame instanceof Uint8Array ? { frame, header: undefined } : frame))
  const bytes = pairs.reduce((sum, { frame }) => sum + Math.ceil((vnetHeaderSize + frame.length) / 64) * 64, 0)
  const batch = new FrameBatch({ frames: Math.max(1, frames.length), bytes: bytes + 32, room: 14, vnetHeaderSize })
  for (const { frame, header } of pairs) {
    if (!batch.push(frame, header)) throw new Error('no room')
  }
  return batch
}

/** Copies of the frames. */
export function framesOf(batch: FrameBatch): Buffer[] {
  return [...batch].map(frame => Buffer.from(frame))
}

/** Frames as text, which is compared a hundred times faster, and shown better where it differs. */
export function hex(frames: Iterable<Uint8Array>): string[] {
  return Array.from(frames, frame => Buffer.from(frame.buffer, frame.byteOffset, frame.length).toString('hex'))
}

export function headersOf(batch: FrameBatch): Buffer[] {
  return Array.from({ length: batch.length }, (_, index) => Buffer.from(batch.vnetHeaderBytes(index)))
}
