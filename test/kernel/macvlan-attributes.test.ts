/** Every IFLA_MACVLAN_* that can be set, for macvlan and macvtap. */
import { describe, expect } from 'vitest'
import type { CreateLink, Link } from '../../lib/index.js'
import { macvlanData } from '../../lib/rtnetlink/macvlan-data.js'
import { describeAttributes, see } from '../support/attribute-cases.js'
import { test } from '../support/namespace.js'
import { LINK_DATA } from '../support/raw-netlink.js'

const FIRST = '02:00:00:00:00:01'
const SECOND = '02:00:00:00:00:02'

for (const kind of ['macvlan', 'macvtap'] as const) {
  describeAttributes(
    {
      title: `${kind} links`,
      table: macvlanData,
      needs: kind,
      // One lower device each: in mode passthru a link has it for itself.
      async prepare({ net }) {
        for (const name of ['a', 'plain']) await net.links.create({ kind: 'veth', name: `low-${name}` })
      },
      create: ({ net }, name, settings) =>
        net.links.create({ kind, name, link: `low-${name}`, mode: 'bridge', ...settings } as CreateLink<'macvlan'>),
      change: ({ net }, name, settings) => net.links.set(name, { kind, ...settings }),
      specs: (name, settings) => [{ kind, name, link: `low-${name}`, mode: 'bridge', ...settings }],
      ipType: `type ${kind}`,
      view: (link: Link) => link.data
    },
    {
      cases: {
        mode: { value: 'private', shows: seen => seen.data.mode, ip: 'mode vepa', reads: 'vepa' },
        flags: {
          value: { nopromisc: true },
          beside: { mode: 'passthru' },
          shows: seen => seen.data.nopromisc,
          shown: true,
          ip: 'flag nopromisc',
          ipBeside: 'mode passthru',
          reads: { nopromisc: true, nodst: false }
        },
        macaddrs: {
          value: [FIRST, SECOND],
          beside: { mode: 'source', macaddrMode: 'set' },
          shows: seen => seen.data.macaddr_data?.toSorted(),
          ip: `macaddr set ${FIRST} ${SECOND}`,
          ipBeside: 'mode source',
          reads: expect.arrayContaining([FIRST, SECOND]),
          absentByDefault: true
        },
        bcQueueLen: { value: 77, shows: seen => seen.data.bcqueuelen, ip: 'bcqueuelen 88', reads: 88 },
        // iproute2 6.1 does not know it: the kernel's own bytes are looked at.
        bcCutoff: { value: 5, shows: async seen => (await seen.raw(...LINK_DATA, 9))?.readInt32LE() }
      },
      readOnly: ['macaddrCount', 'bcQueueLenUsed'],
      exceptions: {
        macaddrMode: 'an action, not a state: see below',
        macaddr: 'the argument of an action: see below'
      }
    }
  )
}

describe('the source addresses of a macvlan link', () => {
  const lists = (ns: Parameters<typeof see>[0]) => async () => (await see(ns, 'a')).data.macaddr_data?.toSorted() ?? []

  test('are added, deleted, set and flushed', async ({ ns }) => {
    const { links } = ns.net
    const list = lists(ns)
    await links.create({ kind: 'veth', name: 'low' })
    await links.create({ kind: 'macvlan', name: 'a', link: 'low', mode: 'source' })
    expect(await list()).toEqual([])
    await links.set('a', { kind: 'macvlan', macaddrMode: 'add', macaddr: FIRST })
    await links.set('a', { kind: 'macvlan', macaddrMode: 'add', macaddr: SECOND })
    expect(await list()).toEqual([FIRST, SECOND])
    await links.set('a', { kind: 'macvlan', macaddrMode: 'delete', macaddr: FIRST })
    expect(await list()).toEqual([SECOND])
    await links.set('a', { kind: 'macvlan', macaddrMode: 'set', macaddrs: ['02:00:00:00:00:0a', '02:00:00:00:00:0b'] })
    expect(await list()).toEqual(['02:00:00:00:00:0a', '02:00:00:00:00:0b'])
    await links.set('a', { kind: 'macvlan', macaddrMode: 'flush' })
    expect(await list()).toEqual([])
  })

  test('are counted', async ({ ns }) => {
    await ns.net.links.create({ kind: 'veth', name: 'low' })
    const macaddrs = [FIRST, SECOND, '02:00:00:00:00:03']
    await ns.net.links.create({ kind: 'macvtap', name: 'a', link: 'low', mode: 'source', macaddrMode: 'set', macaddrs })
    const link = await ns.net.links.get('a')
    expect(link.is('macvtap') && link.data.macaddrCount).toBe(3)
    expect((await see(ns, 'a')).data.macaddr_count).toBe(3)
  })

  test('may come in another order than they were given', async ({ ns }) => {
    await ns.net.links.create({ kind: 'veth', name: 'low' })
    const macaddrs = Array.from({ length: 40 }, (_, at) => `02:00:00:00:00:${at.toString(16).padStart(2, '0')}`)
    await ns.net.links.create(
      { kind: 'macvlan', name: 'a', link: 'low', mode: 'source', macaddrMode: 'set', macaddrs },
      { verify: true }
    )
    expect(await lists(ns)()).toEqual(macaddrs)
  })
})

test('the length of the broadcast queue is that of the largest wish', async ({ ns }) => {
  await ns.net.links.create({ kind: 'veth', name: 'low' })
  await ns.net.links.create({ kind: 'macvlan', name: 'a', link: 'low', mode: 'bridge', bcQueueLen: 1500 })
  await ns.net.links.create({ kind: 'macvtap', name: 'b', link: 'low', mode: 'bridge', bcQueueLen: 3000 })
  const link = await ns.net.links.get('a')
  expect(link.is('macvlan') && [link.data.bcQueueLen, link.data.bcQueueLenUsed]).toEqual([1500, 3000])
  expect((await see(ns, 'a')).data).toMatchObject({ bcqueuelen: 1500, usedbcqueuelen: 3000 })
})

test('flag nodst', async ({ ns }) => {
  await ns.net.links.create({ kind: 'veth', name: 'low' })
  await ns.net.links.create({ kind: 'macvlan', name: 'a', link: 'low', mode: 'source', flags: { nodst: true } })
  expect((await see(ns, 'a')).data.nodst).toBe(true)
})
