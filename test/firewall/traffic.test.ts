/** What rules do to packets: datagrams between namespaces over veth pairs. */
import { describe, expect } from 'vitest'
import { type NftChange, nft as n } from '../../lib/index.js'
import type { Namespace } from '../support/namespace.js'
import { answered, echo } from './support/echo.js'
import { test } from './support/firewall.js'

const MAC = (end: number) => `52:54:00:00:00:0${end}`

/** A link from a namespace to a port of the host's. */
function connect(host: Namespace, guest: Namespace, port: string, mac: string, address: string, up = true): void {
  host.tools.ip(`link add name ${port} type veth peer name eth0 netns ${guest.name}`)
  guest.tools.ip(`link set dev eth0 address ${mac}`)
  guest.tools.ip(`address add ${address} dev eth0`)
  guest.tools.ip('link set dev eth0 up')
  if (up) host.tools.ip(`link set dev ${port} up`)
}

/** A guest behind the host, and an outside that knows the host only. */
function routed(ns: Namespace, guest: Namespace, outside: Namespace): void {
  connect(ns, guest, 'vnet0', MAC(1), '192.168.122.2/24')
  connect(ns, outside, 'uplink', MAC(2), '203.0.113.2/24')
  ns.tools.ip('address add 192.168.122.1/24 dev vnet0')
  ns.tools.ip('address add 203.0.113.1/24 dev uplink')
  guest.tools.ip('route add default via 192.168.122.1')
  ns.tools.exec('sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward')
}

const NET = '192.168.122.0/24'
const table: NftChange = { add: { table: { family: 'ip', name: 'guests' } } }
const inGuests = { family: 'ip', table: 'guests' } as const
const forward: NftChange = { add: { chain: { ...inGuests, name: 'forward', hook: 'forward', priority: 'filter' } } }

describe('routed', () => {
  test('masquerade lets a guest out, and its removal by handle does not', async ({ ns, other, another, firewall }) => {
    routed(ns, other, another)
    await using _ = await echo(another)
    expect(answered(other, '203.0.113.2')).toBe(0)
    const { handles } = await firewall.transaction([
      table,
      { add: { chain: { ...inGuests, name: 'nat', type: 'nat', hook: 'postrouting', priority: 'srcnat' } } },
      {
        add: {
          rule: {
            ...inGuests,
            chain: 'nat',
            statements: [n.ip.saddr(NET), n.ip.daddr.not(NET), n.counter, n.masquerade()]
          }
        }
      }
    ])
    expect(answered(other, '203.0.113.2')).toBe(2)
    const [rule] = await firewall.rules()
    // The first packet of a connection.
    expect(rule?.statements[2]).toMatchObject({ counter: { packets: 1 } })
    await firewall.transaction([{ delete: { rule: { ...inGuests, chain: 'nat', handle: handles[2] as number } } }])
    expect(answered(other, '203.0.113.2')).toBe(0)
  })

  test('forwarding is dropped in one direction, and what is established comes back', async ({
    ns,
    other,
    another,
    firewall
  }) => {
    routed(ns, other, another)
    await using _ = await echo(another)
    another.tools.ip('route add 192.168.122.0/24 via 203.0.113.1')
    await using __ = await echo(other)
    expect([answered(other, '203.0.113.2'), answered(another, '192.168.122.2')]).toEqual([2, 2])
    await firewall.transaction([
      table,
      forward,
      {
        add: {
          rule: {
            ...inGuests,
            chain: 'forward',
            statements: [n.oifname('vnet0'), n.ip.daddr(NET), n.ct.state('established', 'related'), n.accept]
          }
        }
      },
      { add: { rule: { ...inGuests, chain: 'forward', statements: [n.oifname('vnet0'), n.drop] } } }
    ])
    expect([answered(other, '203.0.113.2'), answered(another, '192.168.122.2')]).toEqual([2, 0])
  })

  test('a limit lets through its burst', async ({ ns, other, another, firewall }) => {
    routed(ns, other, another)
    await using _ = await echo(another)
    another.tools.ip('route add 192.168.122.0/24 via 203.0.113.1')
    const limited = [n.udp.dport(7), n.limit({ rate: 1, per: 'day', burst: 3, over: true }), n.counter, n.drop]
    await firewall.transaction([
      table,
      forward,
      { add: { rule: { ...inGuests, chain: 'forward', statements: limited } } }
    ])
    expect(answered(other, '203.0.113.2', 10)).toBe(3)
    expect((await firewall.rules())[0]?.statements[2]).toMatchObject({ counter: { packets: 7 } })
  })

  test('a verdict map sends the packets of each port to its chain', async ({ ns, other, another, firewall }) => {
    routed(ns, other, another)
    await using _ = await echo(another)
    another.tools.ip('route add 192.168.122.0/24 via 203.0.113.1')
    const ports = { ...inGuests, name: 'ports', type: 'ifname', map: 'verdict' } as const
    await firewall.transaction([
      table,
      forward,
      { add: { chain: { ...inGuests, name: 'vnet0' } } },
      { add: { rule: { ...inGuests, chain: 'vnet0', statements: [n.ip.saddr.not('192.168.122.3'), n.drop] } } },
      { add: { set: ports } },
      { add: { rule: { ...inGuests, chain: 'forward', statements: [n.vmap('iifname', '@ports')] } } }
    ])
    expect(answered(other, '203.0.113.2')).toBe(2)
    const elements = [{ key: 'vnet0', value: { jump: 'vnet0' } }]
    await firewall.transaction([{ add: { elements: { ...inGuests, set: 'ports', elements } } }])
    expect(answered(other, '203.0.113.2')).toBe(0)
    await firewall.transaction([{ delete: { elements: { ...inGuests, set: 'ports', elements } } }])
    expect(answered(other, '203.0.113.2')).toBe(2)
  })
})

function bridged(ns: Namespace, guest: Namespace, peer: Namespace): void {
  ns.tools.ip('link add name br0 type bridge stp_state 0 forward_delay 0')
  ns.tools.ip('link set dev br0 up')
  connect(ns, guest, 'vnet0', MAC(1), '10.0.0.1/24')
  connect(ns, peer, 'vnet1', MAC(2), '10.0.0.2/24')
  for (const port of ['vnet0', 'vnet1']) ns.tools.ip(`link set dev ${port} master br0`)
}

/** A guest that takes another MAC address. */
function forge(guest: Namespace): void {
  guest.tools.ip(`link set dev eth0 address ${MAC(9)}`)
}

describe('bridged', () => {
  test('forged MAC and IP addresses are dropped in a bridge table', async ({ ns, other, another, firewall }) => {
    bridged(ns, other, another)
    await using _ = await echo(another)
    const place = { family: 'bridge', table: 'guests', chain: 'c' } as const
    const rule = (...statements: Parameters<typeof statementsOf>): NftChange => ({
      add: { rule: { ...place, statements: statementsOf(...statements) } }
    })
    const statementsOf = (...given: import('../../lib/index.js').NftStatement[]) => [
      n.iifname('vnet0'),
      ...given,
      n.counter,
      n.drop
    ]
    await firewall.transaction([
      { add: { table: { family: 'bridge', name: 'guests' } } },
      { add: { chain: { family: 'bridge', table: 'guests', name: 'c', hook: 'prerouting', priority: -300 } } },
      rule(n.ether.saddr.not(MAC(1))),
      rule(n.arp.saddrIp.not('10.0.0.1')),
      rule(n.ip.saddr.not(['10.0.0.1', '10.0.0.3']))
    ])
    const dropped = async () => {
      const rules = await firewall.rules()
      return rules.map(
        ({ statements }) => statements.flatMap(s => ('counter' in s ? (s.counter.packets ?? 0) > 0 : []))[0]
      )
    }
    expect(answered(other, '10.0.0.2')).toBe(2)
    expect(await dropped()).toEqual([false, false, false])
    other.tools.ip('address add 10.0.0.7/24 dev eth0')
    expect(answered(other, '10.0.0.2', 1, '10.0.0.7')).toBe(0)
    expect((await dropped())[2]).toBe(true)
    other.tools.ip('neigh flush dev eth0')
    expect(answered(other, '10.0.0.2', 1, '10.0.0.7')).toBe(0)
    expect((await dropped())[1]).toBe(true)
    forge(other)
    expect(answered(other, '10.0.0.2')).toBe(0)
    expect((await dropped())[0]).toBe(true)
  })

  test('and at the ingress of a link, whose chain outlives it', async ({ ns, other, another, firewall, nft }) => {
    bridged(ns, other, another)
    await using _ = await echo(another)
    const chain = {
      family: 'netdev',
      table: 'guests',
      name: 'vnet0',
      hook: 'ingress',
      priority: 0,
      devs: ['vnet0']
    } as const
    const statements = [n.ether.saddr.not(MAC(1)), n.drop]
    await firewall.transaction([
      { add: { table: { family: 'netdev', name: 'guests' } } },
      { add: { chain } },
      { add: { rule: { family: 'netdev', table: 'guests', chain: 'vnet0', statements } } }
    ])
    expect(answered(other, '10.0.0.2')).toBe(2)
    forge(other)
    expect(answered(other, '10.0.0.2')).toBe(0)
    // What is left when the link goes depends on the kernel; it is removed in any case.
    ns.tools.ip('link del dev vnet0')
    await firewall.transaction([{ delete: { table: { family: 'netdev', name: 'guests' } } }])
    expect(nft.json()).toEqual([])
  })
})
