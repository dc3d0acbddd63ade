/** Traced messages are those that went over the wire. */
import { expect, it } from 'vitest'
import { ack, FakeKernel, NLM_F_ACK, nlmsg, request, u32 } from '../support/fake-kernel.js'
import { traffic } from '../support/trace.js'

const FLAGS_AT = 6

/** A message without NLM_F_ACK, which the engine sets where it wants an answer. */
function withoutAck(bytes: Uint8Array): Buffer {
  const copy = Buffer.from(bytes)
  copy[FLAGS_AT] = (copy[FLAGS_AT] as number) & ~NLM_F_ACK
  return copy
}

it('shows requests as they came to the kernel, before their answers', async () => {
  using kernel = new FakeKernel()
  const arrived: Buffer[] = []
  const { sent, received, events } = await traffic(async () => {
    // So that sequence numbers do not begin with 1.
    const first = kernel.socket.request(request(74))
    const alone = await kernel.next()
    arrived.push(alone.bytes)
    await kernel.say(ack(alone, -16))
    await first.catch(() => {})
    const batch = kernel.socket.batch([request(50, u32(1)), request(51, u32(2)), request(52, u32(3))])
    const three = [await kernel.next(), await kernel.next(), await kernel.next()]
    arrived.push(...three.map(({ bytes }) => bytes))
    const [one, , last] = three
    if (!one || !last) throw new Error('they did not arrive')
    await kernel.say(nlmsg(43, 0, one.sequence, u32(7)), ack(last))
    await batch
  })
  expect(sent.map(({ bytes }) => withoutAck(bytes))).toEqual(arrived.map(withoutAck))
  expect(sent.map(({ sequence }) => sequence)).toEqual(arrived.map(bytes => bytes.readUInt32LE(8)))
  expect(new Set(sent.map(({ sequence }) => sequence)).size).toBe(4)
  expect(received.map(({ sequence }) => sequence)).toEqual([sent[0]?.sequence, sent[1]?.sequence])
  expect(events.map(({ direction, message }) => [direction, message.sequence])).toEqual([
    ['send', sent[0]?.sequence],
    ['receive', sent[0]?.sequence],
    ...sent.slice(1).map(({ sequence }) => ['send', sequence]),
    ['receive', sent[1]?.sequence]
  ])
})

it('shows what was sent and not answered, and not what was never sent', async () => {
  using kernel = new FakeKernel()
  const { sent } = await traffic(async () => {
    const controller = new AbortController()
    const answered = kernel.socket.request(request(74))
    const first = await kernel.next()
    // Behind one that waits for its answer, so that it stays in the queue.
    const waits = kernel.socket.request(request(43), { signal: controller.signal })
    controller.abort()
    await waits.catch(() => {})
    await kernel.say(ack(first))
    await answered
    const impatient = new AbortController()
    const lost = kernel.socket.request(request(76), { signal: impatient.signal })
    await kernel.next()
    impatient.abort()
    await lost.catch(() => {})
  })
  expect(sent.map(({ type }) => type)).toEqual(['RTM_74', 'RTM_76'])
})

it('shows raw bytes as they were when they were given', async () => {
  using kernel = new FakeKernel()
  const { sent } = await traffic(async () => {
    const { bytes } = request(74, u32(0x11111111))
    const pending = kernel.socket.raw(bytes)
    bytes.fill(0)
    await kernel.say(ack(await kernel.next()))
    await pending
  })
  expect(sent).toMatchObject([{ type: 'RTM_74', sequence: expect.any(Number) }])
  expect(Buffer.from(sent[0]?.bytes ?? []).readUInt32LE(16)).toBe(0x11111111)
})
