/** Bytes from a file, from memory or from a stream, a chunk at a time. */
import { type FileHandle, open } from 'node:fs/promises'
import { invalidArgument, nativeError } from '../errors.js'

/** A path, the bytes themselves, or a stream of bytes: a Readable of Node, a ReadableStream, any async iterable. */
export type ByteSource = string | Uint8Array | AsyncIterable<Uint8Array>

const CHUNK = 256 * 1024

/** @throws LinkwrightError what opening or reading a file runs into, `ERR_INVALID_ARG_VALUE` */
export function chunksOf(source: ByteSource): AsyncGenerator<Uint8Array, void, undefined> {
  if (typeof source === 'string') return fileChunks(source)
  if (source instanceof Uint8Array) return memoryChunks(source)
  if (typeof source === 'object' && source !== null && Symbol.asyncIterator in source) return streamChunks(source)
  throw invalidArgument('source', 'a path, bytes, or a stream of bytes', source)
}

/** Whether it can be read a second time. */
export function isRepeatable(source: ByteSource): boolean {
  return typeof source === 'string' || source instanceof Uint8Array
}

/** The next chunk is read while the last one is dealt with. */
async function* fileChunks(path: string): AsyncGenerator<Uint8Array, void, undefined> {
  let file: FileHandle | undefined
  let ahead: Promise<{ bytesRead: number; buffer: Uint8Array }> | undefined
  try {
    file = await open(path, 'r')
    let spare = new Uint8Array(CHUNK)
    ahead = file.read(new Uint8Array(CHUNK), 0, CHUNK, null)
    while (true) {
      const { bytesRead, buffer } = await ahead
      if (bytesRead === 0) return
      ahead = file.read(spare, 0, CHUNK, null)
      // Whether it fails is asked in the next round.
      ahead.catch(() => {})
      yield buffer.subarray(0, bytesRead)
      spare = buffer as Uint8Array<ArrayBuffer>
    }
  } catch (error) {
    throw nativeError(error, { syscall: `${(error as { syscall?: string }).syscall ?? 'read'}(${path})` })
  } finally {
    await ahead?.catch(() => {})
    await file?.close()
  }
}

async function* memoryChunks(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; at < bytes.length; at += CHUNK) yield bytes.subarray(at, at + CHUNK)
}

async function* streamChunks(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of stream) {
    if (!(chunk instanceof Uint8Array)) throw invalidArgument('source', 'a stream of Uint8Array', chunk)
    yield* memoryChunks(chunk)
  }
}
