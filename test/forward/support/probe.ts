/** The far end of a port that is a test: frames go in and come out of it one by one. */
import { onTestFinished } from 'vitest'
import { addon } from '../../../lib/addon.js'
import { type Pipe, type PortSource, UnixPort } from '../../../lib/index.js'
import { READABLE, Readiness } from '../../../lib/readiness.js'
import { openPipe } from './forwarders.js'

export class Probe {
  readonly port: UnixPort
  readonly #fd: number
  readonly #readiness: Readiness

  private constructor(port: UnixPort, fd: number) {
    this.port = port
    this.#fd = fd
    this.#readiness = new Readiness(fd)
  }

  static open(): Probe {
    const { port, peer } = UnixPort.pair('dgram')
    const probe = new Probe(port, peer.fds[0] as number)
    onTestFinished(async () => {
      probe.#readiness.close(new Error('the test is over'))
      await Promise.all([port.close(), peer.close()])
    })
    return probe
  }

  send(...frames: Buffer[]): void {
    for (const frame of frames) {
      if (addon().unixSend(this.#fd, frame, []) !== frame.length) throw new Error('the pipe takes no more')
    }
  }

  /** The next frame, or `undefined` when none comes for some time. */
  async receive(milliseconds = 2000): Promise<Buffer | undefined> {
    const buffer = Buffer.alloc(70_000)
    for (;;) {
      const received = addon().unixReceive(this.#fd, buffer)
      if (received) return buffer.subarray(0, received.bytes)
      try {
        await this.#readiness.until(READABLE, AbortSignal.timeout(milliseconds))
      } catch {
        return undefined
      }
    }
  }

  async receiveMany(count: number): Promise<Buffer[]> {
    const frames: Buffer[] = []
    while (frames.length < count) {
      const frame = await this.receive()
      if (!frame) break
      frames.push(frame)
    }
    return frames
  }
}

/** What is on the other side of a port. */
export async function probe(port: PortSource): Promise<Probe & { pipe: Pipe }> {
  const far = Probe.open()
  const pipe = await openPipe(port, far.port)
  return Object.assign(far, { pipe })
}

/** Closed with the test. */
export function closedAfterwards<T extends { close(): Promise<void> }>(port: T): T {
  onTestFinished(() => port.close())
  return port
}

/** A frame that is told from others by its number. */
export function numberedFrame(number: number, length = 60): Buffer {
  const frame = Buffer.alloc(length, number & 0xff)
  Buffer.from('020000000002020000000001', 'hex').copy(frame)
  frame.writeUInt16BE(0x88b5, 12)
  if (length >= 18) frame.writeUInt32BE(number, 14)
  return frame
}
