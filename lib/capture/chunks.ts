/** Memory between what makes blocks and the sink that takes them: big chunks, and no more of them than was agreed. */
import type { Sink } from './sink.js'

/** Any block fits into one: the longest frame and the longest comment are a quarter of a megabyte and a bit. */
export const CHUNK_BYTES = 512 * 1024

class Chunk {
  readonly bytes = new Uint8Array(CHUNK_BYTES)
  readonly words = new Uint32Array(this.bytes.buffer)
  used = 0
}

/**
 * Blocks are written into the current chunk; full chunks go to the sink one by one, and come back to be filled again.
 * When all are full there is no room: the caller decides what becomes of it.
 */
export class ChunkedWriter {
  readonly #sink: Sink
  readonly #most: number
  readonly #flushInterval: number
  #made = 0
  #current: Chunk | undefined
  readonly #free: Chunk[] = []
  readonly #full: Chunk[] = []
  #draining = false
  /** Settles when the sink has taken the chunk that it has. */
  #step: Promise<void> | undefined
  #sealed = 0
  #taken = 0
  #timer: NodeJS.Timeout | undefined
  #error: unknown

  /** @param flushInterval milliseconds after which a chunk that is not full is written as well */
  constructor(sink: Sink, chunks: number, flushInterval: number) {
    this.#sink = sink
    this.#most = chunks
    this.#flushInterval = flushInterval
  }

  /** Why the sink takes nothing any more. */
  get error(): unknown {
    return this.#error
  }

  /** Whether there is room for so many bytes in one piece, at `position` of `bytes` and `words`. */
  reserve(length: number): boolean {
    const current = this.#current
    if (current && current.used + length <= CHUNK_BYTES) return true
    if (this.#error !== undefined) return false
    if (current) this.#seal(current)
    this.#current = this.#free.pop() ?? this.#make()
    return this.#current !== undefined
  }

  get bytes(): Uint8Array {
    return (this.#current as Chunk).bytes
  }

  get words(): Uint32Array {
    return (this.#current as Chunk).words
  }

  /** Where the next block begins; a multiple of 4. */
  get position(): number {
    return (this.#current as Chunk).used
  }

  /** So many bytes were written after a successful `reserve()`. */
  advance(length: number): void {
    const current = this.#current as Chunk
    current.used += length
    // A capture that is merely open does not keep the process alive.
    this.#timer ??= setTimeout(() => this.#onTimer(), this.#flushInterval).unref()
  }

  /** Writes a block that was made elsewhere, if there is room. */
  append(block: Uint8Array): boolean {
    if (!this.reserve(block.length)) return false
    this.bytes.set(block, this.position)
    this.advance(block.length)
    return true
  }

  /** Hands what was written so far to the sink; resolves when it has taken that. */
  async flush(): Promise<void> {
    if (this.#current?.used) this.#seal(this.#current)
    for (const until = this.#sealed; this.#taken < until && this.#error === undefined; ) await this.#step
    if (this.#error !== undefined) throw this.#error
  }

  /** Forgets what was not written. */
  stop(error: unknown): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#error ??= error
    this.#current = undefined
    this.#full.length = 0
    this.#free.length = 0
  }

  #make(): Chunk | undefined {
    if (this.#made === this.#most) return undefined
    this.#made++
    return new Chunk()
  }

  #onTimer(): void {
    this.#timer = undefined
    // A sink that is busy gets full chunks first: half empty ones would only fill the memory.
    if (this.#draining) {
      this.#timer = setTimeout(() => this.#onTimer(), this.#flushInterval).unref()
    } else if (this.#current?.used) this.#seal(this.#current)
  }

  #seal(chunk: Chunk): void {
    this.#current = undefined
    this.#full.push(chunk)
    this.#sealed++
    if (!this.#draining) void this.#drain()
  }

  async #drain(): Promise<void> {
    this.#draining = true
    for (let chunk = this.#full.shift(); chunk; chunk = this.#full.shift()) {
      this.#step = this.#sink.write(chunk.bytes.subarray(0, chunk.used)).catch(error => this.stop(error))
      await this.#step
      this.#taken++
      chunk.used = 0
      this.#free.push(chunk)
    }
    this.#draining = false
  }
}
