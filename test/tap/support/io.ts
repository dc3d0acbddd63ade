/** Frames through descriptors: read and written one by one, on this thread. */
import { readSync, writeSync } from 'node:fs'
import { addon } from '../../../lib/addon.js'

const READABLE = 1
const LARGEST = 65_536 + 64

/** One frame, or `undefined` when none is there. */
export function tryRead(fd: number): Buffer | undefined {
  const buffer = Buffer.alloc(LARGEST)
  try {
    return buffer.subarray(0, readSync(fd, buffer))
  } catch (error) {
    if ((error as { code?: string }).code === 'EAGAIN') return undefined
    throw error
  }
}

export interface Watched {
  /** Whatever came, in order. */
  readonly frames: Buffer[]
  stop(): void
}

/** Takes every frame of a descriptor, and calls for each. */
export function watchFrames(fd: number, onFrame: (frame: Buffer) => void = () => {}): Watched {
  const frames: Buffer[] = []
  const poller = addon().createPoller(fd, () => {
    for (let frame = tryRead(fd); frame; frame = tryRead(fd)) {
      frames.push(frame)
      onFrame(frame)
    }
  })
  poller.poll(READABLE)
  return { frames, stop: () => poller.close() }
}

/** Answers frames. `header`: bytes of a virtio-net header before each, which is all zeros in the answers. */
export function respond(
  fd: number,
  answer: (frame: Buffer) => Buffer | undefined,
  header = 0
): Watched & { answered: number } {
  const watched = watchFrames(fd, frame => {
    const reply = answer(frame.subarray(header))
    if (!reply) return
    writeSync(fd, Buffer.concat([Buffer.alloc(header), reply]))
    state.answered++
  })
  const state = { ...watched, answered: 0 }
  return state
}

/** The first frame that is wanted, or `undefined` after some time. */
export async function nextFrame(
  fd: number,
  wanted: (frame: Buffer) => boolean,
  milliseconds = 3000
): Promise<Buffer | undefined> {
  return new Promise(resolve => {
    const finish = (frame?: Buffer) => {
      clearTimeout(timer)
      watched.stop()
      resolve(frame)
    }
    const timer = setTimeout(finish, milliseconds)
    const watched = watchFrames(fd, frame => {
      if (wanted(frame)) finish(frame)
    })
  })
}
