/** Every statement: the kernel takes it, nft reads it as we write it, and what nft makes of that text reads the same. */
import { describe, expect } from 'vitest'
import { canonical } from '../../lib/firewall/same.js'
import type { Nftables } from '../../lib/index.js'
import { isSameRule, ruleText } from '../../lib/index.js'
import { type Nft, test } from './support/firewall.js'
import { CHAINS, type Place, samples } from './support/rules.js'

async function prepare(firewall: Nftables, place: Place): Promise<'ip' | 'ip6' | 'inet' | 'bridge' | 'netdev' | 'arp'> {
  const { family, chain } = CHAINS[place]
  await firewall.transaction([
    { add: { table: { family, name: 't' } } },
    { add: { chain: { family, table: 't', name: 'c', ...chain } } },
    { add: { chain: { family, table: 't', name: 'other' } } }
  ])
  return family
}

/** What this kernel was built without: nft cannot have it either. */
function refusedByNft(nft: Nft, family: string, text: string): string | undefined {
  try {
    nft.run(`add rule ${family} t c ${text}`)
    nft.run(`flush chain ${family} t c`)
    return undefined
  } catch (error) {
    return String((error as { stderr?: unknown }).stderr).split('\n')[0]
  }
}

describe.each(samples.map(sample => [`${sample.place}: ${sample.text}`, sample] as const))('%s', (_, sample) => {
  const { place, statements, text } = sample

  test('there and back, and as nft has it', async ({ firewall, nft, skip }) => {
    const family = await prepare(firewall, place)
    const refusal = refusedByNft(nft, family, text)
    if (refusal) skip(refusal)

    await firewall.transaction([{ add: { rule: { family, table: 't', chain: 'c', statements } } }])
    expect(nft.rules(family, 't', 'c')).toEqual([text])
    const [ours] = await firewall.rules({ family, table: 't' })
    expect(String(ours)).toBe(text)
    expect(ours?.statements.filter(statement => 'raw' in statement)).toEqual([])
    expect(ours && isSameRule(ours, { statements })).toBe(true)

    nft.run(`flush chain ${family} t c; add rule ${family} t c ${ruleText(statements, family)}`.replace(';', '\n'))
    const [theirs] = await firewall.rules({ family, table: 't' })
    expect(String(theirs)).toBe(text)
    expect(theirs && isSameRule(theirs, { statements })).toBe(true)
    expect(canonical(family, ours?.statements ?? [])).toEqual(ours?.statements)
  })
})

test("a comment is seen by nft, and nft's by us", async ({ firewall, nft }) => {
  await prepare(firewall, 'inet')
  const rule = {
    family: 'inet',
    table: 't',
    chain: 'c',
    statements: [{ verdict: 'drop' }],
    comment: "it's ünicode"
  } as const
  await firewall.transaction([{ add: { rule } }])
  expect(nft.rules('inet', 't', 'c')).toEqual(['drop comment "it\'s ünicode"'])
  nft.run('add rule inet t c accept comment "theirs"')
  expect((await firewall.rules()).map(String)).toEqual(['drop comment "it\'s ünicode"', 'accept comment "theirs"'])
  expect((await firewall.rules()).map(({ comment }) => comment)).toEqual(["it's ünicode", 'theirs'])
})

test('another value, another operator, another comment is another rule', async ({ firewall }) => {
  await prepare(firewall, 'inet')
  const statements = samples.find(({ text }) => text.startsWith('tcp dport != { 22'))?.statements ?? []
  await firewall.transaction([{ add: { rule: { family: 'inet', table: 't', chain: 'c', statements } } }])
  const [rule] = await firewall.rules()
  if (!rule) throw new Error('no rule')
  expect(isSameRule(rule, { statements })).toBe(true)
  expect(isSameRule(rule, { statements, comment: 'x' })).toBe(false)
  const value = [22, '80-90'] as const
  const others = [
    { match: 'tcp dport', value },
    { match: 'tcp sport', op: '!=', value },
    { match: 'udp dport', op: '!=', value },
    { match: 'tcp dport', op: '!=', value: [22, '80-91'] }
  ] as const
  for (const other of others) expect(isSameRule(rule, { statements: [other, { verdict: 'accept' }] })).toBe(false)
  expect(isSameRule(rule, { statements: [{ match: 'tcp dport', op: '!=', value }, { verdict: 'drop' }] })).toBe(false)
})

test('rules of others that have no statement here stay readable', async ({ firewall, nft }) => {
  nft.run(`table inet t {
    chain c {
      ip dscp cs1 numgen inc mod 2 0 accept
      ct original ip saddr 10.0.0.1 counter drop
      tcp option timestamp exists drop
    }
  }`)
  const rules = await firewall.rules()
  expect(rules).toHaveLength(3)
  expect(rules[0]?.statements.filter(statement => 'raw' in statement).length).toBeGreaterThan(0)
  expect(String(rules[0])).toMatch(/\[ numgen 0x[0-9a-f]+ \].* accept$/)
  expect(String(rules[1])).toMatch(/\[ ct .*srcIp.*\] .*counter packets 0 bytes 0 drop$/)
  // What was read can be sent again.
  for (const { statements } of rules) {
    await firewall.transaction([{ add: { rule: { family: 'inet', table: 't', chain: 'c', statements } } }])
  }
  const texts = nft.rules('inet', 't', 'c')
  expect(texts.slice(3)).toEqual(texts.slice(0, 3))
})
