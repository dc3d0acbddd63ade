/** Hooks and priorities of base chains, by the names that nft has for each family. */
import { invalidArgument } from '../errors.js'
import type { Family } from './dependencies.js'

const INET_HOOKS = { prerouting: 0, input: 1, forward: 2, output: 3, postrouting: 4 }

/** NF_INET_*, NF_BR_*, NF_ARP_*, NF_NETDEV_* */
const HOOKS: Record<Family, Record<string, number>> = {
  ip: INET_HOOKS,
  ip6: INET_HOOKS,
  inet: { ...INET_HOOKS, ingress: 5 },
  bridge: INET_HOOKS,
  arp: { input: 0, output: 1 },
  netdev: { ingress: 0, egress: 1 }
}

export type HookName = 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting' | 'ingress' | 'egress'

const PRIORITIES = { raw: -300, mangle: -150, dstnat: -100, filter: 0, security: 50, srcnat: 100 } as const
const BRIDGE_PRIORITIES = { dstnat: -300, filter: -200, out: 100, srcnat: 300 } as const

export type PriorityName = keyof typeof PRIORITIES | keyof typeof BRIDGE_PRIORITIES

export function hookNumber(family: Family, hook: string, path: string): number {
  const number = HOOKS[family][hook]
  if (number === undefined) throw invalidArgument(path, Object.keys(HOOKS[family]).join(' | '), hook)
  return number
}

export function hookName(family: Family, number: number): HookName | undefined {
  return Object.entries(HOOKS[family]).find(([, value]) => value === number)?.[0] as HookName | undefined
}

export function priorityNumber(family: Family, priority: unknown, path: string): number {
  const names: Record<string, number> = family === 'bridge' ? BRIDGE_PRIORITIES : PRIORITIES
  const number = typeof priority === 'string' ? names[priority] : priority
  if (typeof number !== 'number')
    throw invalidArgument(path, `an integer, or one of ${Object.keys(names).join(', ')}`, priority)
  return number
}
