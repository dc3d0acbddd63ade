/** Reading captures: pcap and pcapng, of whatever byte order and resolution. */
import { Readable } from 'node:stream'
import { LinkwrightError } from '../errors.js'
import type { FrameDirection } from '../frames/mirror.js'
import { untilAborted } from './aborting.js'
import { ByteQueue } from './byte-queue.js'
import { type ByteSource, chunksOf } from './byte-source.js'
import { DecodedPacket, type Decoder, type RecordedInterface, truncated } from './decoder.js'
import { PCAP_MAGIC, PcapDecoder } from './pcap-decoder.js'
import { BLOCK, PACKET_FLAG } from './pcapng.js'
import { PcapngDecoder } from './pcapng-decoder.js'

/** A frame of a capture. */
export interface CapturedPacket {
  /** Nanoseconds since 1970; 0 where the file has none (simple packet blocks). */
  timestamp: bigint
  interface: RecordedInterface
  /** `undefined` where the file does not say. */
  direction: FrameDirection | undefined
  /** What was kept of it; a copy. */
  bytes: Uint8Array
  /** Bytes that it had. */
  originalLength: number
  comment: string | undefined
  /** Frames of the interface that were lost before this one, as far as the file says. */
  dropped: number
}

/**
 * Reads a capture, frame by frame, in bounded memory whatever the file says of itself.
 *
 * @param source a path, the bytes, or a stream of them (uncompressed)
 * @throws LinkwrightError `ERR_INVALID_CAPTURE` (no such file format, or damaged) and `ERR_TRUNCATED_CAPTURE` (it ends within
 * a frame, such as one that is still being written), both with the `offset`; all whole frames come before. What opening the
 * file runs into. The signal's reason.
 */
export async function* readCapture(
  source: ByteSource,
  options: { signal?: AbortSignal | undefined } = {}
): AsyncGenerator<CapturedPacket, void, undefined> {
  const reader = new PacketReader(source)
  try {
    do {
      while (reader.next()) yield toPacket(reader.packet)
    } while (await reader.fill(options.signal))
  } finally {
    await reader.close()
  }
}

/** What is read, before it is copied. */
export class PacketReader {
  /** What `next()` decoded: valid until it is called again. */
  readonly packet = new DecodedPacket()
  readonly #source: ByteSource
  readonly #chunks: AsyncGenerator<Uint8Array, void, undefined>
  readonly #queue = new ByteQueue()
  #decoder: Decoder | undefined
  #aborted = false

  constructor(source: ByteSource) {
    this.#source = source
    this.#chunks = chunksOf(source)
  }

  /** Decodes the next frame; `false` if it is not here yet: `fill()`. */
  next(): boolean {
    this.#decoder ??= decoderFor(this.#queue)
    return this.#decoder?.next(this.packet) ?? false
  }

  /** Waits for more bytes; `false` at the end of a whole capture. */
  async fill(signal?: AbortSignal): Promise<boolean> {
    const { value, done } = await this.#more(signal)
    if (!done) {
      this.#queue.append(value)
      return true
    }
    if (!this.#decoder) throw truncated(0)
    this.#decoder.end()
    return false
  }

  /** Idempotent. */
  async close(): Promise<void> {
    const closing = this.#chunks.return()
    if (!this.#aborted) await closing
    // A stream that nothing comes from would be waited for.
    else closing.catch(() => {})
  }

  async #more(signal: AbortSignal | undefined): Promise<IteratorResult<Uint8Array, void>> {
    signal?.throwIfAborted()
    try {
      return await untilAborted(this.#chunks.next(), signal)
    } catch (error) {
      if (signal?.aborted) {
        this.#aborted = true
        if (this.#source instanceof Readable) this.#source.destroy()
      }
      throw error
    }
  }
}

const GZIP = 0x1f8b0000
const ZSTD = 0x28b52ffd

/** Chosen by the first four bytes. */
function decoderFor(queue: ByteQueue): Decoder | undefined {
  if (queue.length < 4) return undefined
  const { data, start } = queue
  for (const littleEndian of [true, false]) {
    const magic = data.getUint32(start, littleEndian)
    // The same in both orders.
    if (magic === BLOCK.SECTION) return new PcapngDecoder(queue)
    if (magic === PCAP_MAGIC.MICROSECONDS) return new PcapDecoder(queue, littleEndian, false)
    if (magic === PCAP_MAGIC.NANOSECONDS) return new PcapDecoder(queue, littleEndian, true)
  }
  const magic = data.getUint32(start, false)
  const compressed = magic >>> 16 === GZIP >>> 16 || magic === ZSTD ? ': it is compressed' : ''
  throw new LinkwrightError(`neither a pcap nor a pcapng file${compressed}`, { code: 'ERR_INVALID_CAPTURE', offset: 0 })
}

export function toPacket(packet: DecodedPacket): CapturedPacket {
  const { timestamp, bytes, offset, length, originalLength, comment, dropped, flags } = packet
  const direction = flags & PACKET_FLAG.DIRECTION
  return {
    timestamp,
    interface: packet.interface,
    direction:
      direction === PACKET_FLAG.INBOUND ? 'inbound' : direction === PACKET_FLAG.OUTBOUND ? 'outbound' : undefined,
    bytes: bytes.slice(offset, offset + length),
    originalLength,
    comment,
    dropped
  }
}
