import { once } from 'node:events'
import { expect, onTestFinished, test } from 'vitest'
import { frameStream, frameWebStreams } from '../../lib/index.js'
import { openTap } from '../tap/support/devices.js'
import { sendRaw } from '../tap/support/kernel-stack.js'
import { needsTun } from '../tap/support/needs.js'
import { ip } from '../tap/support/system.js'

needsTun()

const frameOf = (length: number, mark: number) => {
  const frame = Buffer.alloc(length, mark)
  Buffer.from('ffffffffffff02000000000188b5', 'hex').copy(frame)
  return frame
}

test('a stream gives frames that stay, and takes them', async () => {
  const tap = await openTap({ name: 'stream0', up: true, ipv6: false })
  const stream = frameStream(tap.frames())
  onTestFinished(() => void stream.destroy())
  await sendRaw('stream0', [frameOf(60, 1), frameOf(1514, 2), frameOf(100, 3)])
  const frames: Buffer[] = []
  for await (const frame of stream) if (frames.push(frame) === 3) break
  expect(frames).toEqual([frameOf(60, 1), frameOf(1514, 2), frameOf(100, 3)])
})

test('what nobody reads waits in the kernel', async () => {
  const tap = await openTap({ name: 'stream0', up: true, ipv6: false })
  const queue = tap.frames()
  const stream = frameStream(queue, { frames: 8 })
  onTestFinished(() => void stream.destroy())
  await sendRaw(
    'stream0',
    Array.from({ length: 100 }, (_, at) => frameOf(60, at))
  )
  await once(stream, 'readable')
  await new Promise(resolve => setTimeout(resolve, 100))
  // What the stream holds by itself, and the batch that the next one is in.
  expect(queue.counters.rxFrames).toBeLessThanOrEqual(stream.readableHighWaterMark + 8)
  const marks: number[] = []
  for await (const one of stream) if (marks.push(one[20]) === 100) break
  expect(marks).toEqual(Array.from({ length: 100 }, (_, at) => at))
})

test('what is written reaches the kernel', async () => {
  const tap = await openTap({ name: 'stream0', up: true, ipv6: false })
  const stream = frameStream(tap.frames())
  for (let at = 0; at < 100; at++) stream.write(frameOf(60, at))
  stream.end()
  await once(stream, 'finish')
  const { rx } = JSON.parse(ip(undefined, '-s', '-j', 'link', 'show', 'dev', 'stream0'))[0].stats64
  expect(rx.packets).toBe(100)
  stream.destroy()
})

test('an error of the device is one of the stream', async () => {
  const tap = await openTap({ name: 'stream0' })
  const stream = frameStream(tap.frames())
  const failed = once(stream, 'error')
  stream.write(frameOf(60, 1))
  expect((await failed)[0]).toMatchObject({ code: 'EIO' })
})

test('what is no frame is an error of the stream', async () => {
  const tap = await openTap({ name: 'stream0', up: true })
  const stream = frameStream(tap.frames())
  const failed = once(stream, 'error')
  stream.write('text')
  expect((await failed)[0]).toBeInstanceOf(TypeError)
})

test('a stream that is destroyed leaves the queue to others', async () => {
  const tap = await openTap({ name: 'stream0', up: true, ipv6: false })
  const stream = frameStream(tap.frames())
  stream.resume()
  stream.destroy()
  await once(stream, 'close')
  await sendRaw('stream0', [frameOf(60, 1)])
  for await (const batch of tap.frames()) {
    expect(batch.length).toBe(1)
    break
  }
})

test('a queue that is closed ends its stream, for reading and writing', async () => {
  const tap = await openTap({ name: 'stream0', up: true, ipv6: false })
  const queue = tap.frames()
  const stream = frameStream(queue).resume()
  const closed = once(stream, 'close')
  await new Promise(resolve => setTimeout(resolve, 20))
  queue.close()
  await closed
  expect(stream).toMatchObject({ readableEnded: true, writableFinished: true, errored: null })
})

test.each(['closed', 'deleted'])('a device that is %s ends a web stream', async how => {
  const tap = await openTap({ name: 'web0', up: true, ipv6: false })
  const reading = frameWebStreams(tap.frames()).readable.getReader().read()
  await new Promise(resolve => setTimeout(resolve, 20))
  if (how === 'closed') {
    await tap.close()
    expect(await reading).toEqual({ value: undefined, done: true })
  } else {
    ip(undefined, 'link', 'delete', 'web0')
    await expect(reading).rejects.toMatchObject({ code: 'EBADFD' })
  }
})

test('web streams do likewise', async () => {
  const tap = await openTap({ name: 'web0', up: true, ipv6: false })
  const { readable, writable } = frameWebStreams(tap.frames())
  await sendRaw('web0', [frameOf(60, 1)])
  const reader = readable.getReader()
  expect((await reader.read()).value).toEqual(frameOf(60, 1))
  const writer = writable.getWriter()
  await writer.write(frameOf(60, 2))
  const { rx } = JSON.parse(ip(undefined, '-s', '-j', 'link', 'show', 'dev', 'web0'))[0].stats64
  expect(rx.packets).toBe(1)
  await reader.cancel()
})
