/** What is read of many links: no more than was asked for. */
import { expect } from 'vitest'
import { viewBytes } from '../../lib/codec/attributes.js'
import type { CreateLink, Link } from '../../lib/index.js'
import { type Namespace, test } from '../support/namespace.js'
import { isDump, type Traffic, traffic } from '../support/trace.js'

const LINKS = 600

async function fill(ns: Namespace): Promise<void> {
  const specs = Array.from({ length: LINKS }, (_, i): CreateLink => ({ kind: 'ifb', name: `i${i}` }))
  specs.push({ kind: 'bridge', name: 'br0' }, { kind: 'ifb', name: 'p0', master: 'br0' })
  for (const spec of [specs.slice(0, -1), specs.slice(-1)]) {
    for (const { status } of await ns.net.links.createMany(spec)) expect(status).toBe('fulfilled')
  }
}

const links = ({ received }: Traffic<unknown>) => received.filter(({ type }) => type === 'RTM_NEWLINK')

test('look-ups never ask for a table, however many links there are', async ({ ns }) => {
  await fill(ns)
  await ns.net.links.addAltnames('i7', ['a-name-longer-than-15-bytes'])
  for (const ref of ['i599', 'a-name-longer-than-15-bytes', ns.tools.link('i300').ifindex as number]) {
    const seen = await traffic(() => ns.net.links.get(ref))
    expect(seen.result).toMatchObject({ kind: 'ifb' })
    expect([seen.sent.length, seen.sent.filter(isDump).length, links(seen).length]).toEqual([1, 0, 1])
  }
  const absent = await traffic(() => ns.net.links.find('none'))
  expect([absent.result, absent.sent.length, links(absent).length]).toEqual([undefined, 1, 0])
  const changed = await traffic(() => ns.net.links.set('i5', { txqlen: 7 }))
  const made = await traffic(() => ns.net.links.create({ kind: 'ifb', name: 'new', master: 'br0', up: true }))
  const gone = await traffic(() => ns.net.links.delete('new'))
  for (const { sent } of [changed, made, gone]) expect(sent.filter(isDump)).toEqual([])
})

test('a filter keeps the others out of the answer', async ({ ns }) => {
  await fill(ns)
  const bridges = await traffic(() => ns.net.links.list({ kind: 'bridge' }))
  expect(links(bridges)).toHaveLength(1)
  const index = ns.tools.link('br0').ifindex
  const ports = await traffic(() => ns.net.links.list({ master: index }))
  expect((ports.result as Link[]).map(({ name }) => name)).toEqual(['p0'])
  expect([ports.sent.length, links(ports).length]).toEqual([1, 1])
})

test('a list is without the statistics of IPv6, a third of it, and nothing else is asked', async ({ ns }) => {
  await fill(ns)
  const size = ({ received }: Traffic<unknown>) => received.reduce((sum, { bytes }) => sum + bytes.length, 0)
  const plain = await traffic(() => ns.net.links.list())
  expect(plain.sent).toHaveLength(1)
  expect(links(plain)).toHaveLength(LINKS + 3)
  const inet6 = (link: Link | undefined) => link?.afSpec?.inet6 as { stats?: Uint8Array } | undefined
  expect(inet6((plain.result as Link[])[3])?.stats).toBeUndefined()
  const whole = await traffic(() => ns.net.links.list({ statistics: true }))
  expect(inet6((whole.result as Link[])[3])?.stats?.length).toBeGreaterThan(300)
  expect(size(plain)).toBeLessThan(size(whole) * 0.8)
})

test('a copy of one link lets go of all the others', async ({ ns }) => {
  await fill(ns)
  const all = await ns.net.links.list()
  const link = all.find(({ name }) => name === 'p0') as Link
  expect(viewBytes(link).data.buffer.byteLength).toBeGreaterThan(100_000)
  const copy = link.copy()
  expect(viewBytes(copy).data.buffer.byteLength).toBeLessThan(5000)
  expect(copy.toJSON()).toEqual(link.toJSON())
  expect([copy.index, copy.name, copy.kind, copy.portKind, copy.port?.cost]).toEqual([
    link.index,
    'p0',
    'ifb',
    'bridge',
    link.port?.cost
  ])
  expect(copy.copy().toJSON()).toEqual(link.toJSON())
})
