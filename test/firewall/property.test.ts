/** Random rules of our statements: what is listed is what was added, and nft shows as many rules. */
import { expect } from 'vitest'
import { canonical } from '../../lib/firewall/same.js'
import { isSameRule, type NftChange, type NftStatement, nft as n } from '../../lib/index.js'
import { random } from '../support/random.js'
import { test } from './support/firewall.js'

type Pick_ = (below: number) => number

const one = <T>(pick: Pick_, from: readonly T[]): T => from[pick(from.length)] as T
const address = (pick: Pick_) => `10.${pick(256)}.${pick(256)}.${pick(256)}`
const address6 = (pick: Pick_) => `2001:db8:${pick(65536).toString(16)}::${(pick(65535) + 1).toString(16)}`
const mac = (pick: Pick_) => `52:54:00:${[0, 0, 0].map(() => pick(256).toString(16).padStart(2, '0')).join(':')}`
const port = (pick: Pick_) => pick(65_535)
const range = (pick: Pick_) => {
  const [from, to] = [port(pick), port(pick)].sort((a, b) => a - b) as [number, number]
  return from === to ? from : `${from}-${to}`
}
const prefix = (pick: Pick_) => {
  const bits = 1 + pick(32)
  const number = (pick(2 ** 32) & (bits === 32 ? -1 : ~(2 ** (32 - bits) - 1))) >>> 0
  const text = [24, 16, 8, 0].map(shift => (number >>> shift) & 255).join('.')
  return bits === 32 ? text : `${text}/${bits}`
}
const many = <T>(pick: Pick_, make: (pick: Pick_) => T) => [
  ...new Set(Array.from({ length: 1 + pick(5) }, () => make(pick)))
]
const op = (pick: Pick_) => one(pick, [{}, { op: '!=' as const }])

const ipv4 = (pick: Pick_): NftStatement[] => [
  {
    match: one(pick, ['ip saddr', 'ip daddr'] as const),
    ...op(pick),
    value: one(pick, [address(pick), prefix(pick), many(pick, address)])
  }
]
const ipv6 = (pick: Pick_): NftStatement[] => [
  {
    match: one(pick, ['ip6 saddr', 'ip6 daddr'] as const),
    ...op(pick),
    value: one(pick, [address6(pick), many(pick, address6), 'fe80::/10', 'fc00::/7', '2001:db8::/32'])
  }
]
const ports = (pick: Pick_): NftStatement[] => {
  const protocol = one(pick, ['tcp', 'udp', 'sctp'] as const)
  const fields = one(pick, [
    [`${protocol} sport`],
    [`${protocol} dport`],
    [`${protocol} sport`, `${protocol} dport`]
  ] as const)
  return fields.map(match => ({ match, ...op(pick), value: one(pick, [port(pick), range(pick), many(pick, port)]) }))
}
const state = (pick: Pick_): NftStatement[] => [
  n.ct.state(...new Set(many(pick, () => one(pick, ['new', 'established', 'related', 'invalid', 'untracked'])))),
  { match: 'ct mark', ...op(pick), value: pick(2 ** 32) }
]
const link = (pick: Pick_): NftStatement[] => [
  {
    match: one(pick, ['iifname', 'oifname'] as const),
    ...op(pick),
    value: one(pick, [`vnet${pick(99)}`, `vnet${pick(9)}*`, ['a', 'b']])
  }
]
const ethernet = (pick: Pick_): NftStatement[] => [
  {
    match: one(pick, ['ether saddr', 'ether daddr'] as const),
    ...op(pick),
    value: one(pick, [mac(pick), many(pick, mac)])
  }
]
const both = (pick: Pick_): NftStatement[] => [
  n.concat(
    ['ip saddr', 'tcp dport'],
    many(pick, p => JSON.stringify([address(p), port(p)])).map(text => JSON.parse(text)),
    one(pick, ['==', '!='] as const)
  )
]
const mark = (pick: Pick_): NftStatement[] => [
  { match: 'meta mark', op: one(pick, ['<', '>', '<=', '>='] as const), value: pick(2 ** 32) }
]
const action = (pick: Pick_): NftStatement =>
  one(pick, [
    n.counter,
    n.limit({ rate: 1 + pick(1000), per: one(pick, ['second', 'hour'] as const), over: pick(2) === 0 }),
    n.meta.mark.set(pick(2 ** 32)),
    n.log({ prefix: 'x' })
  ])
const end = (pick: Pick_): NftStatement => one(pick, [n.accept, n.drop, n.reject(), n.return, n.jump('other')])

function ruleOf(pick: Pick_): NftStatement[] {
  const network = one(pick, [ipv4, ipv6, () => []])
  const matches = [...(pick(2) ? link(pick) : []), ...(pick(4) ? [] : ethernet(pick)), ...network(pick)]
  const transport = network === ipv4 && pick(4) === 0 ? both(pick) : pick(2) ? ports(pick) : []
  return [
    ...matches,
    ...transport,
    ...(pick(2) ? state(pick) : []),
    ...(pick(3) ? [] : mark(pick)),
    action(pick),
    end(pick)
  ]
}

/** nft lists concatenations in the order of the kernel's hash. */
const inOrder = (text: string) =>
  text.replace(/\{ ([^}]*) \}/g, (_, elements: string) => `{ ${elements.split(', ').sort().join(', ')} }`)

const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31))

test(`random rules (SEED=${seed})`, async ({ firewall, nft }) => {
  const pick = random(seed)
  const rules = Array.from({ length: 300 }, () => ruleOf(pick))
  const place = { family: 'inet', table: 't', chain: 'c' } as const
  await firewall.transaction([
    { add: { table: { family: 'inet', name: 't' } } },
    { add: { chain: { family: 'inet', table: 't', name: 'other' } } },
    { add: { chain: { family: 'inet', table: 't', name: 'c' } } },
    ...rules.map((statements): NftChange => ({ add: { rule: { ...place, statements } } }))
  ])
  const listed = await firewall.rules()
  expect(listed).toHaveLength(rules.length)
  const shown = nft.rules('inet', 't', 'c')
  for (const [at, rule] of listed.entries()) {
    const statements = rules[at] as NftStatement[]
    expect(isSameRule(rule, { statements }), JSON.stringify(statements)).toBe(true)
    expect(rule.statements.filter(statement => 'raw' in statement)).toEqual([])
    expect(inOrder(String(rule))).toBe(inOrder(shown[at] as string))
  }
  // Only its own rule is the same.
  for (let i = 0; i < 200; i++) {
    const [a, b] = [pick(rules.length), pick(rules.length)]
    const different =
      JSON.stringify(canonical('inet', rules[a] as NftStatement[])) !==
      JSON.stringify(canonical('inet', rules[b] as NftStatement[]))
    expect(isSameRule(listed[a] as never, { statements: rules[b] as NftStatement[] })).toBe(!different)
  }
  // What was read, added again, is the same once more.
  await firewall.transaction([
    { flush: { chain: { family: 'inet', table: 't', name: 'c' } } },
    ...listed.map(({ statements }): NftChange => ({ add: { rule: { ...place, statements } } }))
  ])
  expect(nft.rules('inet', 't', 'c').map(inOrder)).toEqual(shown.map(inOrder))
})
