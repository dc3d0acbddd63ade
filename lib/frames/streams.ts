/** Frames as streams of Node and of the web: one chunk a frame. Comfortable, and several times slower than batches. */
import { Duplex } from 'node:stream'
import type { ReadableWritablePair } from 'node:stream/web'
import type { FrameQueue, FramesOptions } from './queue.js'

/**
 * An object-mode stream: reading gives a Buffer per frame (a copy), writing takes a frame's bytes. Backpressure reaches the
 * kernel's queue. Destroying it leaves the queue open.
 *
 * Virtio-net headers are left out, and an empty one is written: use it without `offloads`, or super-frames and frames
 * without a checksum come out as if they were finished.
 */
export function frameStream(queue: FrameQueue, options: FramesOptions = {}): Duplex {
  const stopping = new AbortController()
  const signal = options.signal ? AbortSignal.any([options.signal, stopping.signal]) : stopping.signal
  const frames = queue.each({ ...options, signal })
  const batch = queue.createBatch({ frames: 1, bytes: undefined })
  let reading = false

  const stream = new Duplex({
    objectMode: true,
    // What has no frames any more takes none, and a web stream ends when both sides do.
    allowHalfOpen: false,
    async read() {
      if (reading) return
      reading = true
      try {
        while (true) {
          const { value, done } = await frames.next()
          if (done) {
            stream.push(null)
            return
          }
          if (!stream.push(Buffer.from(value))) return
        }
      } catch (error) {
        stream.destroy(error as Error)
      } finally {
        reading = false
      }
    },
    write(frame: Uint8Array, _encoding, done) {
      batch.clear()
      if (!(frame instanceof Uint8Array) || !batch.push(frame)) {
        done(new TypeError('a frame is a Uint8Array of at most 256 KiB'))
        return
      }
      queue.write(batch, { signal }).then(() => done(), done)
    },
    destroy(error, done) {
      stopping.abort()
      void frames.return()
      done(error)
    }
  })
  return stream
}

/** The same as a pair of WHATWG streams. */
export function frameWebStreams(
  queue: FrameQueue,
  options: FramesOptions = {}
): ReadableWritablePair<Uint8Array, Uint8Array> {
  return Duplex.toWeb(frameStream(queue, options)) as ReadableWritablePair<Uint8Array, Uint8Array>
}
