/** The tag that says whose a link is: in the kernel, from the first message on. */
import { describe, expect } from 'vitest'
import { Tap } from '../../lib/index.js'
import { isOwnedBy, ownerGroup } from '../../lib/link/owner.js'
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

test('set later, and on a TAP', async ({ ns }) => {
  await ns.net.links.create({ kind: 'ifb', name: 'i0' })
  await ns.net.links.set('i0', { owner: 'a.b-c_1' })
  expect((await ns.net.links.get('i0')).owner).toBe('a.b-c_1')
  await using tap = await Tap.open({ name: 't0', netns: ns.path, owner: 'vmm', persist: true })
  expect((await ns.net.links.get(tap.index)).owner).toBe('vmm')
  await tap.setPersist(false)
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
    ['nobody’s', { group: 0 }, false]
  ] as const)('%s', ([, link, expected]) => {
    expect(isOwnedBy(link, 'vmm')).toBe(expected)
  })
})
