/** The escape hatch: bytes out, messages back. */
import { expect, it } from 'vitest'
import {
  ack,
  done,
  FakeKernel,
  NLM_F_ACK,
  NLM_F_MULTI,
  NLMSG_DONE,
  NLMSG_ERROR,
  nlmsg,
  u32
} from '../support/fake-kernel.js'

it('sends messages of any type as they are, with sequence numbers of its own', async () => {
  using kernel = new FakeKernel()
  const bytes = Buffer.concat([nlmsg(999, 1, 12345, Buffer.from('odd')), nlmsg(1000, 0x801, 12345, u32(2))])
  const copy = Buffer.from(bytes)
  const pending = kernel.socket.raw(bytes)
  const [one, two] = [await kernel.next(), await kernel.next()] as const
  expect(one).toMatchObject({ type: 999, flags: 1 })
  expect(one.bytes.subarray(16, 19).toString()).toBe('odd')
  expect(two).toMatchObject({ type: 1000, flags: 0x801 | NLM_F_ACK, sequence: one.sequence + 1 })
  await kernel.say(nlmsg(1001, 0, one.sequence, u32(3)), ack(two))
  expect((await pending).map(reply => reply.type)).toEqual([1001])
  expect(bytes).toEqual(copy)
})

it('gives errors as messages', async () => {
  using kernel = new FakeKernel()
  const pending = kernel.socket.raw(nlmsg(999, 1, 0, u32(1)))
  await kernel.say(ack(await kernel.next(), -95))
  const [reply] = await pending
  expect(reply?.type).toBe(NLMSG_ERROR)
  expect(reply?.data.getInt32(reply.start, true)).toBe(-95)
})

it('dumps', async () => {
  using kernel = new FakeKernel()
  const pending = kernel.socket.raw(nlmsg(999, 0x301, 0, u32(1)), { dump: true })
  const received = await kernel.next()
  await kernel.say(nlmsg(1001, NLM_F_MULTI, received.sequence, u32(3)))
  await kernel.say(done(received, -22))
  expect((await pending).map(reply => reply.type)).toEqual([1001, NLMSG_DONE])
})

it.each([
  ['nothing', Buffer.alloc(0)],
  ['half a header', Buffer.alloc(8)],
  ['a length beyond the end', nlmsg(1, 1, 0, u32(1)).fill(0xff, 0, 1)],
  ['a length below that of the header', nlmsg(1, 1, 0, u32(1)).fill(4, 0, 1)]
])('refuses bytes that are no messages: %s', async (_, bytes) => {
  using kernel = new FakeKernel()
  await expect(kernel.socket.raw(bytes)).rejects.toThrow(/whole netlink messages/)
  expect(await kernel.quiet(20)).toBe(true)
})

it.each([0, 1, 0x100, 0x101, 0x201, 0x300])('refuses a dump whose flags %i ask for none', async flags => {
  using kernel = new FakeKernel()
  await expect(kernel.socket.raw(nlmsg(999, flags, 0, u32(1)), { dump: true })).rejects.toThrow(/NLM_F_DUMP/)
  expect(await kernel.quiet(20)).toBe(true)
})
