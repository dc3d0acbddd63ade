/** The modes of macvlan and macvtap: what may be created beside what, and changed into what. */
import { describe, expect } from 'vitest'
import type { LinkwrightError } from '../../lib/index.js'
import { test } from '../support/namespace.js'

const MODES = ['private', 'vepa', 'bridge', 'passthru', 'source'] as const
const ADDRESS = '02:00:00:00:00:42'

for (const kind of ['macvlan', 'macvtap'] as const) {
  describe(kind, () => {
    for (const mode of MODES) {
      test(`mode ${mode}`, async ({ ns }) => {
        await ns.net.links.create({ kind: 'veth', name: 'low' })
        const link = await ns.net.links.create({ kind, name: 'a', link: 'low', mode })
        const shown = ns.tools.link('a')
        expect(shown).toMatchObject({ link: 'low', linkinfo: { info_kind: kind, info_data: { mode } } })
        expect(link.data.mode).toBe(mode)
        expect(link.link).toBe(ns.tools.link('low').ifindex)
      })
    }

    test('the modes but passthru change into each other', async ({ ns }) => {
      await ns.net.links.create({ kind: 'veth', name: 'low' })
      await ns.net.links.create({ kind, name: 'a', link: 'low', mode: 'bridge' })
      for (const mode of ['private', 'vepa', 'bridge', 'source', 'private', 'source', 'vepa'] as const) {
        await ns.net.links.set('a', { kind, mode })
        expect(ns.tools.link('a').linkinfo.info_data.mode).toBe(mode)
      }
    })

    test.for([
      ['bridge', 'passthru'],
      ['passthru', 'bridge']
    ] as const)('%s does not become %s', async ([from, to], { ns }) => {
      await ns.net.links.create({ kind: 'veth', name: 'low' })
      await ns.net.links.create({ kind, name: 'a', link: 'low', mode: from })
      await expect(ns.net.links.set('a', { kind, mode: to })).rejects.toMatchObject({
        code: 'EINVAL',
        errno: -22,
        syscall: 'RTM_NEWLINK',
        diagnosis: 'the mode cannot be changed from or to passthru'
      })
      expect(ns.tools.link('a').linkinfo.info_data.mode).toBe(from)
    })

    test('the mode is never left to the kernel', async ({ ns }) => {
      await ns.net.links.create({ kind: 'veth', name: 'low' })
      const create = ns.net.links.create({ kind, name: 'a', link: 'low' } as never)
      await expect(create).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE', path: 'mode' })
      expect(ns.tools.linkNames()).not.toContain('a')
    })

    test('the modes but passthru live side by side', async ({ ns }) => {
      await ns.net.links.create({ kind: 'veth', name: 'low' })
      for (const mode of ['private', 'vepa', 'bridge', 'source'] as const) {
        await ns.net.links.create({ kind, name: mode, link: 'low', mode })
      }
      const shown = ns.tools.ipJson(`link show type ${kind}`).map(link => [link.ifname, link.linkinfo.info_data.mode])
      expect(shown).toEqual([
        ['private', 'private'],
        ['vepa', 'vepa'],
        ['bridge', 'bridge'],
        ['source', 'source']
      ])
    })

    describe('passthru and the address of the lower device', () => {
      test('an address given at creation is that of both, until the link is deleted', async ({ ns }) => {
        const low = await ns.net.links.create({ kind: 'veth', name: 'low', address: '02:00:00:00:00:01' })
        const link = await ns.net.links.create({
          kind,
          name: 'a',
          link: low,
          mode: 'passthru',
          address: ADDRESS,
          up: true
        })
        expect(link.address).toBe(ADDRESS)
        expect(ns.tools.sysfs('a/address')).toBe(ADDRESS)
        expect(ns.tools.sysfs('low/address')).toBe(ADDRESS)
        expect(ns.tools.link('a').flags).toContain('UP')
        await ns.net.links.delete('a')
        expect(ns.tools.sysfs('low/address')).toBe('02:00:00:00:00:01')
      })

      test('the address is there before the link comes up', async ({ ns }) => {
        await ns.net.links.create({ kind: 'veth', name: 'low', up: true, peer: { name: 'end', up: true } })
        await ns.net.links.create({
          kind,
          name: 'a',
          link: 'low',
          mode: 'passthru',
          address: ADDRESS,
          up: true,
          ipv6: true
        })
        // The link-local address is made of the MAC address that the link had when it came up.
        const local = () =>
          ns.tools.ipJson('-6 address show dev a')[0]?.addr_info?.map((info: { local: string }) => info.local)
        await expect.poll(local, { timeout: 10_000 }).toEqual(['fe80::ff:fe00:42'])
      })

      test('without an address it has that of the lower device', async ({ ns }) => {
        await ns.net.links.create({ kind: 'veth', name: 'low', address: '02:00:00:00:00:01' })
        await ns.net.links.create({ kind, name: 'a', link: 'low', mode: 'passthru' })
        expect(ns.tools.sysfs('a/address')).toBe('02:00:00:00:00:01')
      })

      test('an address that the kernel refuses leaves no link and no change', async ({ ns }) => {
        await ns.net.links.create({ kind: 'veth', name: 'low', address: '02:00:00:00:00:01' })
        const create = ns.net.links.create({
          kind,
          name: 'a',
          link: 'low',
          mode: 'passthru',
          address: '01:00:00:00:00:01'
        })
        await expect(create).rejects.toSatisfy((error: LinkwrightError) => error.code === 'EADDRNOTAVAIL')
        expect(ns.tools.linkNames()).not.toContain('a')
        expect(ns.tools.sysfs('low/address')).toBe('02:00:00:00:00:01')
      })
    })

    test("in other modes an address is the link's own", async ({ ns }) => {
      await ns.net.links.create({ kind: 'veth', name: 'low', address: '02:00:00:00:00:01' })
      await ns.net.links.create({ kind, name: 'a', link: 'low', mode: 'bridge', address: ADDRESS, up: true })
      expect([ns.tools.sysfs('a/address'), ns.tools.sysfs('low/address')]).toEqual([ADDRESS, '02:00:00:00:00:01'])
    })
  })
}
