/** Two TAPs on a bridge of the kernel's: frames written into one come out of the other. */
import { afterAll, type TestContext } from 'vitest'
import { FrameBatch, type FrameQueue, type Offloads, Tap, VnetHeader } from '../../../lib/index.js'
import { batchOf } from '../../frames/support/batches.js'
import type { SuperFrame } from '../../frames/support/flows.js'
import { ip, run } from './system.js'

export interface Bridged {
  /** Sets what the reader takes. */
  take(offloads: Offloads): Promise<void>
  /** What comes out for frames of `FLOWS` that go in; waits for as many as are expected. */
  pass(frames: (SuperFrame | Uint8Array)[], expected: number): Promise<FrameBatch>
}

/** Made by the first test of a file that needs it, and gone with the file. */
export function bridgedTaps(): () => Promise<Bridged> {
  let made: Promise<{ taps: [Tap, Tap]; bridge: string }> | undefined
  afterAll(async () => {
    const { taps, bridge } = (await made) ?? { taps: [] }
    await Promise.all(taps.map(tap => tap.close()))
    if (bridge) ip(undefined, 'link', 'delete', bridge)
  })
  return async () => {
    made ??= make()
    const [writer, reader] = (await made).taps
    await reader.setOffloads({})
    return { take: offloads => reader.setOffloads(offloads), pass: (...what) => pass(writer, reader, ...what) }
  }
}

async function make(): Promise<{ taps: [Tap, Tap]; bridge: string }> {
  const bridge = 'offload-bridge'
  ip(undefined, 'link', 'add', 'name', bridge, 'up', 'type', 'bridge', 'stp_state', '0', 'mcast_snooping', '0')
  const options = { vnetHeader: true, master: bridge, mtu: 9000, up: true } as const
  return { taps: [await Tap.open(options), await Tap.open(options)], bridge }
}

const isOurs = (frame: Uint8Array) => frame[6] === 0x02 && frame[11] === 0x01 && frame[10] === 0

async function pass(
  writer: Tap,
  reader: Tap,
  frames: (SuperFrame | Uint8Array)[],
  expected: number
): Promise<FrameBatch> {
  const queue: FrameQueue = reader.frames()
  const read = queue.createBatch()
  while (queue.readBatch(read) > 0);
  const out = new FrameBatch({ frames: 8192, bytes: 4 << 20, vnetHeaderSize: 10 })
  const batch = batchOf(frames)
  const written = writer.frames().writeBatch(batch)
  if (written < batch.length) throw writer.frames().writeError
  for (const end = performance.now() + 1000; out.length < expected && performance.now() < end; ) {
    while (queue.readBatch(read) > 0) {
      for (let i = 0; i < read.length; i++) if (isOurs(read.frame(i))) out.push(read.frame(i), read.vnetHeaderBytes(i))
    }
    if (out.length < expected) await new Promise(resolve => setTimeout(resolve, 2))
  }
  return out
}

/** Makes a link so slow that what is sent to it waits in the kernel: 1000 bytes take 4 ms. */
export function slowDown(context: TestContext, link: string): void {
  const bucket = ['root', 'tbf', 'rate', '2mbit', 'burst', '2000', 'latency', '10s']
  try {
    run('tc', 'qdisc', 'add', 'dev', link, ...bucket)
  } catch (error) {
    context.skip(`this kernel cannot slow a link down: ${(error as Error).message}`)
  }
}

export function headers(batch: FrameBatch): VnetHeader[] {
  return Array.from({ length: batch.length }, (_, index) => new VnetHeader(batch.vnetHeaderBytes(index)))
}
