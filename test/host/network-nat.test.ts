/** Networks of kind nat and routed: what reaches what, and that everything is as before when they are undone. */
import { describe, expect } from 'vitest'
import type { NetworksSpec } from '../../lib/index.js'
import { answered, echo } from '../firewall/support/echo.js'
import { eventually } from '../support/dnsmasq.js'
import type { Namespace } from '../support/namespace.js'
import { connectTo, pings, type Scene, serve, test } from './support/network.js'

const ADDRESSES = ['192.168.122.1/24', 'fd00:122::1/64']
const nat: NetworksSpec = { networks: { virbr0: { kind: 'nat', addresses: ADDRESSES } } }
const routed: NetworksSpec = { networks: { virbr0: { kind: 'routed', addresses: ADDRESSES } } }

async function guests(scene: Scene) {
  const [a, b] = [
    await scene.guest('virbr0', 'vnet0', ['192.168.122.10/24', 'fd00:122::10/64']),
    await scene.guest('virbr0', 'vnet1', ['192.168.122.11/24', 'fd00:122::11/64'])
  ]
  for (const { tools } of [a, b]) {
    tools.ip('route add default via 192.168.122.1')
    tools.ip('-6 route add default via fd00:122::1')
  }
  return { a, b }
}

/** The way to the guests that a router outside would have. */
function routeBack({ outside }: Scene): void {
  outside.tools.ip('route add 192.168.122.0/24 via 203.0.113.1')
  outside.tools.ip('-6 route add fd00:122::/64 via 2001:db8:f::1')
}

function remove({ host }: Scene): void {
  for (const port of ['vnet0', 'vnet1']) host.tools.ip(`link del dev ${port}`)
}

/** Every direction, new and established. */
async function probe({ host, outside }: Scene, a: Namespace, b: Namespace): Promise<void> {
  await using _ = await serve(outside, '203.0.113.2')
  await using __ = await serve(outside, '2001:db8:f::2')
  await using ___ = await serve(a, '192.168.122.10')
  await using ____ = await serve(a, 'fd00:122::10')
  await using _____ = await serve(host, '192.168.122.1')
  expect([pings(a, '203.0.113.2'), pings(a, '2001:db8:f::2'), pings(a, '198.51.100.7')]).toEqual([true, true, true])
  const [seen, port] = connectTo(a, '203.0.113.2', 8000, 700).split(' ')
  expect(seen).toBe('203.0.113.1')
  expect(Number(port)).toBeGreaterThanOrEqual(1024)
  expect(connectTo(a, '2001:db8:f::2')).toMatch(/^2001:db8:f::1 /)
  // Inside nothing is translated.
  expect(connectTo(b, '192.168.122.10')).toMatch(/^192\.168\.122\.11 /)
  expect(connectTo(a, '192.168.122.1')).toMatch(/^192\.168\.122\.10 /)
  expect(connectTo(host, '192.168.122.10')).toMatch(/^192\.168\.122\.1 /)
  // Refused, not left to wait.
  const refused = [connectTo(outside, '192.168.122.10'), connectTo(outside, 'fd00:122::10')]
  expect(refused).toEqual(['ConnectionRefusedError', 'ConnectionRefusedError'])
  expect([pings(outside, '192.168.122.10'), pings(outside, 'fd00:122::10')]).toEqual([false, false])
}

describe('nat', () => {
  test('guests reach everything, with the address of the host; nobody outside reaches them', async ({ scene }) => {
    const before = scene.state()
    const plan = await scene.apply(nat)
    expect(String(await scene.plan(nat))).toBe('')
    const { a, b } = await guests(scene)
    routeBack(scene)
    await probe(scene, a, b)
    remove(scene)
    await plan.undo()
    expect(scene.state()).toBe(before)
  })

  test('a guest of another address does not get out, nor what is for others', async ({ scene }) => {
    const { outside } = scene
    await scene.apply(nat)
    const { a } = await guests(scene)
    outside.tools.ip('route add 10.99.0.0/16 via 203.0.113.1')
    await using _ = await echo(outside)
    expect(answered(a, '203.0.113.2')).toBe(2)
    a.tools.ip('address add 10.99.0.5/32 dev eth0')
    expect(answered(a, '203.0.113.2', 2, '10.99.0.5')).toBe(0)
  })

  test('translates only where it shall: by one link, with a range of ports, IPv4 alone', async ({ scene }) => {
    const { host, outside } = scene
    const spec: NetworksSpec = {
      networks: {
        virbr0: {
          kind: 'nat',
          addresses: ADDRESSES,
          forward: { link: 'eth0', ports: '40000-40009', ipv6: 'route' }
        }
      }
    }
    await scene.apply(spec)
    expect(String(await scene.plan(spec))).toBe('')
    const { a } = await guests(scene)
    routeBack(scene)
    await using _ = await serve(outside, '203.0.113.2')
    await using __ = await serve(outside, '2001:db8:f::2')
    expect(connectTo(a, '203.0.113.2')).toMatch(/^203\.0\.113\.1 4000\d$/)
    expect(connectTo(a, '2001:db8:f::2')).toMatch(/^fd00:122::10 /)
    host.tools.ip('link add name eth1 type veth peer name eth1-peer')
    host.tools.ip('link set dev eth1 up')
    host.tools.ip('link set dev eth1-peer up')
    host.tools.ip('route add 198.51.100.0/24 dev eth1')
    expect(connectTo(a, '198.51.100.7')).toBe('ConnectionRefusedError')
  })

  test('has subnets within each other, IPv6 alone, and a way out by another name of its link', async ({ scene }) => {
    const { tools } = scene.host
    tools.ip('link property add dev eth0 altname wan')
    const before = scene.state()
    const forward = { link: 'wan' }
    for (const addresses of [
      ['10.7.0.1/16', '10.7.8.1/24', 'fe80::1/64'],
      ['fd00:7::1/64', 'fd00:8::1/64']
    ]) {
      const spec: NetworksSpec = { networks: { virbr0: { kind: 'nat', addresses, forward } } }
      const plan = await scene.apply(spec)
      expect(String(await scene.plan(spec))).toBe('')
      expect(String(plan)).toMatch(/oifname "eth0"/)
      await plan.undo()
      expect(scene.state()).toBe(before)
    }
  })

  test('has the very rules of libvirt', async ({ scene }) => {
    const virbr0 = { kind: 'nat', addresses: ['192.168.122.1/24'], dhcp4Checksum: 'none' } as const
    await (await scene.host.net.plan({ networks: { virbr0 } })).apply()
    const rules = scene.host.tools
      .exec('nft', '-s', 'list', 'table', 'inet', 'linkwright-virbr0')
      .split('\n')
      .map(line => line.trim().replace(' counter', '').replaceAll('"', ''))
      .filter(line => /accept$|reject$|return$|masquerade|set 0/.test(line))
    expect(rules).toEqual([
      'iifname virbr0 oifname virbr0 accept',
      'oifname virbr0 ip daddr 192.168.122.0/24 ct state established,related accept',
      'oifname virbr0 reject',
      'iifname virbr0 ip saddr 192.168.122.0/24 accept',
      'iifname virbr0 reject',
      'oifname virbr0 meta nfproto ipv4 udp dport 68 udp checksum set 0',
      'ip saddr 192.168.122.0/24 ip daddr 224.0.0.0/24 return',
      'ip saddr 192.168.122.0/24 ip daddr 255.255.255.255 return',
      'meta l4proto tcp ip saddr 192.168.122.0/24 ip daddr != 192.168.122.0/24 masquerade to :1024-65535',
      'meta l4proto udp ip saddr 192.168.122.0/24 ip daddr != 192.168.122.0/24 masquerade to :1024-65535',
      'ip saddr 192.168.122.0/24 ip daddr != 192.168.122.0/24 masquerade'
    ])
  })

  test('rules that were changed are put right, and undone to what they were', async ({ scene }) => {
    const { host } = scene
    await scene.apply(nat)
    host.tools.exec('nft', 'add', 'rule', 'inet', 'linkwright-virbr0', 'forward', 'drop')
    host.tools.exec('nft', 'add', 'table', 'inet', 'foreign')
    const list = () => host.tools.exec('nft', '-s', 'list', 'ruleset')
    const changed = list()
    const plan = await scene.plan(nat)
    expect(plan.steps.map(({ name }) => name)).toEqual(['firewall'])
    await plan.apply()
    expect(list()).not.toBe(changed)
    await plan.undo()
    expect(list().split('table').sort()).toEqual(changed.split('table').sort())
  })
})

describe('routed', () => {
  test('guests are reached by their own addresses, from everywhere', async ({ scene }) => {
    const { outside } = scene
    const before = scene.state()
    const plan = await scene.apply(routed)
    expect(String(await scene.plan(routed))).toBe('')
    const { a } = await guests(scene)
    expect(pings(a, '203.0.113.2')).toBe(false)
    routeBack(scene)
    await using _ = await serve(outside, '203.0.113.2')
    await using __ = await serve(outside, '2001:db8:f::2')
    await using ___ = await serve(a, '192.168.122.10')
    expect(connectTo(a, '203.0.113.2')).toMatch(/^192\.168\.122\.10 /)
    expect(connectTo(a, '2001:db8:f::2')).toMatch(/^fd00:122::10 /)
    expect(connectTo(outside, '192.168.122.10')).toMatch(/^203\.0\.113\.2 /)
    expect(pings(outside, 'fd00:122::11')).toBe(true)
    remove(scene)
    await plan.undo()
    expect(scene.state()).toBe(before)
  })
})

describe('forwarding', () => {
  test('leaves the host its router advertisements, and gives back each setting', async ({ scene }) => {
    const { host } = scene
    const set = (name: string, value: number) =>
      host.tools.exec('sh', '-c', `echo ${value} > /proc/sys/net/ipv6/conf/${name}`)
    set('eth0/accept_ra', 1)
    host.tools.ip('link add name eth1 type veth peer name eth1-peer')
    set('eth1/forwarding', 1)
    set('eth1/accept_ra', 0)
    host.tools.exec('sh', '-c', 'echo 0 > /proc/sys/net/ipv4/conf/all/accept_redirects')
    host.tools.exec('sh', '-c', 'echo 1 > /proc/sys/net/ipv4/conf/eth1/forwarding')
    const before = scene.state()
    const plan = await scene.apply(nat)
    const read = (name: string) => host.tools.exec('cat', `/proc/sys/net/${name}`).trim()
    expect([read('ipv4/ip_forward'), read('ipv6/conf/all/forwarding')]).toEqual(['1', '1'])
    expect([read('ipv6/conf/eth0/accept_ra'), read('ipv6/conf/eth1/accept_ra')]).toEqual(['2', '0'])
    await plan.undo()
    expect(scene.state()).toBe(before)
  })

  test('leaves them also to a bridge that takes the NIC over, and does not miss a link that went', async ({
    scene
  }) => {
    const { host } = scene
    const set = (name: string) => host.tools.exec('sh', '-c', `echo 1 > /proc/sys/net/ipv6/conf/${name}`)
    host.tools.ip('link add name eth1 type veth peer name eth1-peer')
    for (const name of ['eth0/accept_ra', 'eth1/accept_ra', 'eth1/forwarding']) set(name)
    const plan = await scene.apply({
      networks: {
        br0: { kind: 'bridge', ports: ['eth0'], takeover: true },
        virbr0: { kind: 'nat', addresses: ADDRESSES, forward: { link: 'br0' } }
      }
    })
    const read = (name: string) => host.tools.exec('cat', `/proc/sys/net/ipv6/conf/${name}`).trim()
    expect([read('br0/accept_ra'), read('br0/forwarding')]).toEqual(['2', '1'])
    host.tools.ip('link del dev eth1')
    await plan.undo()
    expect([plan.status, host.tools.linkNames().includes('br0'), read('all/forwarding')]).toEqual([
      'undone',
      false,
      '0'
    ])
  })

  test('a default route that a router advertised stays, and is renewed', async ({ scene }) => {
    const { host, outside } = scene
    host.tools.ip('-6 route del default')
    const routes = () => host.tools.ipJson('-6 route show default')
    advertise(outside, 1800)
    expect(await eventually(() => routes().length === 1)).toBe(true)
    expect(routes()[0]).toMatchObject({ protocol: 'ra', dev: 'eth0' })
    const plan = await scene.apply(nat)
    expect(routes()).toHaveLength(1)
    advertise(outside, 600)
    expect(await eventually(() => routes()[0].expires <= 600)).toBe(true)
    await plan.undo()
    expect(routes()).toHaveLength(1)
  })
})

const ADVERTISE = `
import socket, struct, sys
router = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
router.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
router.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, socket.if_nametoindex('up0'))
router.sendto(struct.pack('!BBHBBHII', 134, 0, 0, 64, 0, int(sys.argv[1]), 0, 0), ('ff02::1', 0))
`

/** A router advertisement of the outside, good for some seconds. */
function advertise({ tools }: Namespace, seconds: number): void {
  tools.exec('/usr/bin/python3', '-c', ADVERTISE, String(seconds))
}
