/** Giving up: by a signal, a time limit, or closing. */
import { expect, it } from 'vitest'
import { ack, done, FakeKernel, NLM_F_MULTI, nlmsg, request, u32 } from '../support/fake-kernel.js'

const NLM_F_DUMP = 0x300
const dumpRequest = () => request(18, u32(0), 1 | NLM_F_DUMP)

it('rejects at once with the reason of the signal, and stays usable', async () => {
  using kernel = new FakeKernel()
  const { socket } = kernel
  const controller = new AbortController()
  const pending = socket.request(request(42, u32(1)), { signal: controller.signal })
  pending.catch(() => {})
  const first = await kernel.next()
  const reason = new Error('changed my mind')
  const start = performance.now()
  controller.abort(reason)
  await expect(pending).rejects.toBe(reason)
  expect(performance.now() - start).toBeLessThan(500)

  const next = socket.request(request(42, u32(2)))
  // The answer to what was given up comes late, and is not taken for the answer to this.
  await kernel.say(nlmsg(43, 0, first.sequence, u32(111)), ack(first, -16))
  const second = await kernel.next()
  expect(second.sequence).not.toBe(first.sequence)
  await kernel.say(nlmsg(43, 0, first.sequence, u32(112)))
  await kernel.say(nlmsg(43, 0, second.sequence, u32(222)), ack(second))
  const replies = await next
  expect(replies.map(({ data, start }) => data.getUint8(start))).toEqual([222])
})

it('sends nothing for a signal that was aborted before', async () => {
  using kernel = new FakeKernel()
  const signal = AbortSignal.abort(new Error('too late'))
  await expect(kernel.socket.request(request(42), { signal })).rejects.toThrow('too late')
  await expect(kernel.socket.dump(dumpRequest(), { signal })).rejects.toThrow('too late')
  expect(await kernel.quiet()).toBe(true)
})

it('rejects with ERR_TIMEOUT, and stays usable', async () => {
  using kernel = new FakeKernel()
  const start = performance.now()
  await expect(kernel.socket.request(request(42), { timeout: 300 })).rejects.toMatchObject({ code: 'ERR_TIMEOUT' })
  expect(performance.now() - start).toBeGreaterThanOrEqual(290)
  expect(performance.now() - start).toBeLessThan(2000)
  const late = await kernel.next()
  const next = kernel.socket.request(request(42))
  await kernel.say(ack(late))
  await kernel.say(ack(await kernel.next()))
  await expect(next).resolves.toEqual([])
})

it('leaves no timer and no listener behind', async () => {
  using kernel = new FakeKernel()
  const controller = new AbortController()
  let listeners = 0
  const { signal } = controller
  const { addEventListener, removeEventListener } = signal
  signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
    listeners++
    return addEventListener.apply(signal, args)
  }
  signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
    listeners--
    return removeEventListener.apply(signal, args)
  }
  const pending = kernel.socket.request(request(42), { signal, timeout: 60_000 })
  const timers = () => process.getActiveResourcesInfo().filter(name => name === 'Timeout').length
  const before = timers()
  await kernel.say(ack(await kernel.next()))
  await pending
  expect(listeners).toBe(0)
  expect(timers()).toBeLessThan(before)
})

it('drops the rest of a dump that was given up before the next request is answered', async () => {
  using kernel = new FakeKernel()
  const controller = new AbortController()
  const pending = kernel.socket.dump(dumpRequest(), { signal: controller.signal })
  pending.catch(() => {})
  const first = await kernel.next()
  await kernel.say(nlmsg(16, NLM_F_MULTI, first.sequence, u32(1)))
  controller.abort()
  await expect(pending).rejects.toMatchObject({ name: 'AbortError' })
  const next = kernel.socket.dump(dumpRequest())
  await kernel.say(nlmsg(16, NLM_F_MULTI, first.sequence, u32(2)))
  await kernel.say(done(first))
  const second = await kernel.next()
  await kernel.say(nlmsg(16, NLM_F_MULTI, second.sequence, u32(3)), done(second))
  expect((await next).map(({ data, start }) => data.getUint8(start))).toEqual([3])
})

it('tells the items of a batch that were answered from those that were given up', async () => {
  using kernel = new FakeKernel()
  const controller = new AbortController()
  const pending = kernel.socket.batch([request(42), request(42)], { signal: controller.signal })
  const [one] = [await kernel.next(), await kernel.next()] as const
  await kernel.say(ack(one, -17))
  // The answer is on its way to the engine.
  await new Promise(resolve => setTimeout(resolve, 50))
  const reason = new Error('enough')
  controller.abort(reason)
  const [first, second] = await pending
  expect(first?.error).toMatchObject({ code: 'EEXIST' })
  expect(second?.error).toBe(reason)
})

it('rejects pending requests with ERR_CLOSED when the socket is closed', async () => {
  using kernel = new FakeKernel()
  const { socket } = kernel
  const pending = [socket.request(request(42)), socket.dump(dumpRequest()), socket.raw(request(42).bytes)]
  const settled = Promise.allSettled(pending)
  await kernel.next()
  socket.close()
  socket.close()
  expect((await settled).map(result => result.status === 'rejected' && result.reason.code)).toEqual([
    'ERR_CLOSED',
    'ERR_CLOSED',
    'ERR_CLOSED'
  ])
  await expect(socket.request(request(42))).rejects.toMatchObject({ code: 'ERR_CLOSED' })
  await expect(socket.dump(dumpRequest())).rejects.toMatchObject({ code: 'ERR_CLOSED' })
  await expect(socket.raw(request(42).bytes)).rejects.toMatchObject({ code: 'ERR_CLOSED' })
})
