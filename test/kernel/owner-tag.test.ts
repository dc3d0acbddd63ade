/** The tag that says whose a link is: in the kernel, from the first message on. */
import { describe, expect, vi } from 'vitest'
import { type CreateLink, type Link, Tap } from '../../lib/index.js'
import { groupAlias, isOwnedBy, ownerGroup } from '../../lib/link/owner.js'
import { test } from '../support/namespace.js'
import { traffic } from '../support/trace.js'

test('created with the group, and the alias says the name', async ({ ns }) => {
  const { result, sent } = await traffic(() =>
    ns.net.links.create({ kind: 'ifb', name: 'i0', owner: 'vmm', alias: 'guest 7' })
  )
  expect(result).toMatchObject({ owner: 'vmm', alias: 'linkwright:vmm guest 7', group: ownerGroup('vmm') })
  expect(ns.tools.link('i0')).toMatchObject({ ifalias: 'linkwright:vmm guest 7', group: `${ownerGroup('vmm')}` })
  const [creation] = sent.filter(({ type }) => type === 'RTM_NEWLINK')
  expect(creation?.decode()).toMatchObject({ group: ownerGroup('vmm') })
})

test('the peer of a veth has one of its own', async ({ ns }) => {
  await ns.net.links.create({ kind: 'veth', name: 'a', owner: 'vmm', peer: { name: 'b', owner: 'guest' } })
  expect(ns.tools.link('a')).toMatchObject({ ifalias: 'linkwright:vmm', group: `${ownerGroup('vmm')}` })
  expect(ns.tools.link('b')).toMatchObject({ ifalias: 'linkwright:guest', group: `${ownerGroup('guest')}` })
})

test('set later, and on a TAP', async ({ ns }) => {
  await ns.net.links.create({ kind: 'ifb', name: 'i0' })
  await ns.net.links.set('i0', { owner: 'a.b-c_1' })
  expect((await ns.net.links.get('i0')).owner).toBe('a.b-c_1')
  await using tap = await Tap.open({ name: 't0', netns: ns.path, owner: 'vmm', persist: true })
  expect((await ns.net.links.get(tap.index)).owner).toBe('vmm')
  await tap.setPersist(false)
})

describe('many', () => {
  const values = (results: PromiseSettledResult<Link>[]) =>
    results.map(result => (result.status === 'fulfilled' ? result.value : result.reason))

  test('take three messages each, in two batches for all of a chunk, and come up with the first', async ({ ns }) => {
    await ns.net.links.create({ kind: 'bridge', name: 'br0' })
    const specs = Array.from(
      { length: 30 },
      (_, i): CreateLink => ({
        kind: 'ifb',
        name: `i${i}`,
        owner: 'vmm',
        alias: `${i}`,
        master: 'br0',
        up: true,
        ipv6: true
      })
    )
    const batches = vi.spyOn(ns.net.socket, 'batch')
    const { result, sent } = await traffic(() => ns.net.links.createMany(specs))
    const links = values(result as PromiseSettledResult<Link>[])
    // The master is looked up once.
    expect(batches.mock.calls.map(([requests]) => requests.length)).toEqual([1, 30, 60])
    const made = sent.filter(({ type }) => type === 'RTM_NEWLINK').map(message => message.decode())
    expect(made.slice(0, 30)).toEqual(
      Array(30).fill(expect.objectContaining({ flags: expect.objectContaining({ up: true }) }))
    )
    expect(made.slice(30).map(message => Object.keys(message as object))).toEqual(
      Array(30).fill(expect.not.arrayContaining(['group']))
    )
    const shown = ns.tools.ipJson('link show type ifb')
    for (const [i, link] of links.entries()) {
      const words = `linkwright:vmm ${i}`
      expect(link).toMatchObject({ name: `i${i}`, owner: 'vmm', alias: words, up: true })
      expect(shown[i]).toMatchObject({ ifname: `i${i}`, ifalias: words, master: 'br0', ifindex: link.index })
      expect(shown[i].flags).toContain('UP')
    }
  })

  test('with a master only take one batch for all of a chunk', async ({ ns }) => {
    const { index } = await ns.net.links.create({ kind: 'bridge', name: 'br0' })
    const specs = Array.from(
      { length: 30 },
      (_, i): CreateLink => ({ kind: 'ifb', name: `i${i}`, master: index, ipv6: true })
    )
    const batches = vi.spyOn(ns.net.socket, 'batch')
    const links = values(await ns.net.links.createMany(specs))
    expect(batches.mock.calls.map(([requests]) => requests.length)).toEqual([60])
    expect(links.map(({ name, master }) => [name, master])).toEqual(specs.map(({ name }) => [name, index]))
  })

  test('of names by the kernel are told with their master as well', async ({ ns }) => {
    const { index } = await ns.net.links.create({ kind: 'bridge', name: 'br0' })
    const links = values(await ns.net.links.createMany(Array(3).fill({ kind: 'ifb', name: 'x%d', master: index })))
    expect(links.map(({ name, master }) => [name, master])).toEqual(['x0', 'x1', 'x2'].map(name => [name, index]))
  })

  test('of which one fails later: that is removed, the others are whole', async ({ ns }) => {
    ns.tools.ip('link property add dev lo altname a-name-that-is-taken')
    const wanted = ['free-1', 'a-name-that-is-taken', 'free-2', 'a-name-that-is-taken', 'free-3']
    const results = await ns.net.links.createMany(
      wanted.map((altname, i) => ({ kind: 'ifb', name: `i${i}`, owner: 'vmm', altnames: [altname] }))
    )
    expect(values(results).map(value => value.code ?? value.owner)).toEqual(['vmm', 'EEXIST', 'vmm', 'EEXIST', 'vmm'])
    expect(results[3]).toMatchObject({ reason: { item: 3, syscall: 'RTM_NEWLINKPROP' } })
    expect(ns.tools.linkNames()).toEqual(['lo', 'i0', 'i2', 'i4'])
  })

  test('or one alone, of which it fails later', async ({ ns }) => {
    ns.tools.ip('link property add dev lo altname a-name-that-is-taken')
    const create = ns.net.links.create({ kind: 'ifb', owner: 'vmm', altnames: ['a-name-that-is-taken'] })
    await expect(create).rejects.toMatchObject({ code: 'EEXIST' })
    expect(ns.tools.linkNames()).toEqual(['lo'])
  })

  test('a name that is taken does not tag the link that has it', async ({ ns }) => {
    ns.tools.ip('link add name i1 alias theirs type ifb')
    const before = ns.tools.link('i1')
    const specs = [0, 1].map((i): CreateLink => ({ kind: 'ifb', name: `i${i}`, owner: 'vmm', master: 1 }))
    const { master: _, ...alone } = specs[1] as { master: unknown } & CreateLink
    const results = await ns.net.links.createMany([...specs, alone as CreateLink])
    expect(values(results).map(({ code }) => code)).toEqual(['EOPNOTSUPP', 'EEXIST', 'EEXIST'])
    expect(ns.tools.link('i1')).toEqual(before)
    expect(ns.tools.linkNames()).toEqual(['lo', 'i1'])
  })
})

describe('a pair', () => {
  test('has an owner at each end', async ({ ns }) => {
    const { result, sent } = await traffic(() =>
      ns.net.links.create({
        kind: 'veth',
        name: 'a',
        owner: 'vmm',
        up: true,
        peer: { name: 'b', owner: 'guest', alias: 'words', up: true }
      })
    )
    expect(result).toMatchObject({ owner: 'vmm' })
    expect(await ns.net.links.get('b')).toMatchObject({ owner: 'guest', alias: 'linkwright:guest words' })
    // Should it be killed after the first message, both have their groups.
    expect(sent[0]?.decode()).toMatchObject({
      group: ownerGroup('vmm'),
      linkinfo: { data: { peer: { group: ownerGroup('guest') } } }
    })
    for (const name of ['a', 'b']) expect(ns.tools.link(name).flags).toContain('UP')
  })

  test('whose peer alone has one, in another namespace', async ({ ns, other }) => {
    await ns.net.links.create({ kind: 'veth', name: 'a', peer: { name: 'b', owner: 'guest', netns: other.path } })
    expect((await ns.net.links.get('a')).owner).toBeUndefined()
    expect(await other.net.links.get('b')).toMatchObject({ owner: 'guest', group: ownerGroup('guest') })
    expect((await other.net.links.removeOwned('guest')).removed).toHaveLength(1)
    expect(ns.tools.linkNames()).toEqual(['lo'])
  })

  test('goes with the end that has one', async ({ ns, other }) => {
    await ns.net.links.create({ kind: 'veth', name: 'a', owner: 'vmm', peer: { name: 'b', netns: other.path } })
    await ns.net.links.create({ kind: 'veth', name: 'c', owner: 'vmm', peer: { name: 'd' } })
    expect((await ns.net.links.removeOwned('vmm')).removed).toHaveLength(2)
    expect([ns.tools.linkNames(), other.tools.linkNames()]).toEqual([['lo'], ['lo']])
  })

  test('refuses what cannot be the owner of its peer', async ({ ns }) => {
    const wrong = { kind: 'veth', name: 'a', peer: { name: 'b', owner: 'a b' } } as const
    await expect(ns.net.links.create(wrong)).rejects.toMatchObject({ path: 'peer.owner' })
    const alias = { kind: 'ifb', owner: 'vmm', alias: 7 } as never
    await expect(ns.net.links.create(alias)).rejects.toMatchObject({ path: 'alias' })
    expect(ns.tools.linkNames()).toEqual(['lo'])
  })
})

test('deleteMany keeps the owner of what has no alias yet, and takes that back', async ({ ns }) => {
  const group = ownerGroup('vmm')
  const specs = [0, 1, 2].map((i): CreateLink => ({ kind: 'ifb', name: `i${i}`, group }))
  await ns.net.links.createMany([...specs, { kind: 'ifb', name: 'i3', owner: 'vmm' }])
  const controller = new AbortController()
  const { dumpAs } = ns.net.socket
  vi.spyOn(ns.net.socket, 'dumpAs').mockImplementation((request, make, options) => {
    // They are all in the group to be removed.
    controller.abort(new Error('enough'))
    return dumpAs.call(ns.net.socket, request, make, options) as Promise<never>
  })
  const { result, sent } = await traffic(() =>
    ns.net.links.deleteMany(['i0', 'i1', 'i3'], { signal: controller.signal })
  )
  expect(result).toEqual(Array(3).fill({ status: 'rejected', reason: new Error('enough') }))
  const marks = sent.filter(({ type }) => type === 'RTM_NEWLINK').map(message => message.decode() as { alias?: string })
  expect(marks.slice(0, 3).map(({ alias }) => alias)).toEqual([groupAlias(group), groupAlias(group), undefined])
  expect(isOwnedBy({ alias: groupAlias(group), group: 0x4000_0000 }, 'vmm')).toBe(true)
  for (const name of ['i0', 'i1']) {
    const shown = ns.tools.link(name)
    expect([shown.group, shown.ifalias]).toEqual([`${group}`, undefined])
  }
  expect(ns.tools.link('i3')).toMatchObject({ group: `${group}`, ifalias: 'linkwright:vmm' })
})

test('what cannot be an owner is refused', async ({ ns }) => {
  for (const owner of ['', 'a b', 'a:b', 'x'.repeat(65), 7]) {
    await expect(ns.net.links.create({ kind: 'ifb', owner: owner as string })).rejects.toMatchObject({
      code: 'ERR_INVALID_ARG_VALUE',
      path: 'owner'
    })
  }
  await expect(ns.net.links.create({ kind: 'ifb', owner: 'a', group: 1 })).rejects.toMatchObject({ path: 'group' })
  await expect(Tap.open({ netns: ns.path, owner: 'a', group: 1 })).rejects.toMatchObject({ path: 'group' })
  expect(ns.tools.linkNames()).toEqual(['lo'])
})

describe('whose a link is', () => {
  const group = ownerGroup('vmm')
  test.for([
    ['the alias says so', { alias: 'linkwright:vmm', group: 0 }, true],
    ['with words behind it', { alias: 'linkwright:vmm of guest 7', group }, true],
    ['not made to the end', { group }, true],
    ["another's", { alias: 'linkwright:vmm2', group }, false],
    ['a stranger in the group', { alias: 'mine', group }, false],
    ['nobody’s', { group: 0 }, false],
    ['being removed before it had an alias', { alias: groupAlias(group), group: 0x4000_0000 }, true],
    ["another's being removed", { alias: groupAlias(ownerGroup('vmm2')), group }, false]
  ] as const)('%s', ([, link, expected]) => {
    expect(isOwnedBy(link, 'vmm')).toBe(expected)
  })
})
