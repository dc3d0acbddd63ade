/** Received bytes, readable as numbers of any width and, for walking attributes, byte by byte. */

/**
 * A DataView with its bytes beside it: plain indexing is several times faster than DataView's methods until the compiler
 * has seen them often enough, and walking attributes is most of the work on a large dump.
 */
export class Block extends DataView<ArrayBuffer> {
  readonly bytes: Uint8Array<ArrayBuffer>

  constructor(buffer: ArrayBuffer, offset = 0, length = buffer.byteLength - offset) {
    super(buffer, offset, length)
    this.bytes = new Uint8Array(buffer, offset, length)
  }
}

/** The bytes of any DataView. */
export function bytesOf(data: DataView): Uint8Array {
  return data instanceof Block ? data.bytes : new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
}
