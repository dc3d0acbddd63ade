/** What our own reader gets out of a capture. */
import { type ByteSource, type CapturedPacket, LinkwrightError, readCapture } from '../../../lib/index.js'

export async function readAll(source: ByteSource): Promise<CapturedPacket[]> {
  const packets: CapturedPacket[] = []
  for await (const packet of readCapture(source)) packets.push(packet)
  return packets
}

/** What came before the error, and the error, which must come. */
export async function readUntilError(
  source: ByteSource
): Promise<{ packets: CapturedPacket[]; error: LinkwrightError }> {
  const packets: CapturedPacket[] = []
  try {
    for await (const packet of readCapture(source)) packets.push(packet)
  } catch (error) {
    if (!(error instanceof LinkwrightError)) throw error
    return { packets, error }
  }
  throw new Error('nothing was thrown')
}

/** Frames that are in a file which is still being written. */
export async function countSoFar(path: string): Promise<number> {
  let count = 0
  try {
    for await (const _ of readCapture(path)) count++
  } catch (error) {
    if (!(error instanceof LinkwrightError) || error.code !== 'ERR_TRUNCATED_CAPTURE') throw error
  }
  return count
}
