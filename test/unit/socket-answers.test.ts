/** Answers find the request they belong to. */
import { expect, it } from 'vitest'
import { NLM_F_REQUEST } from '../../lib/netlink/constants.js'
import { ack, attr, FakeKernel, NLM_F_ACK, nlmsg, request, text, u32 } from '../support/fake-kernel.js'

const payloadOf = (message: { data: DataView; start: number; end: number }) =>
  Buffer.from(message.data.buffer, message.data.byteOffset + message.start, message.end - message.start)

it('resolves with what came back besides the acknowledgement', async () => {
  using kernel = new FakeKernel()
  const pending = kernel.socket.request(request(42, u32(7)))
  const received = await kernel.next()
  expect(received.type).toBe(42)
  expect(received.flags).toBe(NLM_F_REQUEST | NLM_F_ACK)
  expect(received.bytes.subarray(16)).toEqual(u32(7))
  await kernel.say(nlmsg(43, 0, received.sequence, u32(8)))
  await kernel.say(ack(received))
  const replies = await pending
  expect(replies.map(reply => [reply.type, payloadOf(reply)])).toEqual([[43, u32(8)]])
})

it('takes an answer that is split over several datagrams, and several in one', async () => {
  using kernel = new FakeKernel()
  const pending = kernel.socket.request(request(42))
  const received = await kernel.next()
  const part = (value: number) => nlmsg(43, 0, received.sequence, u32(value))
  await kernel.say(part(1), part(2))
  await kernel.say(part(3))
  await kernel.say(part(4), ack(received))
  expect((await pending).map(reply => payloadOf(reply))).toEqual([u32(1), u32(2), u32(3), u32(4)])
})

it('drops messages with another sequence number', async () => {
  using kernel = new FakeKernel()
  const pending = kernel.socket.request(request(42))
  const received = await kernel.next()
  const stranger = { ...received, sequence: received.sequence + 77 }
  await kernel.say(nlmsg(43, 0, stranger.sequence, u32(1)), ack(stranger, -16))
  await kernel.say(nlmsg(43, 0, 0, u32(2)))
  await kernel.say(nlmsg(43, 0, received.sequence, u32(3)), ack(received))
  expect((await pending).map(reply => payloadOf(reply))).toEqual([u32(3)])
})

it('answers several requests in flight, however their answers are packed', async () => {
  using kernel = new FakeKernel()
  const { socket } = kernel
  const pending = [1, 2, 3, 4, 5].map(value => socket.request(request(42, u32(value))))
  // Answered in any order of datagrams: each round as it comes, all its answers in one datagram.
  for (let answered = 0; answered < pending.length; ) {
    const first = await kernel.next()
    const round = [first]
    while (((round.at(-1)?.flags ?? 0) & NLM_F_ACK) === 0) round.push(await kernel.next())
    await kernel.say(
      ...round.flatMap(one => [
        nlmsg(43, 0, one.sequence, one.bytes.subarray(16), u32(0)),
        ...(one.flags & NLM_F_ACK ? [ack(one)] : [])
      ])
    )
    answered += round.length
  }
  const replies = await Promise.all(pending)
  expect(replies.map(([reply]) => reply && payloadOf(reply).readUInt8(0))).toEqual([1, 2, 3, 4, 5])
})

it('asks for one acknowledgement for a whole batch, on its last message', async () => {
  using kernel = new FakeKernel()
  const pending = kernel.socket.batch([1, 2, 3].map(value => request(42, u32(value))))
  const round = [await kernel.next(), await kernel.next(), await kernel.next()]
  expect(round.map(one => one.flags & NLM_F_ACK)).toEqual([0, 0, NLM_F_ACK])
  expect(round.map(one => one.sequence - (round[0]?.sequence ?? 0))).toEqual([0, 1, 2])
  await kernel.say(ack(round[2] as never))
  expect((await pending).map(result => result.error)).toEqual([undefined, undefined, undefined])
})

it('gives each item of a batch its own result', async () => {
  using kernel = new FakeKernel()
  const pending = kernel.socket.batch([1, 2, 3].map(value => request(42, u32(value))))
  const [one, two, three] = [await kernel.next(), await kernel.next(), await kernel.next()] as const
  await kernel.say(ack(one, -17, attr(1, text('it is there'))))
  await kernel.say(nlmsg(43, 0, two.sequence, u32(9)))
  await kernel.say(ack(three, -1))
  const results = await pending
  expect(results[0]?.error).toMatchObject({ code: 'EEXIST', errno: -17, item: 0, extack: 'it is there' })
  expect(results[1]?.error).toBeUndefined()
  expect(results[1]?.replies).toHaveLength(1)
  expect(results[2]?.error).toMatchObject({ code: 'EPERM', item: 2 })
})

it('takes an acknowledgement with a warning for success', async () => {
  using kernel = new FakeKernel()
  const pending = kernel.socket.request(request(42))
  await kernel.say(ack(await kernel.next(), 0, attr(1, text('deprecated'))))
  await expect(pending).resolves.toEqual([])
})

it('fails all that is in flight when the other end hangs up', async () => {
  using kernel = new FakeKernel()
  const pending = kernel.socket.request(request(42))
  await kernel.next()
  kernel.hangUp()
  await expect(pending).rejects.toMatchObject({ code: 'ECONNRESET' })
})

it('sends more requests than one window holds in several rounds', async () => {
  using kernel = new FakeKernel()
  const count = 1000
  const pending = kernel.socket.batch(Array.from({ length: count }, (_, value) => request(42, u32(value))))
  let rounds = 0
  for (let seen = 0; seen < count; seen++) {
    const one = await kernel.next()
    expect(one.bytes.readUInt16LE(16)).toBe(seen)
    if (!(one.flags & NLM_F_ACK)) continue
    rounds++
    await kernel.say(ack(one))
  }
  expect((await pending).filter(result => result.error)).toEqual([])
  expect(rounds).toBeGreaterThan(1)
})
