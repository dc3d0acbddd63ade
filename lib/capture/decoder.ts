/** What the decoders of pcap and pcapng have in common. */
import { LinkwrightError } from '../errors.js'

/** An interface that frames of a file were captured on. */
export interface RecordedInterface {
  /** Its number within its section of the file. */
  readonly id: number
  /** `undefined` where the file does not say: pcap never does. */
  readonly name: string | undefined
  readonly description: string | undefined
  readonly comment: string | undefined
  /** LINKTYPE number: 1 for Ethernet, 101 for IP packets. */
  readonly linkType: number
  /** Most bytes of a frame that were kept; 0 for no limit. */
  readonly snapLength: number
  /** Bytes of a frame check sequence at the end of each frame. */
  readonly fcsLength: number
  /** What the file says of it at its end, so known then. */
  statistics: { received: bigint | undefined; dropped: bigint | undefined } | undefined
}

/** A frame in the memory of the decoder: valid until the next one is asked for. */
export class DecodedPacket {
  interface!: RecordedInterface
  /** Nanoseconds since 1970. */
  timestamp = 0n
  bytes!: Uint8Array
  offset = 0
  length = 0
  originalLength = 0
  /** Bits of epb_flags. */
  flags = 0
  dropped = 0
  comment: string | undefined
}

export interface Decoder {
  /** Decodes the next frame into `packet`; `false` if more bytes are needed for it. */
  next(packet: DecodedPacket): boolean
  /** There are no more bytes: throws if something is incomplete. */
  end(): void
}

/** Longest frame of any link type that is taken for real, as Wireshark does. */
export const LONGEST_FRAME = 262_144

/** @param offset from the beginning of the source */
export function malformed(offset: number, what: string): LinkwrightError {
  return new LinkwrightError(`not a valid capture: ${what} at byte ${offset}`, { code: 'ERR_INVALID_CAPTURE', offset })
}

/** @param offset where what is incomplete begins */
export function truncated(offset: number): LinkwrightError {
  return new LinkwrightError(`the capture ends in the middle of what begins at byte ${offset}`, {
    code: 'ERR_TRUNCATED_CAPTURE',
    offset
  })
}
