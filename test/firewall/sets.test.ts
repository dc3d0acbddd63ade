/** Sets and maps: as nft shows them, and as nft makes them. */
import { describe, expect } from 'vitest'
import { type NftChange, type NftSetSpec, nft as n } from '../../lib/index.js'
import { test } from './support/firewall.js'

const table: NftChange = { add: { table: { family: 'inet', name: 't' } } }
const chain: NftChange = { add: { chain: { family: 'inet', table: 't', name: 'c' } } }
const inTable = { family: 'inet', table: 't' } as const

type Elements = NonNullable<NftSetSpec['elements']>

/** A set, what nft lists of it (its `elem`), and its elements in our order. */
const samples: [string, Omit<NftSetSpec, 'family' | 'table' | 'name'> & { elements: Elements }, string][] = [
  ['addresses', { type: 'ipv4_addr', elements: [{ key: '10.0.0.1' }, { key: '10.0.0.2' }] }, '10.0.0.1, 10.0.0.2'],
  [
    'intervals',
    {
      type: 'ipv4_addr',
      flags: ['interval'],
      elements: [{ key: '10.0.0.0/24' }, { key: '10.1.0.1' }, { key: '10.2.0.1-10.2.0.9' }]
    },
    '10.0.0.0/24, 10.1.0.1, 10.2.0.1-10.2.0.9'
  ],
  [
    'intervals to the very end',
    { type: 'inet_service', flags: ['interval'], elements: [{ key: '0-9' }, { key: '1024-65535' }] },
    '0-9, 1024-65535'
  ],
  ['IPv6 prefixes', { type: 'ipv6_addr', flags: ['interval'], elements: [{ key: '2001:db8::/32' }] }, '2001:db8::/32'],
  ['MAC addresses', { type: 'ether_addr', elements: [{ key: '52:54:00:00:00:01' }] }, '52:54:00:00:00:01'],
  ['names of links', { type: 'ifname', elements: [{ key: 'vnet0' }, { key: 'vnet1' }] }, '"vnet0", "vnet1"'],
  ['marks', { type: 'mark', elements: [{ key: 1 }, { key: 256 }] }, '0x00000001, 0x00000100'],
  [
    'concatenations',
    { type: ['ipv4_addr', 'inet_service'], elements: [{ key: ['10.0.0.1', 80] }, { key: ['10.0.0.2', 443] }] },
    '10.0.0.1 . 80, 10.0.0.2 . 443'
  ],
  [
    'concatenations with intervals',
    {
      type: ['ether_addr', 'ipv4_addr'],
      flags: ['interval'],
      elements: [{ key: ['52:54:00:00:00:01', '10.0.0.0/24'] }]
    },
    '52:54:00:00:00:01 . 10.0.0.0/24'
  ],
  ['comments', { type: 'ipv4_addr', elements: [{ key: '10.0.0.1', comment: 'guest' }] }, '10.0.0.1 comment "guest"'],
  [
    'verdicts',
    {
      type: 'ifname',
      map: 'verdict',
      elements: [
        { key: 'a', value: 'accept' },
        { key: 'b', value: { jump: 'c' } }
      ]
    },
    '"a" : accept, "b" : jump c'
  ],
  ['values', { type: 'inet_service', map: 'ipv4_addr', elements: [{ key: 80, value: '10.0.0.1' }] }, '80 : 10.0.0.1'],
  [
    'verdicts of intervals',
    {
      type: 'ipv4_addr',
      map: 'verdict',
      flags: ['interval'],
      elements: [
        { key: '10.0.0.0/25', value: 'accept' },
        { key: '10.0.0.128/25', value: 'drop' }
      ]
    },
    '10.0.0.0/25 : accept, 10.0.0.128/25 : drop'
  ]
]

/** What nft lists between the braces, sorted. */
function elementsOf(text: string): string[] {
  const [, inside = ''] = /elements = \{([^}]*)\}/s.exec(text) ?? []
  return inside
    .split(',')
    .map(element => element.trim().replace(/\s+/g, ' '))
    .filter(Boolean)
    .sort()
}

describe.each(samples)('%s', (_, spec, text) => {
  test('there and back, and as nft has it', async ({ firewall, nft }) => {
    await firewall.transaction([table, chain, { add: { set: { ...inTable, name: 's', ...spec } } }])
    expect(elementsOf(nft.list())).toEqual(text.split(', ').sort())
    const [set] = await firewall.sets()
    const { elements, type, ...rest } = spec
    expect(set).toMatchObject({ ...inTable, ...rest, type: [type].flat(), name: 's', anonymous: false })
    const sorted = (all: Elements | undefined) => all?.map(element => JSON.stringify(element)).sort()
    expect(sorted(set?.elements)).toEqual(sorted(elements))

    // What nft makes of its own listing reads the same.
    const listing = nft.list()
    nft.run(`flush ruleset\n${listing}`)
    const [again] = await firewall.sets()
    expect(sorted(again?.elements)).toEqual(sorted(elements))

    // And each goes again, in a set whose type only the kernel knows.
    await firewall.transaction([{ delete: { elements: { ...inTable, set: 's', elements } } }])
    expect((await firewall.sets())[0]?.elements).toEqual([])
    await firewall.transaction([{ add: { elements: { ...inTable, set: 's', elements } } }])
    expect(elementsOf(nft.list())).toEqual(text.split(', ').sort())
  })
})

test('elements with a timeout go by themselves', async ({ firewall, nft }) => {
  const set = {
    ...inTable,
    name: 's',
    type: 'ipv4_addr',
    flags: ['timeout'],
    timeout: 3_600_000,
    comment: 'leases'
  } as const
  const elements = [{ key: '10.0.0.1', timeout: 200 }, { key: '10.0.0.2' }]
  await firewall.transaction([table, { add: { set: { ...set, elements } } }])
  expect(nft.json().find(entry => entry.set)?.set).toMatchObject({ timeout: 3600, comment: 'leases' })
  await expect
    .poll(async () => (await firewall.sets())[0]?.elements?.map(({ key }) => key), { timeout: 5000 })
    .toEqual(['10.0.0.2'])
  const [read] = await firewall.sets()
  expect(read).toMatchObject({ timeout: 3_600_000, comment: 'leases', flags: ['timeout'] })
  expect(read?.elements?.[0]?.expires).toBeGreaterThan(3_000_000)
})

test('rules refer to sets by name', async ({ firewall, nft }) => {
  const pairs = { ...inTable, name: 'pairs', type: ['ipv4_addr', 'inet_service'] }
  await firewall.transaction([
    table,
    chain,
    { add: { set: { ...inTable, name: 's', type: 'ipv4_addr' } } },
    { add: { set: pairs } },
    { add: { rule: { ...inTable, chain: 'c', statements: [n.ip.saddr.not('@s'), n.drop] } } },
    { add: { rule: { ...inTable, chain: 'c', statements: [n.concat(['ip saddr', 'tcp dport'], '@pairs'), n.drop] } } }
  ])
  const texts = ['ip saddr != @s drop', 'ip saddr . tcp dport @pairs drop']
  expect(nft.rules('inet', 't', 'c')).toEqual(texts)
  expect((await firewall.rules()).map(String)).toEqual(texts)
})

test.for([
  ['no such type', { type: 'ipv5_addr' }, '[1].add.set.type'],
  [
    'an interval where there are none',
    { type: 'ipv4_addr', elements: [{ key: '10.0.0.0/8' }] },
    '[1].add.set.elements[0].key'
  ],
  [
    'overlaps',
    { type: 'inet_service', flags: ['interval'], elements: [{ key: '1-5' }, { key: '5-9' }] },
    '[1].add.set.elements'
  ],
  [
    'bits beyond the prefix',
    { type: 'ipv4_addr', flags: ['interval'], elements: [{ key: '10.0.0.1/8' }] },
    '[1].add.set.elements[0].key'
  ],
  [
    'a map without values',
    { type: 'ipv4_addr', map: 'verdict', elements: [{ key: '10.0.0.1' }] },
    '[1].add.set.elements[0].value'
  ],
  [
    'a value in no map',
    { type: 'ipv4_addr', elements: [{ key: '10.0.0.1', value: 'drop' }] },
    '[1].add.set.elements[0].value'
  ],
  ['too few fields', { type: ['ipv4_addr', 'mark'], elements: [{ key: ['10.0.0.1'] }] }, '[1].add.set.elements[0].key']
] as [string, object, string][])('refused: %s', async ([, spec, path], { firewall }) => {
  const changes = [table, { add: { set: { ...inTable, name: 's', ...spec } } }] as NftChange[]
  await expect(firewall.transaction(changes)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE', path })
})
