/** What a watch asks the kernel for, and what it makes of dumps that were interrupted and sockets that fail. */
import { describe, expect, it, onTestFinished } from 'vitest'
import { WatchCore } from '../../lib/link/watch/core.js'
import type { Kind } from '../../lib/link/watch/kind.js'
import { watchedLinks } from '../../lib/link/watch/kinds/links.js'
import { watchedNeighbours } from '../../lib/link/watch/kinds/neighbours.js'
import { dataView, messagesIn } from '../../lib/netlink/framing.js'
import type { NotificationHandlers } from '../../lib/netlink/notifications.js'
import {
  ack,
  attr,
  done,
  FakeKernel,
  NLM_F_DUMP_INTR,
  NLM_F_MULTI,
  nlmsg,
  type Received,
  s32,
  text,
  u16,
  u32
} from '../support/fake-kernel.js'

const [NEWLINK, GETLINK, NEWNEIGH, GETNEIGH] = [16, 18, 28, 30]
const NLM_F_DUMP = 0x300

/** struct ifinfomsg and a name. */
const link = (index: number, name: string) => [Buffer.concat([u32(0), s32(index), u32(0), u32(0)]), attr(3, text(name))]
const entry = (of: Received, index: number, name: string) =>
  nlmsg(NEWLINK, NLM_F_MULTI, of.sequence, ...link(index, name))

/** A watch of what the test plays the kernel of. */
class Stage {
  readonly kernel = new FakeKernel()
  readonly core: WatchCore
  opened = 0
  closed = 0
  handlers: NotificationHandlers | undefined

  constructor(kinds: unknown[], options = {}) {
    const open = async (handlers: NotificationHandlers) => {
      this.opened++
      this.handlers = handlers
      return { socket: this.kernel.socket, ref() {}, unref() {}, close: async () => void this.closed++ }
    }
    this.core = new WatchCore(kinds as Kind[], open, { recheck: Number.POSITIVE_INFINITY, ...options })
    onTestFinished(async () => {
      await this.core.end('closed')
      this.kernel[Symbol.dispose]()
    })
  }

  announce(type: number, ...payload: Buffer[]): void {
    this.handlers?.messages(messagesIn(dataView(nlmsg(type, 0, 0, ...payload))), -1)
  }

  /** Answers a dump of links. */
  async answer(names: Record<number, string>, flags = 0): Promise<void> {
    const request = await this.#next(GETLINK, NLM_F_DUMP)
    const entries = Object.entries(names).map(([index, name]) => entry(request, Number(index), name))
    await this.kernel.say(...entries, done(request, 0, flags))
  }

  /** Answers requests for single links: a name, or nothing for one that is not there. */
  async answerGet(name?: string): Promise<number> {
    const request = await this.#next(GETLINK, 0)
    const index = request.bytes.readInt32LE(20)
    if (name === undefined) await this.kernel.say(ack(request, -19))
    else await this.kernel.say(nlmsg(NEWLINK, 0, request.sequence, ...link(index, name)), ack(request))
    return index
  }

  async #next(type: number, flags: number): Promise<Received> {
    const request = await this.kernel.next()
    expect(request.type).toBe(type)
    expect(request.flags & NLM_F_DUMP).toBe(flags)
    return request
  }

  /** The request that every reading of something else than single links begins with. */
  async lock(): Promise<void> {
    expect(await this.answerGet('lo')).toBe(1)
  }
}

const links = () => watchedLinks({}, () => undefined)
const named = (events: { links: { name?: string | undefined }[] }) => events.links.map(each => each.name)

describe('an interrupted dump', () => {
  it('is asked for again', async () => {
    const stage = new Stage([links()])
    const events = stage.core.events()
    const first = events.next()
    await stage.lock()
    await stage.answer({ 1: 'lo' }, NLM_F_DUMP_INTR)
    await stage.answer({ 1: 'lo', 2: 'a' })
    expect(named((await first).value as never)).toEqual(['lo', 'a'])
  })

  it('of a table that never holds still is taken for what it is, and made good by one resync', async () => {
    const stage = new Stage([links()])
    const events = stage.core.events()
    const first = events.next()
    await stage.lock()
    for (let attempt = 0; attempt < 5; attempt++) await stage.answer({ 1: 'lo', 2: 'a' }, NLM_F_DUMP_INTR)
    expect(named((await first).value as never)).toEqual(['lo', 'a'])
    const resync = events.next()
    await stage.lock()
    await stage.answer({ 1: 'lo', 3: 'b' })
    expect((await resync).value).toEqual({ event: 'resync', reason: 'interrupted' })
    expect([(await events.next()).value, (await events.next()).value]).toMatchObject([
      { event: 'removed', before: { name: 'a' } },
      { event: 'added', after: { name: 'b' } }
    ])
  })

  it('does not remove what it lacks before it was asked for by itself', async () => {
    const stage = new Stage([links()])
    const events = stage.core.events()
    const first = events.next()
    await stage.lock()
    await stage.answer({ 1: 'lo', 2: 'a', 3: 'b' })
    await first
    stage.handlers?.lost('overflow')
    const resync = events.next()
    await stage.lock()
    for (let attempt = 0; attempt < 5; attempt++) await stage.answer({ 1: 'lo' }, NLM_F_DUMP_INTR)
    expect((await resync).value).toMatchObject({ event: 'resync', reason: 'overflow' })
    const next = events.next()
    expect(await stage.kernel.next().then(request => request.bytes.readInt32LE(20))).toBe(2)
    void next.catch(() => {})
  })
})

it('a table that the kernel refuses to tell is not an empty one', async () => {
  const stage = new Stage([links()])
  const first = stage.core.events().next()
  await stage.lock()
  await stage.kernel.say(ack(await stage.kernel.next(), -22))
  await expect(first).rejects.toMatchObject({ code: 'EINVAL' })
})

it('announcements that come during the first dump are looked after before the snapshot', async () => {
  const stage = new Stage([links()])
  const events = stage.core.events()
  const first = events.next()
  await stage.lock()
  const request = await stage.kernel.next()
  stage.announce(NEWLINK, ...link(2, 'new'))
  await stage.kernel.say(entry(request, 1, 'lo'), done(request))
  expect(await stage.answerGet('new')).toBe(2)
  expect(named((await first).value as never)).toEqual(['lo', 'new'])
})

it('an announcement is a hint: what the kernel says when asked is told', async () => {
  const stage = new Stage([links()])
  const events = stage.core.events()
  const first = events.next()
  await stage.lock()
  await stage.answer({ 1: 'lo' })
  await first
  // It is gone by the time it is asked for; then it is there under another name.
  stage.announce(NEWLINK, ...link(2, 'old'))
  const next = events.next()
  await stage.answerGet()
  stage.announce(NEWLINK, ...link(2, 'old'))
  await stage.answerGet('newer')
  expect((await next).value).toMatchObject({ event: 'added', after: { name: 'newer' } })
})

it('what may still be under way behind the RTNL lock is waited for', async () => {
  const stage = new Stage([watchedNeighbours({})])
  const events = stage.core.events()
  const first = events.next()
  const answerNeighbours = async () => {
    for (let family = 0; family < 2; family++) {
      const request = await stage.kernel.next()
      expect(request.type).toBe(GETNEIGH)
      await stage.kernel.say(done(request))
    }
  }
  await stage.lock()
  await answerNeighbours()
  await first
  stage.announce(NEWNEIGH, Buffer.concat([Buffer.of(2, 0, 0, 0), s32(7), u16(2), u16(0)]))
  void events.next().catch(() => {})
  await stage.lock()
  await answerNeighbours()
})

describe('a socket that fails', () => {
  it('is opened anew, which is one resync', async () => {
    const stage = new Stage([links()])
    const events = stage.core.events()
    const first = events.next()
    await stage.lock()
    await stage.answer({ 1: 'lo' })
    await first
    stage.handlers?.failed?.(new Error('on purpose'))
    const resync = events.next()
    await stage.lock()
    await stage.answer({ 1: 'lo', 2: 'a' })
    expect((await resync).value).toEqual({ event: 'resync', reason: 'socket' })
    expect((await events.next()).value).toMatchObject({ event: 'added', after: { name: 'a' } })
    expect([stage.opened, stage.closed]).toEqual([2, 1])
  })

  it('again and again ends it', async () => {
    const stage = new Stage([links()])
    const events = stage.core.events()
    const first = events.next()
    await stage.lock()
    await stage.answer({ 1: 'lo' })
    await first
    stage.kernel.hangUp()
    stage.handlers?.lost('truncated')
    await expect(events.next()).rejects.toMatchObject({ code: expect.stringMatching(/EPIPE|ECONNRESET/) })
  })
})
