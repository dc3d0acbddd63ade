/** Policy rules: set by us and seen by iproute2, set by iproute2 and seen by us. */
import { describe, expect } from 'vitest'
import type { AddRule } from '../../lib/index.js'
import { atLeast } from '../support/features.js'
import type { Parsed } from '../support/ip.js'
import { type Namespace, test } from '../support/namespace.js'

interface Case {
  options: AddRule
  /** The same for `ip rule add`. */
  ip: string
  /** What `ip -j rule` shows. */
  shows: object
  /** What is read beside what was given. */
  reads?: object
}

const CASES: Record<string, Case> = {
  'a source': {
    options: { from: '192.0.2.0/24', table: 100 },
    ip: 'from 192.0.2.0/24 table 100',
    shows: { src: '192.0.2.0', srclen: 24, table: '100' },
    reads: { from: '192.0.2.0/24', to: 'all', tableId: 100, action: 'table' }
  },
  'a destination, IPv6': {
    options: { to: '2001:db8::/32', table: 100_000 },
    ip: 'to 2001:db8::/32 table 100000',
    shows: { dst: '2001:db8::', dstlen: 32, table: '100000' },
    reads: { family: 'inet6', from: 'all', to: '2001:db8::/32', tableId: 100_000 }
  },
  'the main table': {
    options: { from: '192.0.2.1' },
    ip: 'from 192.0.2.1 table main',
    shows: { src: '192.0.2.1', table: 'main' },
    reads: { from: '192.0.2.1/32', tableId: 254 }
  },
  'a mark and its mask': {
    options: { fwmark: 0x1200, fwmask: 0xff00, table: 7, priority: 500 },
    ip: 'fwmark 0x1200/0xff00 table 7 pref 500',
    shows: { fwmark: '0x1200', fwmask: '0xff00', priority: 500 },
    reads: { priority: 500, fwmark: 0x1200, fwmask: 0xff00 }
  },
  links: {
    options: { iif: 'lo', oif: 'eth7', table: 7 },
    ip: 'iif lo oif eth7 table 7',
    shows: { iif: 'lo', oif: 'eth7', oif_detached: null },
    reads: { iifname: 'lo', oifname: 'eth7', flags: expect.objectContaining({ oifDetached: true, iifDetached: false }) }
  },
  'not, and a type of service': {
    options: { invert: true, from: '192.0.2.0/24', tos: 0x10, table: 7 },
    ip: 'not from 192.0.2.0/24 tos 0x10 table 7',
    shows: { not: null, tos: '0x10' },
    reads: { invert: true, tos: 0x10 }
  },
  'ports and a protocol': {
    options: { ipProto: 6, sport: 1000, dport: { start: 2000, end: 2999 }, table: 7 },
    ip: 'ipproto tcp sport 1000 dport 2000-2999 table 7',
    shows: { ipproto: 'tcp', sport: 1000, dport_start: 2000, dport_end: 2999 },
    reads: { ipProto: 6, sportRange: { start: 1000, end: 1000 }, dportRange: { start: 2000, end: 2999 } }
  },
  users: {
    options: { uidRange: { start: 1000, end: 2000 }, table: 7 },
    ip: 'uidrange 1000-2000 table 7',
    shows: { uid_start: 1000, uid_end: 2000 },
    reads: { uidRange: { start: 1000, end: 2000 } }
  },
  'what is suppressed': {
    options: { table: 254, suppressPrefixlen: 0, suppressIfgroup: 9, priority: 600 },
    ip: 'table main suppress_prefixlength 0 suppress_ifgroup 9 pref 600',
    shows: { suppress_prefixlen: 0, suppress_ifgroup: '9' },
    reads: { suppressPrefixlen: 0, suppressIfgroup: 9 }
  },
  goto: {
    options: { goto: 32_766, priority: 600 },
    ip: 'goto 32766 pref 600',
    shows: { goto: 32_766 },
    reads: { action: 'goto', goto: 32_766 }
  },
  'a goto that leads nowhere': {
    options: { goto: 700, priority: 600 },
    ip: 'goto 700 pref 600',
    shows: { goto: 700, unresolved: null },
    reads: { flags: expect.objectContaining({ unresolved: true }) }
  },
  ...Object.fromEntries(
    (['blackhole', 'unreachable', 'prohibit'] as const).map(action => [
      action,
      {
        options: { action, from: '192.0.2.0/24' },
        ip: `from 192.0.2.0/24 ${action}`,
        shows: { action, src: '192.0.2.0' },
        reads: { action, tableId: 0 }
      }
    ])
  ),
  'who made it': {
    options: { from: '192.0.2.0/24', protocol: 'dhcp', table: 7 },
    ip: 'from 192.0.2.0/24 protocol dhcp table 7',
    shows: { protocol: 'dhcp' },
    reads: { protocol: 'dhcp' }
  },
  'a realm': {
    options: { from: '192.0.2.0/24', flow: 0x0003_0004, table: 7 },
    ip: 'from 192.0.2.0/24 realms 3/4 table 7',
    shows: { flow_from: '3', flow_to: '4' },
    reads: { flow: 0x0003_0004 }
  },
  'a tunnel': {
    options: { tunId: 42n, table: 7 },
    ip: 'tun_id 42 table 7',
    shows: { tun_id: 42 },
    reads: { tunId: 42n }
  }
}

const BUILT_IN = [0, 32_766, 32_767]
const rules = (ns: Namespace): Parsed[] =>
  ['-4', '-6'].flatMap(family => ns.tools.ipJson(`${family} rule show`)).filter(rule => !isBuiltIn(rule))
const isBuiltIn = ({ priority, src, fwmark }: Parsed) => BUILT_IN.includes(priority) && src === 'all' && !fwmark

const list = async (ns: Namespace) =>
  (await ns.net.rules.list()).filter(rule => !BUILT_IN.includes(rule.priority ?? 0) || rule.from !== 'all')

describe('rules', () => {
  for (const [title, { options, ip, shows, reads = {} }] of Object.entries(CASES)) {
    const family = options.to?.includes(':') ? '-6' : '-4'

    test(`${title}: added`, async ({ ns, other, skip }) => {
      if (title === 'a realm' && !other.tools.can(`rule add ${ip}`)) skip('this kernel has no realms')
      const made = await ns.net.rules.add(options)
      const seen = rules(ns)
      expect(seen).toEqual([expect.objectContaining(shows)])
      expect(made.priority).toBe(seen[0].priority)
      expect(made).toMatchObject(reads)
      await ns.net.rules.delete(options)
      expect(rules(ns)).toEqual([])
    })

    test(`${title}: as iproute2 adds it`, async ({ ns, other, skip }) => {
      if (!other.tools.can(`${family} rule add ${ip}`)) skip('iproute2 or this kernel cannot')
      await ns.net.rules.add(options)
      const [[ours], [theirs]] = [await list(ns), await list(other)]
      expect(ours?.toJSON()).toEqual(theirs?.toJSON())
      expect(rules(ns)).toEqual(rules(other))
    })
  }

  test('the list is what iproute2 shows', async ({ ns }) => {
    ns.tools.ip('rule add from 192.0.2.0/24 table 100 pref 10')
    ns.tools.ip('-6 rule add fwmark 7 table 100 pref 20')
    const priorities = (family: string) => ns.tools.ipJson(`${family} rule show`).map(rule => rule.priority)
    const all = await ns.net.rules.list()
    expect(all.map(rule => rule.priority ?? 0)).toEqual([...priorities('-4'), ...priorities('-6')])
    expect(all.map(rule => rule.family)).toEqual(['inet', 'inet', 'inet', 'inet', 'inet6', 'inet6', 'inet6'])
    const inet6 = await ns.net.rules.list({ family: 'inet6' })
    expect(inet6.map(rule => rule.tableId)).toEqual([255, 100, 254])
  })

  test('the same rule twice is EEXIST', async ({ ns }) => {
    const rule = { from: '192.0.2.0/24', table: 7, priority: 9 }
    await ns.net.rules.add(rule)
    await expect(ns.net.rules.add(rule)).rejects.toMatchObject({ code: 'EEXIST', syscall: 'RTM_NEWRULE' })
    expect(rules(ns)).toHaveLength(1)
  })

  test('delete takes the first that matches, and no other', async ({ ns }) => {
    for (const priority of [5, 6, 7]) ns.tools.ip(`rule add from 192.0.2.0/24 table 7 pref ${priority}`)
    await ns.net.rules.delete({ from: '192.0.2.0/24', priority: 6 })
    expect(rules(ns).map(rule => rule.priority)).toEqual([5, 7])
    await ns.net.rules.delete({ table: 7 })
    expect(rules(ns).map(rule => rule.priority)).toEqual([7])
    await expect(ns.net.rules.delete({ table: 8 })).rejects.toMatchObject({ code: 'ENOENT', syscall: 'RTM_DELRULE' })
  })

  test('a rule that was read can be added again', async ({ ns, other }) => {
    await ns.net.rules.add({
      from: '192.0.2.0/24',
      iif: 'lo',
      fwmark: 3,
      table: 100_000,
      priority: 77,
      dport: 53,
      ipProto: 17
    })
    const [it] = await list(ns)
    if (!it) throw new Error('no rule')
    const { from, to, invert, priority, fwmark, fwmask, ipProto, protocol } = it
    const { tableId: table, iifname: iif, dportRange: dport } = it
    await other.net.rules.add({ from, to, invert, priority, fwmark, fwmask, ipProto, protocol, table, iif, dport })
    expect(rules(other)).toEqual(rules(ns))
  })

  test('what only newer kernels know', async ({ ns, skip }) => {
    if (!atLeast('6.15')) skip('this kernel does not know it')
    const made = await ns.net.rules.add({ dscp: 10, ipProto: 6, dport: 0x1000, dportMask: 0xf000, table: 7 })
    expect(made).toMatchObject({ dscp: 10, dportMask: 0xf000 })
    expect(rules(ns)).toHaveLength(1)
    await ns.net.rules.delete({ dscp: 10 })
    expect(rules(ns)).toEqual([])
    const six = await ns.net.rules.add({ family: 'inet6', flowlabel: 0x1230, flowlabelMask: 0xfff0, table: 7 })
    expect(six).toMatchObject({ family: 'inet6', flowlabel: 0x1230, flowlabelMask: 0xfff0 })
  })

  test.for<[string, string, AddRule]>([
    ['an address', 'from', { from: '192.0.2.0/33' }],
    ['two families', 'family', { from: '192.0.2.0/24', to: '2001:db8::/32' }],
    ['another family', 'family', { family: 'inet6', from: '192.0.2.0/24' }],
    ['a table', 'table', { table: -1 }],
    ['a port', 'dport.end', { dport: { start: 1, end: 70_000 } }],
    ['a link', 'iif', { iif: 'a name that is too long' }],
    ['an unknown option', 'form', { form: '192.0.2.0/24' } as AddRule]
  ])('%s is refused', async ([, path, options], { ns }) => {
    await expect(ns.net.rules.add(options)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE', path })
    expect(rules(ns)).toEqual([])
  })

  test.for([
    {},
    { family: 'inet6' },
    { from: 'all' },
    { to: '0.0.0.0/0', action: 'table' },
    { fwmark: 0, tos: 0, invert: false }
  ] as AddRule[])('to delete %j would be any rule', async (options, { ns }) => {
    const before = ns.tools.ipJson('rule show')
    await expect(ns.net.rules.delete(options)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' })
    expect(ns.tools.ipJson('rule show')).toEqual(before)
  })
})
