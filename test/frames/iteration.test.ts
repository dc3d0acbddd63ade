/** The iterator of batches, over a source that the test plays. */
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { FrameBatch } from '../../lib/frames/batch.js'
import { BatchIterator, type BatchSource } from '../../lib/frames/iteration.js'

/** Has so many frames to give, and more when it is told. */
class Source implements BatchSource {
  closed = false
  begun = 0
  ended = 0
  reads = 0
  waits = 0
  readonly batch = new FrameBatch()
  #wake: (open: boolean) => void = () => {}

  constructor(public frames: number) {}

  begin(): FrameBatch {
    this.begun++
    return this.batch
  }

  read(): number {
    this.reads++
    return this.frames > 0 ? this.frames-- : 0
  }

  readable(): Promise<boolean> {
    this.waits++
    return new Promise(resolve => {
      this.#wake = resolve
    })
  }

  end(): void {
    this.ended++
  }

  give(frames: number): void {
    this.frames += frames
    this.#wake(true)
  }

  close(): void {
    this.closed = true
    this.#wake(false)
  }
}

test('calls that come before the last was answered are answered in their order', async () => {
  const source = new Source(0)
  const iterator = new BatchIterator(source, 1000, undefined)
  const order: number[] = []
  const calls = [1, 2, 3].map(number => iterator.next().then(({ done }) => order.push(done ? -number : number)))
  const returned = iterator.return().then(() => order.push(4))
  await sleep(5)
  expect([order, source.waits]).toEqual([[], 1])
  source.give(2)
  await sleep(5)
  expect(order).toEqual([1, 2])
  source.give(1)
  await Promise.all([...calls, returned])
  expect(order).toEqual([1, 2, 3, 4])
  expect([source.begun, source.ended]).toEqual([1, 1])
  expect(await iterator.next()).toEqual({ value: undefined, done: true })
})

test.each([0, 2])('with a budget of %s ms timers get their turn, and waiting takes no turns', async budget => {
  const source = new Source(Number.MAX_SAFE_INTEGER)
  const iterator = new BatchIterator(source, budget, undefined)
  let ticks = 0
  const timer = setInterval(() => ticks++, 1)
  const end = performance.now() + 60
  for await (const batch of iterator) {
    expect(batch).toBe(source.batch)
    if (performance.now() > end) break
  }
  clearInterval(timer)
  expect(ticks).toBeGreaterThan(5)
  expect(source.ended).toBe(1)

  const idle = new Source(0)
  const waiting = new BatchIterator(idle, budget, undefined).next()
  for (let i = 0; i < 50; i++) await turn()
  expect(idle.reads).toBe(1)
  idle.close()
  expect((await waiting).done).toBe(true)
  expect(idle.ended).toBe(1)
})

test('ends with the error that comes from below or is thrown in, and once', async () => {
  const source = new Source(1)
  source.read = () => {
    throw new Error('no more')
  }
  const iterator = new BatchIterator(source, 2, undefined)
  await expect(iterator.next()).rejects.toThrow('no more')
  await expect(iterator.throw(new Error('mine'))).rejects.toThrow('mine')
  expect((await iterator.next()).done).toBe(true)
  expect(source.ended).toBe(1)
  const stopping = new AbortController()
  const aborted = new BatchIterator(new Source(5), 2, stopping.signal)
  expect((await aborted.next()).done).toBe(false)
  stopping.abort(new Error('enough'))
  await expect(aborted.next()).rejects.toThrow('enough')
})
