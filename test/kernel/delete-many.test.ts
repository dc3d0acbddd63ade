/** Many links removed at once: those of the list, and no others. */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { afterEach, describe, expect, vi } from 'vitest'
import { type CreateLink, type LinkwrightError, Netlink, Tap } from '../../lib/index.js'
import { type Namespace, test } from '../support/namespace.js'
import { traffic } from '../support/trace.js'

/** Called when a group is chosen: between the look-ups and the first change. */
const choosing: (() => number | undefined)[] = []
vi.mock('node:crypto', async original => {
  const crypto = await original<typeof import('node:crypto')>()
  const randomInt = (from: number, to: number) => choosing.shift()?.() ?? crypto.randomInt(from, to)
  return { ...crypto, default: crypto, randomInt }
})
afterEach(() => void choosing.splice(0))

const ifbs = (count: number, prefix = 'i'): CreateLink[] =>
  Array.from({ length: count }, (_, i) => ({ kind: 'ifb', name: `${prefix}${i}` }))

async function make(ns: Namespace, specs: CreateLink[]): Promise<number[]> {
  const made = await ns.net.links.createMany(specs)
  return made.map(result => {
    if (result.status === 'rejected') throw result.reason
    return result.value.index
  })
}

const codes = (results: PromiseSettledResult<void>[]) =>
  results.map(result => (result.status === 'rejected' ? (result.reason as LinkwrightError).code : 'done'))

const list = (ns: Namespace) => ns.tools.ipJson('link show')

const ip = (ns: Namespace, ...args: string[]) => execFileSync('ip', ['-n', ns.name, ...args])

test('links of all kinds, in few messages', async ({ ns }) => {
  await make(ns, [
    ...ifbs(300),
    ...ifbs(3, 'stays'),
    ...Array.from({ length: 3 }, (_, i): CreateLink => ({ kind: 'bridge', name: `br${i}` })),
    { kind: 'bridge', name: 'staying' }
  ])
  await make(ns, [
    ...Array.from(
      { length: 20 },
      (_, i): CreateLink => ({ kind: 'veth', name: `v${i}`, peer: { name: `w${i}` }, master: `br${i % 3}` })
    ),
    ...Array.from(
      { length: 20 },
      (_, i): CreateLink => ({ kind: 'macvtap', name: `m${i}`, link: i % 2 ? 'i7' : 'stays0', mode: 'bridge' })
    ),
    ...Array.from({ length: 5 }, (_, i): CreateLink => ({ kind: 'vxlan', name: `x${i}`, id: i + 1, dstPort: 4789 }))
  ])
  await using tap = await Tap.open({ name: 'tap0', netns: ns.path, persist: true })
  await ns.net.links.set('stays1', { group: 7 })
  const before = list(ns).filter(({ ifname }) => /^(lo|stay)/.test(ifname))
  const unwanted = ns.tools.linkNames().filter(name => !/^(lo|stay)/.test(name))
  expect(unwanted).toHaveLength(300 + 3 + 40 + 20 + 5 + 1)
  const progress: number[] = []
  const { result, sent } = await traffic(() =>
    ns.net.links.deleteMany(unwanted, {
      onProgress: (done, total) => void (total === unwanted.length && progress.push(done))
    })
  )
  expect(new Set(codes(result as PromiseSettledResult<void>[]))).toEqual(new Set(['done']))
  expect(progress).toEqual(unwanted.map((_, i) => i + 1))
  // One for the bridges, one for all others.
  expect(sent.filter(({ type }) => type === 'RTM_DELLINK')).toHaveLength(2)
  const after = list(ns)
  expect(after.map(({ ifname, ifindex, group }) => [ifname, ifindex, group])).toEqual(
    before.map(({ ifname, ifindex, group }) => [ifname, ifindex, group])
  )
  await expect(tap.describe()).rejects.toMatchObject({ code: 'EBADFD' })
})

test('each has a result, and what cannot be removed stays as it was', async ({ ns }) => {
  const [first] = await make(ns, ifbs(3))
  const results = await ns.net.links.deleteMany(['i0', 'none', 'lo', 'i1', first as number, 999_999])
  expect(codes(results)).toEqual(['done', 'ENODEV', 'EOPNOTSUPP', 'done', 'done', 'ENODEV'])
  expect(results.map(result => (result.status === 'rejected' ? result.reason.item : undefined))).toEqual([
    undefined,
    1,
    2,
    undefined,
    undefined,
    5
  ])
  expect(list(ns).map(({ ifname, group }) => [ifname, group])).toEqual([
    ['lo', 'default'],
    ['i2', 'default']
  ])
  expect(codes(await ns.net.links.deleteMany(['i0', 'i2', 'i1'], { ifExists: true }))).toEqual(['done', 'done', 'done'])
  expect(await ns.net.links.deleteMany([])).toEqual([])
})

describe('refused before anything is sent', () => {
  test.for([
    ['an empty name', ['i0', ''], 'refs[1]'],
    ['no ifindex', ['i0', -1], 'refs[1]'],
    ['no link', [{}], 'refs[0]']
  ] as [string, never[], string][])('%s', async ([, refs, path], { ns }) => {
    await make(ns, ifbs(1))
    const { result, sent } = await traffic(() => ns.net.links.deleteMany(refs))
    expect(result).toMatchObject({ code: 'ERR_INVALID_ARG_VALUE', path })
    expect(sent).toEqual([])
  })
})

test('nobody else is in the group that is removed', async ({ ns }) => {
  await make(ns, [...ifbs(5), ...ifbs(2, 'other')])
  await ns.net.links.set('i3', { group: 9 })
  await ns.net.links.set('other1', { group: 0x5000_0000 })
  const groups: unknown[] = []
  choosing.push(
    () => 0x5000_0000,
    () => void groups.push(list(ns).map(({ group }) => group))
  )
  expect(codes(await ns.net.links.deleteMany(['i0', 'i1', 'i2', 'i3', 'i4']))).toEqual(Array(5).fill('done'))
  // After the first attempt all were back where they had been.
  expect(groups).toEqual([['default', 'default', 'default', 'default', '9', 'default', 'default', '1342177280']])
  expect(list(ns).map(({ ifname, group }) => [ifname, group])).toEqual([
    ['lo', 'default'],
    ['other0', 'default'],
    ['other1', '1342177280']
  ])
})

test('another link that has the ifindex by now is left alone', async ({ ns }) => {
  const [, index] = await make(ns, ifbs(3))
  choosing.push(() => {
    ip(ns, 'link', 'delete', 'i1')
    ip(ns, 'link', 'delete', 'i2')
    ip(ns, 'link', 'add', 'new', 'index', String(index), 'type', 'ifb')
    return undefined
  })
  expect(codes(await ns.net.links.deleteMany(['i0', 'i1', 'i2']))).toEqual(['done', 'ENODEV', 'ENODEV'])
  expect(list(ns).map(({ ifname, group }) => [ifname, group])).toEqual([
    ['lo', 'default'],
    ['new', 'default']
  ])
})

test('giving up keeps the links that are left, in their groups', async ({ ns }) => {
  await make(ns, ifbs(1100))
  await ns.net.links.set('i1099', { group: 5 })
  const controller = new AbortController()
  const names = ifbs(1100).map(({ name }) => name as string)
  const results = await ns.net.links.deleteMany(names, {
    signal: controller.signal,
    onProgress: () => controller.abort(new Error('enough'))
  })
  const left = results.flatMap((result, at) => (result.status === 'rejected' ? [names[at]] : []))
  expect(left).toHaveLength(1100 - 1024)
  expect(results.at(-1)).toMatchObject({ reason: { message: 'enough' } })
  expect(list(ns).map(({ ifname, group }) => [ifname, group])).toEqual([
    ['lo', 'default'],
    ...left.map(name => [name, name === 'i1099' ? '5' : 'default'])
  ])
})

test('a socket that is closed on the way leaves no link in the group', async ({ ns }) => {
  await make(ns, ifbs(300))
  await ns.net.links.set('i7', { group: 7 })
  using net = await Netlink.open({ netns: ns.name })
  const before = list(ns)
  choosing.push(() => {
    // Once the links are marked.
    const dumpAs = net.socket.dumpAs.bind(net.socket)
    vi.spyOn(net.socket, 'dumpAs').mockImplementationOnce((...args: Parameters<typeof dumpAs>) => {
      net.close()
      return dumpAs(...args)
    })
    return undefined
  })
  await expect(net.links.deleteMany(ifbs(300).map(({ name }) => name as string))).rejects.toMatchObject({
    code: 'ERR_CLOSED'
  })
  expect(list(ns).map(({ ifname, group }) => [ifname, group])).toEqual(
    before.map(({ ifname, group }) => [ifname, group])
  )
})

test('a callback that throws cuts nothing short', async ({ ns }) => {
  await make(ns, ifbs(1100))
  const deletion = ns.net.links.deleteMany([...ifbs(1100).map(({ name }) => name as string), 'none'], {
    onProgress: () => {
      throw new Error('a mistake')
    }
  })
  await expect(deletion).rejects.toThrow('a mistake')
  expect(list(ns).map(({ ifname }) => ifname)).toEqual(['lo'])
})

test('the progress goes as far as the list, whatever is in it', async ({ ns }) => {
  await make(ns, ifbs(2))
  const progress: number[] = []
  await ns.net.links.deleteMany(['i0', 'none', 'i0', 'i1', 'lo'], { onProgress: done => void progress.push(done) })
  expect(progress).toEqual([1, 2, 3, 4, 5])
})

test('both ends of many pairs, one list behind the other', async ({ ns }) => {
  const ends = (letter: string) => Array.from({ length: 1030 }, (_, i) => `${letter}${i}`)
  const peers = ends('w')
  await make(
    ns,
    ends('v').map((name, i) => ({ kind: 'veth', name, peer: { name: peers[i] as string } }))
  )
  expect(new Set(codes(await ns.net.links.deleteMany([...ends('v'), ...peers])))).toEqual(new Set(['done']))
})

test('a link that gets another address meanwhile is the same, and one that gets another group is not told to be gone', async ({
  ns
}) => {
  await make(ns, [...ifbs(2), { kind: 'veth', name: 'i2', peer: { name: 'i3' } }])
  choosing.push(() => {
    ip(ns, 'link', 'set', 'i2', 'address', '02:00:00:00:00:01')
    const dumpAs = ns.net.socket.dumpAs.bind(ns.net.socket)
    vi.spyOn(ns.net.socket, 'dumpAs').mockImplementationOnce((...args: Parameters<typeof dumpAs>) => {
      ip(ns, 'link', 'set', 'i1', 'group', '7')
      return dumpAs(...args)
    })
    return undefined
  })
  const results = await ns.net.links.deleteMany(['i0', 'i2', 'i1'], { ifExists: true })
  expect(codes(results)).toEqual(['done', 'done', 'ERR_NOT_SETTLED'])
  expect(list(ns).map(({ ifname, group }) => [ifname, group])).toEqual([
    ['lo', 'default'],
    ['i1', '7']
  ])
})

test('while others create and rename', async ({ ns }) => {
  const indexes = await make(ns, ifbs(400))
  // It renames what is being removed, and gives its names to new links.
  const script = `
    i=0
    while [ $i -lt 400 ]; do
      ip link set i$i name was$i 2>/dev/null && ip link add i$i type ifb 2>/dev/null && echo i$i
      ip link add fresh$i type ifb && echo fresh$i
      i=$((i + 1))
    done`
  const child = spawn('ip', ['netns', 'exec', ns.name, 'sh', '-c', script], { stdio: ['ignore', 'pipe', 'ignore'] })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', text => {
    output += text
  })
  const ended = once(child, 'close')
  await once(child.stdout, 'data')
  const results: PromiseSettledResult<void>[] = []
  // In parts, so that the other program gets its turns.
  for (let at = 0; at < indexes.length; at += 20)
    results.push(...(await ns.net.links.deleteMany(indexes.slice(at, at + 20))))
  await ended
  expect(new Set(codes(results))).toEqual(new Set(['done']))
  const theirs = output.trim().split('\n')
  expect(theirs.length).toBeGreaterThan(400)
  const there = list(ns)
  expect(there.map(({ ifname }) => ifname).toSorted()).toEqual(['lo', ...theirs].toSorted())
  expect(new Set(there.map(({ group }) => group))).toEqual(new Set(['default']))
})
