/** Counters of many links as typed arrays. */
import { describe, expect } from 'vitest'
import { type CreateLink, type LinkCounters, Netlink } from '../../lib/index.js'
import { Links } from '../../lib/link/links.js'
import {
  attr,
  done,
  FakeKernel,
  NLM_F_DUMP_INTR,
  NLM_F_MULTI,
  nlmsg,
  type Received,
  text,
  u8,
  u16,
  u32,
  u64
} from '../support/fake-kernel.js'
import { type Namespace, test } from '../support/namespace.js'
import { isDump, traffic } from '../support/trace.js'

const NAMES = [
  'rxPackets',
  'txPackets',
  'rxBytes',
  'txBytes',
  'rxErrors',
  'txErrors',
  'rxDropped',
  'txDropped',
  'multicast',
  'collisions',
  'rxLengthErrors',
  'rxOverErrors',
  'rxCrcErrors',
  'rxFrameErrors',
  'rxFifoErrors',
  'rxMissedErrors',
  'txAbortedErrors',
  'txCarrierErrors',
  'txFifoErrors',
  'txHeartbeatErrors',
  'txWindowErrors',
  'rxCompressed',
  'txCompressed',
  'rxNohandler',
  'rxOtherhostDropped'
] as const

/** Pairs of links that are up; each pair has carried another number of frames. */
async function busy(ns: Namespace, pairs: number): Promise<void> {
  ns.tools.ip('link add name br0 up type bridge')
  const specs = Array.from(
    { length: pairs },
    (_, i): CreateLink => ({
      kind: 'veth',
      name: `v${i}`,
      up: true,
      master: i % 2 ? 'br0' : undefined,
      peer: { name: `w${i}`, up: true }
    })
  )
  for (const { status } of await ns.net.links.createMany(specs)) expect(status).toBe('fulfilled')
  ns.tools.ip('address add 192.0.2.1/24 dev v0')
  ns.tools.ip('neighbour add 192.0.2.2 lladdr 02:00:00:00:00:02 dev v0')
  send(ns, 3)
}

/** Frames from v0 to its peer. */
function send({ tools }: Namespace, frames: number): void {
  for (let i = 0; i < frames; i++) tools.exec('bash', '-c', 'echo x >/dev/udp/192.0.2.2/9')
}

/** Everything still that would count on: what two observers see is the same then. */
function quiet({ tools }: Namespace): void {
  tools.ip('link set group default down')
}

/** Every number that we have, beside that of iproute2. */
function compare(
  { tools }: Namespace,
  counters: LinkCounters<Float64Array | BigUint64Array>,
  wanted: (name: string) => boolean
) {
  const shown = tools.ipJson('-s link show').filter(({ ifname }) => wanted(ifname))
  expect([...counters.indexes]).toEqual(shown.map(({ ifindex }) => ifindex).sort((a, b) => a - b))
  for (const { ifindex, stats64 } of shown) {
    const row = counters.row(ifindex)
    const { rx, tx } = stats64
    expect(
      [
        counters.rxPackets,
        counters.rxBytes,
        counters.rxErrors,
        counters.rxDropped,
        counters.txPackets,
        counters.txBytes,
        counters.txDropped
      ].map(column => Number(column[row]))
    ).toEqual([rx.packets, rx.bytes, rx.errors, rx.dropped, tx.packets, tx.bytes, tx.dropped])
  }
  return shown
}

test('all links, with one small request', async ({ ns }) => {
  await busy(ns, 60)
  quiet(ns)
  const counters = ns.net.links.counters()
  expect([counters.length, counters.time, counters.rxBytes.length]).toEqual([0, Number.NaN, 0])
  const before = performance.now()
  const { result, sent, received } = await traffic(() => counters.read())
  expect(result).toBe(counters)
  expect(counters.time).toBeGreaterThanOrEqual(before)
  expect(counters.time).toBeLessThanOrEqual(performance.now())
  expect(sent.map(({ type }) => type)).toEqual(['RTM_GETSTATS'])
  const answers = received.filter(({ type }) => type === 'RTM_NEWSTATS')
  expect(answers).toHaveLength(counters.length)
  // Nothing but the counters: struct rtnl_link_stats64 of 25 numbers, or fewer.
  expect(Object.keys(answers[0]?.decode() as object).sort()).toEqual(['family', 'filterMask', 'index', 'link64'])
  const shown = compare(ns, counters, () => true)
  expect(shown.some(({ stats64 }) => stats64.tx.packets > 2)).toBe(true)
  for (const name of NAMES) expect(counters[name], name).toHaveLength(counters.length)
})

test.for([
  ['of a master', { master: 'br0' }, (name: string) => /^v\d*[13579]$/.test(name)],
  ['of a kind', { kind: 'bridge' }, (name: string) => name === 'br0'],
  ['of a kind and a master', { kind: 'veth', master: 'br0' }, (name: string) => /^v\d*[13579]$/.test(name)]
] as const)('links %s, filtered by the kernel', async ([, options, wanted], { ns }) => {
  await busy(ns, 6)
  quiet(ns)
  const counters = ns.net.links.counters(options)
  const { sent, received } = await traffic(() => counters.read())
  expect(sent.filter(isDump).map(({ type }) => type)).toEqual(['RTM_GETLINK'])
  compare(ns, counters, wanted)
  // The look-up of the master is not one of the rows.
  expect(received.filter(({ type, flags }) => type === 'RTM_NEWLINK' && flags & NLM_F_MULTI)).toHaveLength(
    counters.length
  )
})

test('as bigints', async ({ ns }) => {
  await busy(ns, 2)
  quiet(ns)
  const counters = await ns.net.links.counters({ bigint: true }).read()
  expect(counters.rxBytes).toBeInstanceOf(BigUint64Array)
  compare(ns, counters, () => true)
})

test('again: in place, until links come or go', async ({ ns }) => {
  await busy(ns, 10)
  quiet(ns)
  const counters = await ns.net.links.counters().read()
  const { indexes, txBytes } = counters
  const before = counters.time
  ns.tools.ip('link set dev v0 up')
  ns.tools.ip('link set dev w0 up')
  send(ns, 2)
  quiet(ns)
  const v0 = counters.row(ns.tools.link('v0').ifindex)
  const bytes = txBytes[v0] as number
  await counters.read()
  expect(counters.time).toBeGreaterThan(before)
  expect([counters.indexes === indexes, counters.txBytes === txBytes]).toEqual([true, true])
  expect(txBytes[v0]).toBeGreaterThan(bytes)
  compare(ns, counters, () => true)
  ns.tools.ip('link del dev v3')
  await counters.read()
  expect(counters).toHaveLength(indexes.length - 2)
  compare(ns, counters, () => true)
  await ns.net.links.createMany(Array.from({ length: 200 }, (_, i): CreateLink => ({ kind: 'ifb', name: `i${i}` })))
  await counters.read()
  expect(counters).toHaveLength(indexes.length + 198)
  compare(ns, counters, () => true)
})

test('rows are found by their ifindexes', async ({ ns }) => {
  const specs = [400, 7, 100_000, 30].map((index): CreateLink => ({ kind: 'ifb', name: `i${index}`, index }))
  await ns.net.links.createMany(specs)
  const counters = await ns.net.links.counters().read()
  expect([...counters.indexes]).toEqual([1, 7, 30, 400, 100_000])
  expect([1, 7, 30, 400, 100_000].map(index => counters.row(index))).toEqual([0, 1, 2, 3, 4])
  expect([0, 2, 31, 100_001, -1].map(index => counters.row(index))).toEqual([-1, -1, -1, -1, -1])
})

describe('failures', () => {
  test('a master that is gone, and giving up, leave what was read', async ({ ns }) => {
    await busy(ns, 4)
    const counters = await ns.net.links.counters({ master: 'br0' }).read()
    expect(counters).toHaveLength(2)
    const { time, rxBytes } = counters
    await expect(counters.read({ signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow('enough')
    ns.tools.ip('link del dev br0')
    await expect(counters.read()).rejects.toMatchObject({ code: 'ENODEV', link: 'br0' })
    expect(counters).toMatchObject({ length: 2, time })
    expect(counters.rxBytes).toBe(rxBytes)
  })

  test.for([
    [{ group: 3 }, 'group'],
    [{ master: {} }, 'master']
  ])('wrong options: %o', ([options, path], { ns }) => {
    expect(() => ns.net.links.counters(options as never)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE', path })
    )
  })
})

describe('what other kernels send', () => {
  /** RTM_NEWSTATS, with the counters that are given. */
  const statistics = ({ sequence }: Received, index: number, ...counters: bigint[]) =>
    nlmsg(92, NLM_F_MULTI, sequence, u32(0), u32(index), u32(1), attr(0), attr(1, ...counters.map(u64)))

  /** RTM_NEWLINK. */
  const link = ({ sequence }: Received, index: number, ...attributes: Buffer[]) =>
    nlmsg(16, NLM_F_MULTI, sequence, u16(0), u16(1), u32(index), u32(0), u32(0), ...attributes)

  async function reading(options: object, answer: (request: Received) => Buffer[]) {
    using kernel = new FakeKernel()
    const links = new Links(kernel.socket, undefined, () => Netlink.open())
    const counters = links.counters(options as { bigint: true })
    const pending = counters.read()
    const request = await kernel.next()
    await kernel.say(...answer(request))
    return await pending
  }

  const LARGE = 2n ** 53n + 1n

  test('out of order, one of them twice, fewer counters, and no counters', async () => {
    const counters = await reading({}, request => [
      statistics(request, 9, 1n, 2n, LARGE),
      statistics(request, 2, 3n, 4n),
      nlmsg(92, NLM_F_MULTI, request.sequence, u32(0), u32(5), u32(1)),
      statistics(request, 9, 10n, 20n, 2n ** 40n + 7n),
      statistics(request, 4, 5n),
      done(request)
    ])
    expect([...counters.indexes]).toEqual([2, 4, 9])
    expect(
      [counters.rxPackets, counters.txPackets, counters.rxBytes, counters.txBytes].map(column => [...column])
    ).toEqual([
      [3, 5, 10],
      [4, 0, 20],
      [0, 0, 2 ** 40 + 7],
      [0, 0, 0]
    ])
  })

  test('numbers beyond 2^53: exact as bigints, else rounded', async () => {
    const answer = (request: Received) => [statistics(request, 2, LARGE, 2n ** 64n - 1n), done(request)]
    const exact = await reading({ bigint: true }, answer)
    expect([exact.rxPackets[0], exact.txPackets[0], exact.rxBytes[0]]).toEqual([LARGE, 2n ** 64n - 1n, 0n])
    const rounded = await reading({}, answer)
    expect([rounded.rxPackets[0], rounded.txPackets[0]]).toEqual([2 ** 53, 2 ** 64])
  })

  test('links that were not asked for', async () => {
    const stats = attr(23, u64(6n))
    const veth = attr(18, attr(1, text('veth')))
    const counters = await reading({ kind: 'veth', master: 7 }, request => [
      link(request, 2, stats, attr(10, u32(7)), veth),
      link(request, 3, stats, attr(10, u32(8)), veth),
      link(request, 4, stats, veth),
      link(request, 5, attr(10, u32(7)), attr(18, attr(1, text('vet'))), stats),
      link(request, 6, attr(10, u32(7)), attr(18, attr(1, Buffer.from('veth'))), stats),
      link(request, 8, attr(10, u32(7)), attr(18), stats),
      link(request, 9, attr(10, u32(7)), stats),
      done(request)
    ])
    expect([...counters.indexes]).toEqual([2, 6])
    expect([...counters.rxPackets]).toEqual([6, 6] as never)
  })

  test('a reading during which links came and went is taken as it is', async () => {
    const still = await reading({}, request => [statistics(request, 2, 1n), done(request)])
    expect(still).toMatchObject({ length: 1, interrupted: false })
    const counters = await reading({}, request => [
      nlmsg(92, NLM_F_MULTI | NLM_F_DUMP_INTR, request.sequence, u32(0), u32(3), u32(1), attr(1, u64(1n))),
      done(request)
    ])
    expect(counters).toMatchObject({ length: 1, interrupted: true })
  })

  test('a message that is cut off', async () => {
    const counters = await reading({}, request => [
      statistics(request, 2, 1n),
      nlmsg(92, NLM_F_MULTI, request.sequence, u8(0)),
      statistics(request, 3, 2n),
      done(request)
    ])
    expect([...counters.indexes]).toEqual([2, 3])
  })
})
