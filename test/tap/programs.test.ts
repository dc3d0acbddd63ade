import { expect, type TestContext, test } from 'vitest'
import { BROADCAST, ethernet } from '../support/frames.js'
import { openTap } from './support/devices.js'
import { programReturning } from './support/ebpf.js'
import { type Watched, watchFrames } from './support/io.js'
import { sendRaw } from './support/kernel-stack.js'
import { needsTun } from './support/needs.js'
import { ipLink } from './support/system.js'

needsTun()

const frames = Array.from({ length: 8 }, (_, at) =>
  ethernet(BROADCAST, `02:00:00:00:00:0${at}`, 0x88b5, Buffer.alloc(50, at))
)

/** How many of our frames came out of each queue. */
function counts(watched: Watched[]): number[] {
  return watched.map(({ frames: got }) => got.filter(frame => frames.some(sent => sent.equals(frame))).length)
}

async function load(context: TestContext, value: number): Promise<number> {
  try {
    return await programReturning(value)
  } catch (error) {
    context.skip(`eBPF programs cannot be loaded here: ${(error as Error).message}`)
    throw error
  }
}

async function sendAndCount(link: string, fds: number[], expected: number): Promise<number[]> {
  const watched = fds.map(fd => watchFrames(fd))
  await sendRaw(link, frames)
  await expect.poll(() => counts(watched).reduce((sum, count) => sum + count)).toBe(expected)
  for (const { stop } of watched) stop()
  return counts(watched)
}

test.for([0, 1, 2])('a steering program sends all to queue %i', async (queue, context) => {
  const steeringProgram = await load(context, queue)
  const tap = await openTap({ name: 'steer0', queues: 3, up: true, steeringProgram })
  const expected = [0, 0, 0]
  expected[queue] = frames.length
  expect(await sendAndCount('steer0', tap.fds, frames.length)).toEqual(expected)
})

test('it is changed later, and taken away', async context => {
  const tap = await openTap({ name: 'steer0', queues: 2, up: true })
  await tap.setSteeringProgram(await load(context, 1))
  expect(await sendAndCount('steer0', tap.fds, frames.length)).toEqual([0, frames.length])
  await tap.setSteeringProgram(await load(context, 0))
  expect(await sendAndCount('steer0', tap.fds, frames.length)).toEqual([frames.length, 0])
  await tap.setSteeringProgram(null)
  expect((await sendAndCount('steer0', tap.fds, frames.length)).reduce((sum, count) => sum + count)).toBe(frames.length)
})

test('a filter program drops', async context => {
  const tap = await openTap({ name: 'steer0', up: true, filterProgram: await load(context, 0) })
  const watched = watchFrames(tap.fd)
  await sendRaw('steer0', frames)
  expect(counts([watched])).toEqual([0])
  watched.stop()
  await tap.setFilterProgram(null)
  expect(await sendAndCount('steer0', tap.fds, frames.length)).toEqual([frames.length])
})

test('a descriptor that is no program is refused, and nothing stays', async () => {
  await expect(openTap({ name: 'steer0', steeringProgram: 0 })).rejects.toMatchObject({
    code: expect.stringMatching(/^E(INVAL|BADF)$/),
    syscall: 'ioctl(TUNSETSTEERINGEBPF)',
    link: 'steer0'
  })
  expect(ipLink('steer0')).toBeUndefined()
})
