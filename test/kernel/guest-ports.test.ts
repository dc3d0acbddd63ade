/** What links are made with so that thousands of guests cost no more each than one does. */
import { spawnSync } from 'node:child_process'
import { describe, expect } from 'vitest'
import type { CreateLink, Link } from '../../lib/index.js'
import { type Namespace, test } from '../support/namespace.js'
import { traffic } from '../support/trace.js'

const conf = ({ tools }: Namespace, name: string) =>
  tools.exec('cat', `/proc/sys/net/ipv6/conf/${name}/disable_ipv6`).trim() === '1'

const addresses = ({ tools }: Namespace, name: string) => tools.ipJson(`-6 address show dev ${name}`)

describe('IPv6 of guest ports', () => {
  test.for([
    ['a port of a bridge', { kind: 'veth', master: 'br0' }, true],
    ['a port that is to have it', { kind: 'veth', master: 'br0', ipv6: true }, false],
    ['no port', { kind: 'veth' }, false],
    ['no port, without', { kind: 'veth', ipv6: false }, true],
    ['a macvtap', { kind: 'macvtap', link: 'low', mode: 'bridge' }, true],
    ['a macvtap that is to have it', { kind: 'macvtap', link: 'low', mode: 'bridge', ipv6: true }, false],
    ['a macvlan', { kind: 'macvlan', link: 'low', mode: 'bridge' }, false]
  ] as [string, CreateLink, boolean][])('%s', async ([, spec, off], { ns }) => {
    await ns.net.links.createMany([
      { kind: 'bridge', name: 'br0', up: true },
      { kind: 'ifb', name: 'low', up: true }
    ])
    const link = await ns.net.links.create({ ...spec, name: 'x', up: true })
    expect(link.up).toBe(true)
    expect(conf(ns, 'x')).toBe(off)
    if (off) expect(addresses(ns, 'x')).toEqual([])
    if (spec.kind === 'veth')
      expect(conf(ns, ns.tools.linkNames().find(name => /^veth/.test(name)) as string)).toBe(false)
  })

  test('is off before the link is up, and never was on', async ({ ns }) => {
    await ns.net.links.create({ kind: 'bridge', name: 'br0', up: true })
    const { sent } = await traffic(() => ns.net.links.create({ kind: 'ifb', name: 'x', master: 'br0', up: true }))
    const changes = sent
      .filter(({ type }) => type === 'RTM_NEWLINK')
      .map(message => message.decode() as { flags: object })
    expect(changes.map(({ flags }) => flags)).toEqual([
      expect.not.objectContaining({ up: true }),
      expect.objectContaining({ up: true })
    ])
  })

  test('of many at once', async ({ ns }) => {
    await ns.net.links.create({ kind: 'bridge', name: 'br0', up: true })
    const specs = Array.from(
      { length: 150 },
      (_, i): CreateLink => ({ kind: 'ifb', name: `x${i}`, master: 'br0', up: true })
    )
    const { result, sent } = await traffic(() => ns.net.links.createMany(specs))
    for (const one of result as PromiseSettledResult<Link>[]) {
      expect(one).toMatchObject({ status: 'fulfilled', value: { up: true, portKind: 'bridge' } })
    }
    for (let i = 0; i < 150; i++) expect(conf(ns, `x${i}`)).toBe(true)
    // The master is looked up once: its ifindex and its kind.
    const name = (message: { decode(): Record<string, unknown> | undefined }) => message.decode()?.['name']
    expect(sent.filter(message => message.type === 'RTM_GETLINK' && name(message) === 'br0')).toHaveLength(1)
  })

  test('of a peer: off if it is a port, or asked for', async ({ ns, other }) => {
    await ns.net.links.create({ kind: 'bridge', name: 'br0', up: true })
    await other.net.links.create({ kind: 'bridge', name: 'br1', up: true })
    const peers = [
      { name: 'p0', master: 'br0', up: true },
      { name: 'p1', ipv6: false, up: true },
      { name: 'p2', up: true },
      { name: 'p3', netns: other.path, master: 'br1', up: true },
      { name: 'p4', netns: other.path, up: true }
    ]
    for (const [i, peer] of peers.entries()) await ns.net.links.create({ kind: 'veth', name: `x${i}`, peer, up: true })
    expect(['p0', 'p1', 'p2'].map(name => conf(ns, name))).toEqual([true, true, false])
    expect(['p3', 'p4'].map(name => conf(other, name))).toEqual([true, false])
    expect([conf(ns, 'x0'), other.tools.link('p3').operstate]).toEqual([false, 'UP'])
  })

  test('in another namespace, where the master is found by its name', async ({ ns, other }) => {
    await other.net.links.create({ kind: 'bridge', name: 'br1', up: true })
    await ns.net.links.create({ kind: 'ifb', name: 'x', netns: other.path, master: 'br1', up: true })
    await ns.net.links.create({ kind: 'ifb', name: 'y', netns: other.path, up: true })
    expect([conf(other, 'x'), conf(other, 'y')]).toEqual([true, false])
    expect(other.tools.link('x')).toMatchObject({ master: 'br1', flags: expect.arrayContaining(['UP']) })
  })

  test('ports of a VRF keep it', async ({ ns, skip }) => {
    if (!ns.tools.can('link add name vrf0 type vrf table 10')) skip('this kernel has no VRFs')
    await ns.net.links.create({ kind: 'veth', name: 'x', master: 'vrf0', up: true })
    expect(conf(ns, 'x')).toBe(false)
  })

  test('refused where it means nothing', async ({ ns }) => {
    const { create, set } = ns.net.links
    await expect(create.call(ns.net.links, { kind: 'ifb', ipv6: 1 } as never)).rejects.toMatchObject({ path: 'ipv6' })
    await expect(create.call(ns.net.links, { kind: 'veth', peer: { ipv6: 'no' } } as never)).rejects.toMatchObject({
      path: 'peer.ipv6'
    })
    await expect(set.call(ns.net.links, 'lo', { ipv6: false } as never)).rejects.toMatchObject({ path: 'ipv6' })
    expect(ns.tools.linkNames()).toEqual(['lo'])
  })

  test('/proc/sys that cannot be written: an error if it was asked for, else no address at least', () => {
    const program = `
      import { Netlink } from './dist/index.js'
      const net = await Netlink.open()
      await net.links.create({ kind: 'bridge', name: 'br0', up: true })
      const asked = await net.links.create({ kind: 'ifb', name: 'x', ipv6: false }).catch(error => error.code)
      await net.links.create({ kind: 'ifb', name: 'y', master: 'br0', up: true })
      const y = await net.links.get('y')
      const names = (await net.links.list()).map(({ name }) => name)
      console.log(JSON.stringify([asked, y.up, y.afSpec.inet6.addrGenMode, names.includes('x')]))
      net.close()`
    const script = 'mount --bind -o ro /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys && exec "$@"'
    const node = [process.execPath, '--input-type=module', '-e', program]
    const args = ['--net', '--mount', '--propagation', 'private', 'sh', '-c', script, 'sh', ...node]
    const { stdout, stderr } = spawnSync('unshare', args, { encoding: 'utf8' })
    expect(stdout || stderr).toBe('["EROFS",true,"none",false]\n')
  })
})

describe('bridges', () => {
  const SET = '3'
  const assigned = ({ tools }: Namespace, name: string) => tools.sysfs(`${name}/addr_assign_type`)

  test('keep their address whatever ports come and go', async ({ ns }) => {
    const bridge = await ns.net.links.create({ kind: 'bridge', name: 'br0', up: true })
    expect(bridge.address).toMatch(/^.[26ae]:/)
    expect(assigned(ns, 'br0')).toBe(SET)
    await ns.net.links.create({ kind: 'veth', name: 'low', address: '00:00:00:00:00:01', master: 'br0' })
    expect(ns.tools.link('br0').address).toBe(bridge.address)
    await ns.net.links.delete('low')
    expect(ns.tools.link('br0').address).toBe(bridge.address)
    const another = await ns.net.links.create({ kind: 'bridge', name: 'br1' })
    expect(another.address).not.toBe(bridge.address)
  })

  test('have the address that is given, or with null that of a port', async ({ ns }) => {
    const given = await ns.net.links.create({ kind: 'bridge', name: 'br0', address: '02:00:00:00:00:07' })
    expect(given.address).toBe('02:00:00:00:00:07')
    await ns.net.links.create({ kind: 'bridge', name: 'br1', address: null })
    expect(assigned(ns, 'br1')).not.toBe(SET)
    await ns.net.links.create({ kind: 'veth', name: 'low', address: '00:00:00:00:00:01', master: 'br1' })
    expect(ns.tools.link('br1').address).toBe('00:00:00:00:00:01')
  })

  test.for([1500, 1400, 9000])('keep an MTU of %d that was asked for', async (mtu, { ns }) => {
    const bridge = await ns.net.links.create({ kind: 'bridge', name: 'br0', mtu, up: true })
    expect([bridge.mtu, bridge.up]).toEqual([mtu, true])
    await ns.net.links.create({ kind: 'veth', name: 'low', mtu: 1300, master: 'br0' })
    expect(ns.tools.link('br0').mtu).toBe(mtu)
  })

  test('without one follow their ports', async ({ ns }) => {
    await ns.net.links.create({ kind: 'bridge', name: 'br0' })
    await ns.net.links.create({ kind: 'veth', name: 'low', mtu: 1300, master: 'br0' })
    expect(ns.tools.link('br0').mtu).toBe(1300)
  })
})
