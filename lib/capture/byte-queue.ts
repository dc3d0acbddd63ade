/** Bytes that have come and are not decoded yet, in one piece. */

const LEAST = 64 * 1024

/** It holds one block and one chunk at most: what is too long to be decoded is skipped as it comes. */
export class ByteQueue {
  bytes: Uint8Array = new Uint8Array(LEAST)
  data = new DataView(this.bytes.buffer)
  /** Where in `bytes` the next one is. */
  start = 0
  #end = 0
  /** Where in the whole source the next one is. */
  position = 0
  /** Bytes to drop that have not come yet. */
  #skipping = 0

  /** Bytes that are here. */
  get length(): number {
    return this.#end - this.start
  }

  /** Bytes that were to be skipped and have not come yet. */
  get missing(): number {
    return this.#skipping
  }

  /** Adds a copy of a chunk. */
  append(chunk: Uint8Array): void {
    const skipped = Math.min(this.#skipping, chunk.length)
    this.#skipping -= skipped
    this.position += skipped
    const length = chunk.length - skipped
    if (length === 0) return
    if (this.#end + length > this.bytes.length) this.#makeRoom(length)
    this.bytes.set(skipped > 0 ? chunk.subarray(skipped) : chunk, this.#end)
    this.#end += length
  }

  /** Drops bytes that are dealt with. */
  take(length: number): void {
    this.start += length
    this.position += length
  }

  /** Drops bytes whether they have come or not. */
  skip(length: number): void {
    const here = Math.min(length, this.length)
    this.take(here)
    this.#skipping = length - here
  }

  #makeRoom(more: number): void {
    const { length } = this
    if (length + more <= this.bytes.length) {
      this.bytes.copyWithin(0, this.start, this.#end)
    } else {
      const grown = new Uint8Array(2 ** Math.ceil(Math.log2(length + more)))
      grown.set(this.bytes.subarray(this.start, this.#end))
      this.bytes = grown
      this.data = new DataView(grown.buffer)
    }
    this.start = 0
    this.#end = length
  }
}
