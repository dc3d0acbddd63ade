/** Whether frames went through a kernel unharmed. */
import { FrameBatch } from '../frames/batch.js'
import { segmentFrames } from '../frames/offload.js'
import { VnetHeader } from '../frames/vnet-header.js'

/**
 * What is wrong with frames that arrived, if anything.
 *
 * @param whole the reader takes them as they were sent; else they must have been finished on the way
 */
export function whatIsWrong(sent: FrameBatch, arrived: FrameBatch, whole: boolean): string | undefined {
  const wanted = onTheWire(sent)
  const expected = whole ? sent.length : wanted.length
  if (arrived.length !== expected) return `${arrived.length} frames arrived, not ${expected}`
  if (!whole && headersOf(arrived).some(({ gsoType, needsChecksum }) => gsoType !== 'none' || needsChecksum)) {
    return 'a frame was not finished'
  }
  // However much is left to do: done, it gives the same.
  const got = onTheWire(arrived)
  if (got.length !== wanted.length) return `it makes ${got.length} segments, not ${wanted.length}`
  const different = wanted.findIndex((bytes, index) => Buffer.compare(bytes, got[index] as Uint8Array) !== 0)
  return different < 0 ? undefined : `frame ${different + 1} of ${wanted.length} is not as it should be`
}

/** Frames as they are without any offload: copies. */
export function onTheWire(batch: FrameBatch): Uint8Array[] {
  const into = new FrameBatch({ frames: 256 })
  segmentFrames(batch, into)
  return [...into]
}

export function headersOf(batch: FrameBatch): VnetHeader[] {
  return Array.from({ length: batch.length }, (_, index) => new VnetHeader(batch.vnetHeaderBytes(index)))
}
