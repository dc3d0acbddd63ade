/** Dumps: their end, their errors, and tables that change meanwhile. */
import { expect, it } from 'vitest'
import {
  attr,
  done,
  FakeKernel,
  NLM_F_ACK,
  NLM_F_DUMP_INTR,
  NLM_F_MULTI,
  NLMSG_DONE,
  nlmsg,
  type Received,
  request,
  text,
  u32
} from '../support/fake-kernel.js'

const NLM_F_DUMP = 0x300
const ask = () => request(18, u32(0), 1 | NLM_F_DUMP)
const entry = (of: Received, value: number, flags = 0) => nlmsg(16, NLM_F_MULTI | flags, of.sequence, u32(value))
const values = (messages: { data: DataView; start: number }[]) =>
  messages.map(({ data, start }) => data.getUint8(start))

it('collects what comes until NLMSG_DONE', async () => {
  using kernel = new FakeKernel()
  const pending = kernel.socket.dump(ask())
  const received = await kernel.next()
  expect(received.flags & NLM_F_DUMP).toBe(NLM_F_DUMP)
  expect(received.flags & NLM_F_ACK).toBe(0)
  await kernel.say(entry(received, 1), entry(received, 2))
  await kernel.say(entry(received, 3))
  await kernel.say(done(received))
  expect(values(await pending)).toEqual([1, 2, 3])
})

it('asks again when the table changed, and gives the second answer alone', async () => {
  using kernel = new FakeKernel()
  const pending = kernel.socket.dump(ask())
  const first = await kernel.next()
  await kernel.say(entry(first, 1), entry(first, 2, NLM_F_DUMP_INTR))
  await kernel.say(done(first))
  const second = await kernel.next()
  expect(second.sequence).not.toBe(first.sequence)
  await kernel.say(entry(second, 3), done(second))
  expect(values(await pending)).toEqual([3])
})

it('notices the mark on NLMSG_DONE as well', async () => {
  using kernel = new FakeKernel()
  const pending = kernel.socket.dump(ask())
  const first = await kernel.next()
  await kernel.say(entry(first, 1))
  await kernel.say(done(first, 0, NLM_F_DUMP_INTR))
  const second = await kernel.next()
  await kernel.say(entry(second, 2), done(second))
  expect(values(await pending)).toEqual([2])
})

it('gives up on a table that never holds still, after a bounded number of attempts', async () => {
  using kernel = new FakeKernel()
  const pending = kernel.socket.dump(ask())
  pending.catch(() => {})
  let attempts = 0
  for (; attempts < 20; attempts++) {
    const datagram = await kernel.datagram(attempts === 0 ? 5000 : 300)
    if (!datagram) break
    const sequence = datagram.readUInt32LE(8)
    await kernel.say(
      nlmsg(16, NLM_F_MULTI | NLM_F_DUMP_INTR, sequence, u32(1)),
      nlmsg(NLMSG_DONE, NLM_F_MULTI, sequence, u32(0))
    )
  }
  await expect(pending).rejects.toMatchObject({ code: 'ERR_DUMP_INTERRUPTED' })
  expect(attempts).toBeGreaterThan(1)
  expect(attempts).toBeLessThanOrEqual(10)
})

it('reports an error inside NLMSG_DONE, with its words', async () => {
  using kernel = new FakeKernel()
  const pending = kernel.socket.dump(ask())
  const received = await kernel.next()
  await kernel.say(entry(received, 1))
  await kernel.say(done(received, -22, 0, attr(1, text('bad filter'))))
  await expect(pending).rejects.toMatchObject({ code: 'EINVAL', errno: -22, extack: 'bad filter' })
})

it('reports a datagram that is too large instead of losing its end', async () => {
  using kernel = new FakeKernel()
  const pending = kernel.socket.dump(ask())
  pending.catch(() => {})
  const received = await kernel.next()
  await kernel.say(...Array.from({ length: 70 }, () => nlmsg(16, NLM_F_MULTI, received.sequence, Buffer.alloc(1000))))
  await kernel.say(done(received))
  await expect(pending).rejects.toMatchObject({ code: 'EMSGSIZE' })
  // And the next is not disturbed.
  const next = kernel.socket.dump(ask())
  const again = await kernel.next()
  await kernel.say(entry(again, 5), done(again))
  expect(values(await next)).toEqual([5])
})

it('fails when the other end hangs up', async () => {
  using kernel = new FakeKernel()
  const pending = kernel.socket.dump(ask())
  const received = await kernel.next()
  await kernel.say(entry(received, 1))
  kernel.hangUp()
  await expect(pending).rejects.toMatchObject({ code: 'ECONNRESET' })
})

it('counts its time limit over all attempts', async () => {
  using kernel = new FakeKernel()
  const start = performance.now()
  const pending = kernel.socket.dump(ask(), { timeout: 200 })
  let rejected = false
  pending.catch(() => {
    rejected = true
  })
  while (!rejected && performance.now() - start < 3000) {
    const datagram = await kernel.datagram(150)
    if (!datagram) continue
    await new Promise(resolve => setTimeout(resolve, 120))
    const sequence = datagram.readUInt32LE(8)
    await kernel.say(nlmsg(NLMSG_DONE, NLM_F_MULTI | NLM_F_DUMP_INTR, sequence, u32(0)))
  }
  await expect(pending).rejects.toMatchObject({ code: 'ERR_TIMEOUT' })
  expect(performance.now() - start).toBeLessThan(600)
})
