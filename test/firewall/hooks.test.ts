/** The base chains of a hook, in the order in which packets meet them. */
import { expect } from 'vitest'
import { type NftChange, type NftHookedChain, nft as n } from '../../lib/index.js'
import { answered } from './support/echo.js'
import { test } from './support/firewall.js'

const named = (chains: readonly NftHookedChain[]) =>
  chains.map(({ family, table, name }) => `${family} ${table} ${name}`)

function base(family: 'ip' | 'inet' | 'ip6', name: string, priority: number): NftChange[] {
  const place = { family, table: 't', chain: name } as const
  return [
    { add: { table: { family, name: 't' } } },
    { add: { chain: { family, table: 't', name, hook: 'input', priority } } },
    { add: { rule: { ...place, statements: [n.udp.dport(7), n.counter] } } }
  ]
}

const packetsOf = (chain: NftHookedChain | undefined) =>
  chain?.rules[0]?.statements.flatMap(statement => ('counter' in statement ? (statement.counter.packets ?? 0) : []))[0]

test('by priority, with those of inet tables', async ({ firewall }) => {
  await firewall.transaction([
    ...base('ip', 'late', 10),
    ...base('inet', 'middle', 0),
    ...base('ip', 'early', -10),
    ...base('ip6', 'other', -20),
    { add: { chain: { family: 'ip', table: 't', name: 'output', hook: 'output', priority: 0 } } },
    { add: { chain: { family: 'ip', table: 't', name: 'regular' } } }
  ])
  expect(named(await firewall.atHook('ip', 'input'))).toEqual(['ip t early', 'inet t middle', 'ip t late'])
  expect(named(await firewall.atHook('ip6', 'input'))).toEqual(['ip6 t other', 'inet t middle'])
  expect(named(await firewall.atHook('inet', 'input'))).toEqual(['inet t middle'])
  expect((await firewall.atHook('ip', 'input')).map(({ rules }) => rules.map(String))).toEqual(
    Array(3).fill(['udp dport 7 counter packets 0 bytes 0'])
  )
})

test('of equal priorities the latest comes first, as packets show', async ({ firewall, ns }) => {
  ns.tools.ip('link set dev lo up')
  await firewall.transaction([...base('ip', 'a', 0), ...base('ip', 'b', 0), ...base('ip', 'c', 0)])
  expect(answered(ns, '127.0.0.1', 1)).toBe(0)
  expect((await firewall.atHook('ip', 'input')).map(packetsOf)).toEqual([1, 1, 1])
  // Whatever is told second does not see what the first drops.
  const [, second] = await firewall.atHook('ip', 'input')
  const place = { family: 'ip', table: 't', chain: second?.name ?? '' } as const
  await firewall.transaction([{ add: { rule: { ...place, statements: [n.udp.dport(7), n.drop] } } }])
  expect(answered(ns, '127.0.0.1', 1)).toBe(0)
  const chains = await firewall.atHook('ip', 'input')
  expect(named(chains)).toEqual(['ip t c', 'ip t b', 'ip t a'])
  expect(chains.map(packetsOf)).toEqual([2, 2, 1])
})
