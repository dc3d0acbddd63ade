/** What others do with a NIC before and while it is taken over, and what else it may have. */
import { execFileSync } from 'node:child_process'
import { setTimeout } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import type { PlanProgress } from '../../lib/host/plan.js'
import { planTakeover } from '../../lib/host/takeover/takeover.js'
import { type Namespace, test } from '../support/namespace.js'
import { guards } from './support/plans.js'
import { connectAtOnce, stateOf } from './support/scene.js'

const INTO = { nic: 'eth0', bridge: 'br0' }

/** Before, at, and behind what matters. */
const STEPS = ['situation', 'port', 'routes', 'others']

const inside = ({ name }: Namespace, ...command: string[]) =>
  execFileSync('ip', ['netns', 'exec', name, ...command], { encoding: 'utf8' })

const codesOf = (findings: readonly { code: string }[]) => findings.map(({ code }) => code)

describe('others change the NIC', () => {
  test('two take it over at once: one of them does, and the other touches nothing of it', async ({ ns, other }) => {
    await connectAtOnce(ns, other)
    const before = stateOf(ns)
    const plans = [await planTakeover(ns.net, INTO), await planTakeover(ns.net, INTO), await planTakeover(ns.net, INTO)]
    const [first, second, late] = plans as [(typeof plans)[0], (typeof plans)[0], (typeof plans)[0]]
    const results = await Promise.allSettled([first.apply(), second.apply()])
    expect(results.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
    const after = stateOf(ns)
    expect(ns.tools.link('eth0').master).toBe('br0')
    await expect(late.apply()).rejects.toMatchObject({ code: 'ERR_CONFLICT', diagnosis: 'changed' })
    expect(stateOf(ns)).toBe(after)
    await (results[0]?.status === 'fulfilled' ? first : second).undo()
    expect(stateOf(ns)).toBe(before)
  })

  test.for([
    ['an address', 'address add 10.77.0.1/24 dev eth0', 'address del 10.77.0.1/24 dev eth0'],
    ['a route', 'route add 10.78.0.0/16 dev eth0', 'route del 10.78.0.0/16 dev eth0']
  ] as const)(
    '%s comes to it at any step: it is undone',
    { timeout: 120_000 },
    async ([_, add, remove], { ns, other }) => {
      await connectAtOnce(ns, other)
      const before = stateOf(ns)
      for (const name of STEPS) {
        const plan = await planTakeover(ns.net, INTO)
        const onProgress = ({ step, state }: PlanProgress) => {
          if (step === name && state === 'started') ns.tools.ip(add)
        }
        await expect(plan.apply({ onProgress }), name).rejects.toMatchObject({
          code: expect.stringMatching(/^ERR_(NOT_APPLIED|CONFLICT)$/)
        })
        expect(stateOf(ns), name).not.toBe(before)
        ns.tools.ip(remove)
        expect(stateOf(ns), name).toBe(before)
      }
    }
  )

  test('it is unplugged at any step: nothing of ours stays', { timeout: 120_000 }, async ({ ns, other }) => {
    for (const name of STEPS) {
      await connectAtOnce(ns, other)
      const plan = await planTakeover(ns.net, INTO)
      const onProgress = ({ step, state }: PlanProgress) => {
        if (step === name && state === 'started') ns.tools.ip('link del dev eth0')
      }
      const failed = expect(plan.apply({ onProgress, confirmWithin: '30s', probe: () => true }), name).rejects
      await failed.toMatchObject({ code: expect.stringMatching(/^(ENODEV|ERR_NOT_UNDONE|ERR_NOT_APPLIED)$/) })
      expect(
        ns.tools.ipJson('link show').map(({ ifname }) => ifname),
        name
      ).toEqual(['lo'])
      expect(guards(ns), name).toEqual([])
      for (const family of ['', '-6 '])
        for (const priority of [500, 600, 700]) {
          try {
            ns.tools.ip(`${family}rule del priority ${priority}`)
          } catch {
            // There is none.
          }
        }
      for (const family of ['', '-6 ']) ns.tools.ip(`${family}route flush table all proto static`)
      other.tools.ip('address flush dev lo')
    }
  })
})

describe('the NIC has', () => {
  test('nexthop objects: they go along, and what is routed by them', async ({ ns, other }) => {
    await connectAtOnce(ns, other)
    for (const command of [
      'nexthop add id 10 via 192.0.2.254 dev eth0 proto static',
      'nexthop add id 11 via 198.51.100.254 dev eth0 onlink',
      'nexthop add id 12 via 2001:db8::fe dev eth0',
      'nexthop add id 20 group 10,3/11',
      'route add 10.30.0.0/16 nhid 10 metric 50',
      'route add 10.31.0.0/16 nhid 20',
      '-6 route add 2001:db8:30::/48 nhid 12'
    ])
      ns.tools.ip(command)
    const all = () => [ns.tools.ip('-d nexthop show'), ns.tools.ip('-d route show'), ns.tools.ip('-6 -d route show')]
    const [before, state] = [all(), stateOf(ns)]
    const plan = await planTakeover(ns.net, INTO)
    await plan.apply()
    const moved = all().join('\n')
    expect(moved.match(/^id .*dev br0/gm)).toHaveLength(3)
    expect(moved).toMatch(/^(unicast )?10\.30\.0\.0\/16 nhid 10 via 192\.0\.2\.254 dev br0/m)
    expect(moved).toMatch(/2001:db8:30::\/48 nhid 12 via 2001:db8::fe dev br0/)
    expect((await planTakeover(ns.net, INTO)).empty).toBe(true)
    await plan.undo()
    expect(all()).toEqual(before)
    expect(stateOf(ns)).toBe(state)
  })

  test('an address of IPv6 that another host has', async ({ ns, other }) => {
    await connectAtOnce(ns, other)
    inside(ns, 'sh', '-c', 'for f in all eth0; do echo 1 > /proc/sys/net/ipv6/conf/$f/accept_dad; done')
    ns.tools.ip('address add 2001:db8::fe/64 dev eth0')
    while (!ns.tools.ip('address show dadfailed').includes('2001:db8::fe')) await setTimeout(50)
    const { conflicts } = await planTakeover(ns.net, INTO)
    expect(conflicts).toMatchObject([
      { code: 'duplicate-address', message: expect.stringContaining('2001:db8::fe/64') }
    ])
  })

  test('a tunnel bound to it', async ({ ns, other }) => {
    await connectAtOnce(ns, other)
    ns.tools.ip('link add name vx0 type vxlan id 7 dstport 4789 dev eth0 remote 192.0.2.254')
    const { warnings } = await planTakeover(ns.net, INTO)
    expect(warnings.filter(({ about }) => about === 'vx0')).toMatchObject([{ code: 'bound-tunnel' }])
  })

  test('rules of a firewall that name it, of whatever sort', async ({ ns, other }) => {
    await connectAtOnce(ns, other)
    const { ifindex } = ns.tools.link('eth0')
    const ruleset = `
      table inet filter {
        set nics { type ifname; elements = { "eth0", "eth7" } }
        chain a { type filter hook input priority 0; iifname "eth0" tcp dport 22 accept; }
        chain b { oifname { "eth0", "eth1" } accept; iifname "eth*" drop; }
        chain c { iifname @nics accept; }
        chain d { iif ${ifindex} accept; }
        chain e { iifname vmap { "eth0" : accept, "eth1" : drop }; }
        chain f { iifname . tcp dport { "eth0" . 22 } accept; }
        chain none { iifname "eth1" accept; iifname != "lo" tcp dport { 22 } accept; meta mark ${ifindex} accept; }
      }
      table bridge filter { chain own { type filter hook input priority 0; iifname "eth0" accept; }; }`
    inside(ns, 'nft', ruleset)
    const { warnings } = await planTakeover(ns.net, INTO)
    expect(warnings.filter(({ code }) => code === 'firewall-rule').map(({ about }) => about)).toEqual(
      ['a', 'b', 'c', 'd', 'e', 'f'].map(chain => `inet filter ${chain}`)
    )
    expect(String(warnings.find(({ about }) => about === 'inet filter b')?.message)).toBe(
      'chain inet filter b has 2 rules that name eth0, and will see br0 in its place'
    )
  })

  test('a queueing discipline, a longer queue and another MTU: they stay', async ({ ns, other }) => {
    await connectAtOnce(ns, other)
    ns.tools.ip('link set dev eth0 txqueuelen 777 mtu 1400')
    const tc = (command: string) => execFileSync('tc', ['-n', ns.name, ...command.split(' ')], { encoding: 'utf8' })
    tc('qdisc add dev eth0 root handle 1: tbf rate 10mbit burst 10k latency 50ms')
    const settings = () => tc('qdisc show dev eth0')
    const [before, state] = [settings(), stateOf(ns)]
    const plan = await planTakeover(ns.net, INTO)
    await plan.apply()
    expect([settings(), ns.tools.link('br0').mtu]).toEqual([before, 1400])
    await plan.undo()
    expect([settings(), stateOf(ns)]).toEqual([before, state])
  })

  test('settings that a new bridge needs, too', async ({ ns, other }) => {
    await connectAtOnce(ns, other)
    const settings = [
      'ipv4/conf/eth0/arp_ignore=1',
      'ipv4/conf/eth0/drop_gratuitous_arp=1',
      'ipv6/conf/eth0/accept_ra_mtu=0',
      'ipv6/conf/eth0/router_solicitations=3'
    ]
    for (const setting of settings) inside(ns, 'sysctl', '-qw', `net/${setting}`)
    const plan = await planTakeover(ns.net, INTO)
    await plan.apply()
    const found = settings.map(setting => setting.replace('eth0', 'br0').replace(/=.*/, ''))
    const values = found.map(name => `${name}=${inside(ns, 'sysctl', '-n', `net/${name}`).trim()}`)
    expect(values).toEqual(settings.map(setting => setting.replace('eth0', 'br0')))
  })
})

test('a bridge that is called by another of its names', async ({ ns, other }) => {
  await connectAtOnce(ns, other)
  for (const command of [
    'link add name br7 address 02:00:00:00:0b:07 type bridge',
    'link property add dev br7 altname br0',
    'link set dev br7 up'
  ])
    ns.tools.ip(command)
  inside(ns, 'sysctl', '-qw', 'net/ipv4/conf/br7/rp_filter=1')
  const plan = await planTakeover(ns.net, INTO)
  expect(codesOf(plan.conflicts)).toEqual([])
  await plan.apply()
  expect(String(plan)).toContain('net/ipv4/conf/br7/rp_filter=1')
  expect(ns.tools.link('eth0').master).toBe('br7')
  expect(inside(ns, 'sysctl', '-n', 'net/ipv4/conf/br7/rp_filter')).toBe('1\n')
})
