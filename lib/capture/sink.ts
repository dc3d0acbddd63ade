/** Where a capture goes: a file, a FIFO, a stream of Node or of the web. */
import { constants, openSync } from 'node:fs'
import { type FileHandle, open, stat } from 'node:fs/promises'
import { Socket } from 'node:net'
import type { Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { LinkwrightError, nativeError } from '../errors.js'

/** Takes one chunk after the other. */
export interface Sink {
  /** Resolves when it wants the next chunk; the memory of this one is the caller's again then. */
  write(chunk: Uint8Array): Promise<void>
  /** Resolves when everything is written; a file is closed, a stream ended if that is wanted. */
  close(): Promise<void>
  /** Lets go without waiting for what is on its way. */
  destroy(): void
}

/** Captures hold other people's traffic. */
const OWNER_ONLY = 0o600

/** @param end whether a stream is ended with the capture */
export async function openSink(target: string | Writable | WritableStream<Uint8Array>, end: boolean): Promise<Sink> {
  if (typeof target !== 'string') return 'getWriter' in target ? new WebSink(target, end) : new StreamSink(target, end)
  try {
    const isFifo = await stat(target).then(
      found => found.isFIFO(),
      () => false
    )
    return isFifo ? openFifo(target) : new FileSink(await open(target, 'w', OWNER_ONLY), target)
  } catch (error) {
    const diagnosis = (error as { code?: string }).code === 'ENXIO' ? 'nobody reads this FIFO yet' : undefined
    throw nativeError(error, { syscall: `open(${target})`, diagnosis })
  }
}

/** Files wait for a FIFO's reader on a thread that others need; a socket waits on the event loop. */
function openFifo(path: string): Sink {
  const fd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK)
  return new StreamSink(new Socket({ fd, readable: false, writable: true }), true)
}

class FileSink implements Sink {
  readonly #file: FileHandle
  readonly #path: string

  constructor(file: FileHandle, path: string) {
    this.#file = file
    this.#path = path
  }

  async write(chunk: Uint8Array): Promise<void> {
    try {
      for (let at = 0; at < chunk.length; ) at += (await this.#file.write(chunk, at)).bytesWritten
    } catch (error) {
      throw nativeError(error, { syscall: `write(${this.#path})` })
    }
  }

  async close(): Promise<void> {
    await this.#file.close()
  }

  destroy(): void {
    // It waits for a write that is on its way by itself.
    void this.#file.close().catch(() => {})
  }
}

class StreamSink implements Sink {
  readonly #stream: Writable
  readonly #end: boolean
  #error: Error | undefined
  /** Settles the write that is on its way. */
  #settle: ((error?: Error | null) => void) | undefined
  readonly #onError = (error: Error) => {
    this.#error ??= error
    this.#settle?.(error)
  }
  /** A stream that is destroyed may call nobody back. */
  readonly #onClose = () => {
    this.#error ??= new LinkwrightError('the stream was closed under the capture', {
      code: 'ERR_STREAM_PREMATURE_CLOSE'
    })
    this.#settle?.(this.#error)
  }

  constructor(stream: Writable, end: boolean) {
    this.#stream = stream
    this.#end = end
    stream.on('error', this.#onError).on('close', this.#onClose)
  }

  async write(chunk: Uint8Array): Promise<void> {
    // A copy: streams hand on what they are given (PassThrough), and say nothing of when it has been read.
    await this.#write(Buffer.from(chunk))
  }

  async close(): Promise<void> {
    try {
      // Behind everything else.
      await this.#write(Buffer.alloc(0))
      this.#stream.off('close', this.#onClose)
      if (!this.#end) return
      this.#stream.end()
      await finished(this.#stream, { readable: false })
    } finally {
      this.#forget()
    }
  }

  destroy(): void {
    if (this.#end) this.#stream.destroy()
    this.#forget()
  }

  /** Resolves when the stream calls back, which keeps it to one chunk. */
  #write(bytes: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#settle = error => (error ? reject(error) : resolve())
      if (this.#stream.destroyed || this.#stream.writableEnded) this.#onClose()
      if (this.#error) reject(this.#error)
      else this.#stream.write(bytes, this.#settle)
    })
  }

  /** Errors of our own stream may follow still; without a listener they would end the process. */
  #forget(): void {
    this.#stream.off('close', this.#onClose)
    if (!this.#end) this.#stream.off('error', this.#onError)
  }
}

class WebSink implements Sink {
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>
  readonly #end: boolean

  constructor(stream: WritableStream<Uint8Array>, end: boolean) {
    this.#writer = stream.getWriter()
    this.#end = end
    // Said by write() and close() as well.
    this.#writer.closed.catch(() => {})
  }

  async write(chunk: Uint8Array): Promise<void> {
    await this.#writer.ready
    this.#writer.write(chunk.slice()).catch(() => {})
    await this.#writer.ready
  }

  async close(): Promise<void> {
    if (this.#end) return this.#writer.close()
    await this.#writer.ready
    this.#writer.releaseLock()
  }

  destroy(): void {
    if (this.#end) void this.#writer.abort().catch(() => {})
    else this.#writer.releaseLock()
  }
}
