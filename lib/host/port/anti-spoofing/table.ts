/**
 * The table that looks at what guests send: the same rules for every port, and sets that say which addresses are whose.
 * A frame costs some look-ups, however many ports there are.
 */
import type { Change } from '../../../firewall/changes.js'
import { nft as n } from '../../../firewall/nft.js'
import type { SetSpec } from '../../../firewall/objects.js'
import type { Statement } from '../../../firewall/statements.js'
import { rules } from './rules.js'

export const TABLE = { family: 'bridge', name: 'linkwright-ports' } as const
export const IN_TABLE = { family: TABLE.family, table: TABLE.name } as const

/** Before all that others have there (NF_BR_PRI_NAT_DST_BRIDGED is -300). */
const PRIORITY = -310

type Shape = Pick<SetSpec, 'type' | 'map' | 'flags'>

/**
 * Keys begin with the ifindex: a name may become another link's. That link may be created with the ifindex of one that is
 * gone, too: see `mark.ts`.
 */
export const SETS = {
  ports: { type: 'iface_index', map: 'verdict' },
  macs: { type: ['iface_index', 'ether_addr'] },
  ipv4: { type: ['iface_index', 'ipv4_addr'] },
  'ipv4-prefixes': { type: ['iface_index', 'ipv4_addr'], flags: ['interval'] },
  ipv6: { type: ['iface_index', 'ipv6_addr'] },
  'ipv6-prefixes': { type: ['iface_index', 'ipv6_addr'], flags: ['interval'] },
  'any-ipv4': { type: 'iface_index' },
  'any-ipv6': { type: 'iface_index' },
  'dhcp-servers': { type: 'iface_index' },
  routers: { type: 'iface_index' },
  'vlan-tags': { type: 'iface_index' }
} as const satisfies Record<string, Shape>

export type SetName = keyof typeof SETS
export const SET_NAMES = Object.keys(SETS) as SetName[]

/** How many rules the whole table has. */
export const RULES = Object.values(rules).reduce((sum, list) => sum + list.length, 1)

/** The whole table, without elements. `EEXIST` if there is one. */
export function tableChanges(): Change[] {
  const chain = (name: string, hook?: 'prerouting'): Change => ({
    add: {
      chain: { ...IN_TABLE, name, ...(hook ? { hook, type: 'filter', priority: PRIORITY, policy: 'accept' } : {}) }
    }
  })
  const rule = (name: string, statements: readonly Statement[]): Change => ({
    add: { rule: { ...IN_TABLE, chain: name, statements } }
  })
  return [
    { create: { table: { ...TABLE, comment: 'who guests may say they are' } } },
    ...SET_NAMES.map((name): Change => ({ add: { set: { ...IN_TABLE, name, ...(SETS[name] as Shape) } } })),
    ...Object.keys(rules).map(name => chain(name)),
    ...Object.entries(rules).flatMap(([name, list]) => list.map(statements => rule(name, statements))),
    chain('prerouting', 'prerouting'),
    rule('prerouting', [n.vmap('iif', '@ports')])
  ]
}
