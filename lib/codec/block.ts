/** Received bytes, readable as numbers of any width and, for walking attributes, byte by byte. */

/**
 * Attributes per row of an index, by number: those from 0 to 63. An entry is 0 for an attribute that did not come, else
 * one more than its distance from the first attribute, in units of four bytes.
 */
export const INDEX_ROW = 64

/**
 * A DataView with its bytes beside it: plain indexing is several times faster than DataView's methods until the compiler
 * has seen them often enough, and walking attributes is most of the work on a large dump.
 */
export class Block extends DataView<ArrayBuffer> {
  readonly bytes: Uint8Array<ArrayBuffer>
  /** Of a large dump: where each message's attributes begin, a row of {@link INDEX_ROW} a message. */
  index: Uint16Array | undefined

  constructor(buffer: ArrayBuffer, offset = 0, length = buffer.byteLength - offset) {
    super(buffer, offset, length)
    this.bytes = new Uint8Array(buffer, offset, length)
  }
}

/** The bytes of any DataView. */
export function bytesOf(data: DataView): Uint8Array {
  return data instanceof Block ? data.bytes : new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
}
