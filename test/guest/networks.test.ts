/** Guests in networks of every kind: what they are given, whom they reach and whom not; undone, the host is as before. */
import { describe, expect, test } from 'vitest'
import { type DirectNetwork, Network, type NetworksSpec, Tap } from '../../lib/index.js'
import { connectTo, serve } from '../host/support/network.js'
import type { Guest } from './guest.mjs'
import { expectAnswers } from './support/answers.js'
import { advertised, DHCP_FILES, expectRoutes, interfaceId, isServed, lease } from './support/dhcp.js'
import { openQmp, plug, unplug } from './support/plugging.js'
import { type Scene, scene } from './support/scene.js'
import { type Card, type Seat, type Visit, visit } from './support/visit.js'
import { FURTHER, HOST, LAN_PREFIX, ROUTER, world } from './support/world.js'

const MACS = ['52:54:00:00:0a:01', '52:54:00:00:0a:02'] as const
const TIME = { timeout: 120_000 }

async function seat(scene: Scene, number: 0 | 1): Promise<Seat> {
  const guest = await scene.guest({ files: DHCP_FILES })
  const qmp = await openQmp(guest)
  scene.later(() => qmp.close())
  return { guest, qmp, mac: MACS[number], name: `vnet${number}` }
}

const given = scene(['tap', 'macvtap', 'dnsmasq'], async scene => {
  const [first, second] = await Promise.all([seat(scene, 0), seat(scene, 1)])
  return { first, second, world: await world(scene) }
})

/** Both guests on TAPs. */
async function join(visit: Visit): Promise<[Card, Card]> {
  const { first, second } = given()
  return await Promise.all([visit.tap(first), visit.tap(second)])
}

/** Their addresses by DHCP. */
const leases = (cards: readonly Card[]) => Promise.all(cards.map(({ guest, device }) => lease(guest, device)))

/** Their addresses in a network that is advertised. */
const autoconfigured = (cards: readonly Card[], prefix: string) =>
  Promise.all(cards.map(({ guest, device, mac }) => advertised(guest, device, prefix, mac)))

/** What a server outside sees a guest as that connects to it by TCP. */
async function seenAs(guest: Guest, server: string): Promise<string> {
  return (await guest.check(`nc -w 5 ${server} 8000 </dev/null`)).split(' ')[0] as string
}

function guestNetwork(kind: 'nat' | 'routed' | 'isolated', name: string, subnet: number): NetworksSpec {
  const [v4, v6] = [`192.168.${subnet}`, `fd00:${subnet}::`]
  return {
    networks: {
      [name]: {
        kind,
        mtu: 1400,
        addresses: [`${v4}.1/24`, `${v6}1/64`],
        dhcp4: { ranges: [{ start: `${v4}.100`, end: `${v4}.199` }] },
        dhcp6: { mode: 'ra-only' },
        dns: { upstream: 'none' },
        hosts: [{ addresses: [`${v4}.1`, `${v6}1`], names: ['gateway.test'] }]
      }
    }
  }
}

test('bridge: guests are on the network of the NIC, and so is the host', TIME, async () => {
  const spec: NetworksSpec = {
    networks: {
      br0: {
        kind: 'bridge',
        ports: ['eth0'],
        takeover: true,
        addresses: [`${HOST.ipv4}/24`],
        gateway: [ROUTER.ipv4, ROUTER.ipv6]
      }
    }
  }
  const { world, first, second } = given()
  await visit(world, spec, 'br0', async visit => {
    const cards = await join(visit)
    const [a, b] = (await leases(cards)) as [string, string]
    expect([a, b].every(address => /^203\.0\.113\.1\d\d$/.test(address))).toBe(true)
    const [a6, b6] = (await autoconfigured(cards, LAN_PREFIX)) as [string, string]
    await expectRoutes(first.guest, { ipv4: ROUTER.ipv4, ipv6: true })
    await Promise.all([
      expectAnswers(first.guest, { answer: [b, b6, HOST.ipv4, HOST.ipv6, ROUTER.ipv4, ROUTER.ipv6, FURTHER] }),
      expectAnswers(second.guest, { answer: [a, a6, HOST.ipv4, ROUTER.ipv4] }),
      expectAnswers(world.outside, { answer: [a, b, a6, b6, HOST.ipv4, HOST.ipv6] }),
      expectAnswers(world.host, { answer: [a, b6, ROUTER.ipv4, FURTHER] })
    ])
  })
})

test('nat: guests reach everything as the host, and nobody outside reaches them', TIME, async () => {
  const { world, first, second } = given()
  await visit(world, guestNetwork('nat', 'virbr0', 122), 'virbr0', async visit => {
    const cards = await join(visit)
    const [a, b] = (await leases(cards)) as [string, string]
    expect([a, b].every(address => /^192\.168\.122\.1\d\d$/.test(address))).toBe(true)
    const [a6, b6] = (await autoconfigured(cards, 'fd00:122::')) as [string, string]
    await expectRoutes(first.guest, { ipv4: '192.168.122.1', ipv6: true })
    // The network's MTU, by the option of DHCP.
    expect(await first.guest.check(`cat /sys/class/net/${cards[0].device}/mtu`)).toBe('1400')
    expect(await first.guest.check('nslookup gateway.test')).toContain('192.168.122.1')
    await Promise.all([
      expectAnswers(first.guest, {
        answer: [b, b6, '192.168.122.1', 'fd00:122::1', HOST.ipv4, ROUTER.ipv4, ROUTER.ipv6, FURTHER]
      }),
      expectAnswers(second.guest, { answer: [a, a6, '192.168.122.1', FURTHER] }),
      expectAnswers(world.host, { answer: [a, a6, b] }),
      expectAnswers(world.outside, { answer: [HOST.ipv4], silent: [a, b, a6, b6] })
    ])
    await using _ = await serve(world.outside, ROUTER.ipv4)
    await using __ = await serve(world.outside, ROUTER.ipv6)
    expect(await seenAs(first.guest, ROUTER.ipv4)).toBe(HOST.ipv4)
    expect(await seenAs(first.guest, ROUTER.ipv6)).toBe(HOST.ipv6)
    expect(connectTo(world.outside, a)).toBe('ConnectionRefusedError')
  })
})

test('routed: guests reach everything by their own addresses, and are reached by them', TIME, async () => {
  const { world, first, second } = given()
  await visit(world, guestNetwork('routed', 'virbr1', 123), 'virbr1', async visit => {
    const cards = await join(visit)
    const [a, b] = (await leases(cards)) as [string, string]
    const [a6, b6] = (await autoconfigured(cards, 'fd00:123::')) as [string, string]
    await expectRoutes(first.guest, { ipv4: '192.168.123.1', ipv6: true })
    await Promise.all([
      expectAnswers(first.guest, { answer: [b, b6, '192.168.123.1', ROUTER.ipv4, ROUTER.ipv6, FURTHER] }),
      expectAnswers(second.guest, { answer: [a, a6, HOST.ipv4] }),
      expectAnswers(world.host, { answer: [a, a6, b] }),
      expectAnswers(world.outside, { answer: [a, b, a6, b6] })
    ])
    await using _ = await serve(world.outside, ROUTER.ipv4)
    await using __ = await serve(world.outside, ROUTER.ipv6)
    expect([await seenAs(first.guest, ROUTER.ipv4), await seenAs(first.guest, ROUTER.ipv6)]).toEqual([a, a6])
    // A guest of an address that is not the network's gets no further than the host.
    await first.guest.check(`ip addr add 192.168.124.7/32 dev ${cards[0].device}`)
    world.host.tools.ip('route add 192.168.124.7/32 dev virbr1')
    await expectAnswers(first.guest, { answer: ['192.168.123.1'], silent: [ROUTER.ipv4] }, '-I 192.168.124.7')
    world.host.tools.ip('route del 192.168.124.7/32 dev virbr1')
  })
})

test('a port of the spec: its guest has the address that is reserved, and no other', TIME, async () => {
  const { world, first } = given()
  const { host, runtimeDirectory } = world
  const { guest, qmp, mac } = first
  const { virbr0 } = guestNetwork('nat', 'virbr0', 122).networks
  const spec = {
    networks: { virbr0: { ...virbr0, reservations: [{ mac, ipv4: '192.168.122.7' }] } },
    ports: { vnet0: { network: 'virbr0', mac, antiSpoofing: { ips: ['192.168.122.7'] } } }
  } as NetworksSpec
  const before = world.state()
  const plan = await world.plan(spec)
  await plan.apply()
  try {
    await using network = await Network.open(host.net, spec, 'virbr0', { runtimeDirectory })
    const tap = await Tap.open({ net: host.net, name: 'vnet0', exclusive: false, vnetHeader: true })
    await plug(qmp, 'vnet0', tap.fds, mac)
    await tap.close()
    try {
      const device = await guest.nic(mac)
      expect(await lease(guest, device)).toBe('192.168.122.7')
      expect((await network.dnsmasq?.leases())?.map(({ mac }) => mac)).toEqual([mac])
      await expectAnswers(guest, { answer: ['192.168.122.1', FURTHER] })
      await guest.check(`ip addr add 192.168.122.8/24 dev ${device}`)
      await expectAnswers(guest, { silent: ['192.168.122.1'] }, '-I 192.168.122.8')
      expect(String(await world.plan(spec))).toBe('')
      await expect(plan.undo()).rejects.toMatchObject({ code: 'EBUSY' })
    } finally {
      await unplug(qmp, 'vnet0')
    }
  } finally {
    await plan.undo()
  }
  expect(world.state()).toBe(before)
})

test('of two networks: guests are reached only in the one that is routed', TIME, async () => {
  const { world, first, second } = given()
  const { host, runtimeDirectory } = world
  const networks = { ...guestNetwork('nat', 'virbr0', 122).networks, ...guestNetwork('routed', 'virbr1', 123).networks }
  await visit(world, { networks }, 'virbr0', async visit => {
    await using routed = await Network.open(host.net, { networks }, 'virbr1', { runtimeDirectory })
    const cards = await Promise.all([visit.tap(first), visit.tap(second, routed)])
    const [a, b] = (await leases(cards)) as [string, string]
    const [a6, b6] = await Promise.all([
      advertised(first.guest, cards[0].device, 'fd00:122::', first.mac),
      advertised(second.guest, cards[1].device, 'fd00:123::', second.mac)
    ])
    await Promise.all([
      expectAnswers(first.guest, { answer: [b, b6, '192.168.123.1', FURTHER] }),
      expectAnswers(second.guest, { answer: ['192.168.122.1', FURTHER], silent: [a, a6] })
    ])
  })
})

describe('isolated', () => {
  test('guests reach each other and the host, and nothing else', TIME, async () => {
    const { world, first, second } = given()
    await visit(world, guestNetwork('isolated', 'virbr2', 124), 'virbr2', async visit => {
      const cards = await join(visit)
      const [a, b] = (await leases(cards)) as [string, string]
      const [a6, b6] = (await autoconfigured(cards, 'fd00:124::')) as [string, string]
      const bridge = await visit.network.bridge()
      const ofBridge = `fe80::${interfaceId(bridge.address as string)}%${cards[0].device}`
      // Nobody says that there was a way out.
      await expectRoutes(first.guest, { ipv6: false })
      // Nor is there one for a guest that tries, even where the host forwards for other networks.
      await first.guest.check('ip route add default via 192.168.124.1; ip -6 route add default via fd00:124::1')
      const forwarding = (value: number) =>
        world.host.tools.exec(
          'sh',
          '-c',
          `for f in 4 6; do echo ${value} >/proc/sys/net/ipv$f/conf/all/forwarding; done`
        )
      forwarding(1)
      try {
        await Promise.all([
          expectAnswers(first.guest, {
            answer: [b, b6, '192.168.124.1', 'fd00:124::1', HOST.ipv4, ofBridge],
            silent: [ROUTER.ipv4, ROUTER.ipv6, FURTHER]
          }),
          expectAnswers(second.guest, { answer: [a, a6, '192.168.124.1'] }),
          expectAnswers(world.host, { answer: [a, a6, b] }),
          expectAnswers(world.outside, { answer: [HOST.ipv4], silent: [a, b, a6] })
        ])
        // It is the rules that keep them in.
        world.host.tools.exec('nft', 'add', 'table', 'inet', 'linkwright-virbr2', '{', 'flags', 'dormant;', '}')
        await expectAnswers(first.guest, { answer: [ROUTER.ipv4, ROUTER.ipv6, FURTHER] })
        world.host.tools.exec('nft', 'add', 'table', 'inet', 'linkwright-virbr2')
      } finally {
        forwarding(0)
      }
    })
  })

  test('without addresses, guests reach each other alone', TIME, async () => {
    const { world, first, second } = given()
    await visit(world, { networks: { virbr3: { kind: 'isolated' } } }, 'virbr3', async visit => {
      const [a, b] = await join(visit)
      expect(await isServed(second.guest, b.device)).toBe(false)
      await Promise.all([
        first.guest.up(a.device, '192.168.125.2/24', 'fd00:125::2/64'),
        second.guest.up(b.device, '192.168.125.3/24', 'fd00:125::3/64')
      ])
      const bridge = await visit.network.bridge()
      const ofBridge = `fe80::${interfaceId(bridge.address as string)}%${a.device}`
      const ofOther = `fe80::${interfaceId(b.mac)}%${a.device}`
      await first.guest.check(`ip route add ${HOST.ipv4} dev ${a.device}`)
      await expectAnswers(first.guest, {
        answer: ['192.168.125.3', 'fd00:125::3', ofOther],
        silent: [ofBridge, HOST.ipv4]
      })
    })
  })
})

/** The NIC as a network of kind direct; `name` is that of the network. */
const direct = (mode: DirectNetwork['mode'], hostPeer?: string): NetworksSpec => ({
  networks: { lan0: { kind: 'direct', link: 'eth0', mode, ...(hostPeer === undefined ? {} : { hostPeer }) } }
})

describe('direct', () => {
  /** Both guests, with addresses of the router's. */
  async function joinNic(visit: Visit): Promise<{ a: string; b: string; a6: string; b6: string; cards: Card[] }> {
    const { first, second } = given()
    const cards = await Promise.all([visit.macvtap(first), visit.macvtap(second)])
    const [a, b] = (await leases(cards)) as [string, string]
    expect([a, b].every(address => /^203\.0\.113\.1\d\d$/.test(address))).toBe(true)
    const [a6, b6] = (await autoconfigured(cards, LAN_PREFIX)) as [string, string]
    await expectRoutes(first.guest, { ipv4: ROUTER.ipv4, ipv6: true })
    return { a, b, a6, b6, cards }
  }

  /** Whether the switch sends frames back by the port that they came from. */
  const reflect = (hairpin: boolean) => given().world.outside.net.links.set('up0', { port: { hairpin } })

  const EVERYWHERE = [ROUTER.ipv4, ROUTER.ipv6, FURTHER]
  const THE_HOST = [HOST.ipv4, HOST.ipv6]

  test('bridge: guests reach each other, and not the host', TIME, async () => {
    const { world, first, second } = given()
    await visit(world, direct('bridge'), 'lan0', async visit => {
      const { a, b, a6, b6 } = await joinNic(visit)
      await Promise.all([
        expectAnswers(first.guest, { answer: [...EVERYWHERE, b, b6], silent: THE_HOST }),
        expectAnswers(second.guest, { answer: [ROUTER.ipv4, a, a6] }),
        expectAnswers(world.outside, { answer: [a, b, a6, b6, ...THE_HOST] }),
        expectAnswers(world.host, { answer: [ROUTER.ipv4], silent: [a, b6] })
      ])
    })
  })

  test('bridge with a host peer: the host, too', TIME, async () => {
    const { world, first, second } = given()
    await visit(world, direct('bridge', 'host0'), 'lan0', async visit => {
      const { a, b, a6, b6 } = await joinNic(visit)
      await Promise.all([
        expectAnswers(first.guest, { answer: [...EVERYWHERE, b, b6, ...THE_HOST] }),
        expectAnswers(second.guest, { answer: [HOST.ipv4, a, a6] }),
        expectAnswers(world.outside, { answer: [a, b, a6, b6, ...THE_HOST] }),
        expectAnswers(world.host, { answer: [ROUTER.ipv4, a, b6] })
      ])
    })
  })

  test('private: guests do not reach each other, even if the switch reflects', TIME, async () => {
    const { world, first } = given()
    await visit(world, direct('private'), 'lan0', async visit => {
      const { a, b, b6 } = await joinNic(visit)
      await reflect(true)
      try {
        await expectAnswers(first.guest, { answer: EVERYWHERE, silent: [b, b6, ...THE_HOST] })
        await expectAnswers(world.outside, { answer: [a, b, ...THE_HOST] })
      } finally {
        await reflect(false)
      }
    })
  })

  test('vepa: they do if the switch reflects', TIME, async () => {
    const { world, first } = given()
    await visit(world, direct('vepa'), 'lan0', async visit => {
      const { a, b, b6 } = await joinNic(visit)
      await expectAnswers(first.guest, { answer: EVERYWHERE, silent: [b, b6, ...THE_HOST] })
      await reflect(true)
      try {
        await expectAnswers(first.guest, { answer: [b, b6] })
        await expectAnswers(world.outside, { answer: [a, b, ...THE_HOST] })
      } finally {
        await reflect(false)
      }
    })
  })

  test('passthru: one guest has the NIC, and the host has it back', TIME, async () => {
    const { world, first } = given()
    const spec = direct('passthru')
    await expectAnswers(world.outside, { answer: THE_HOST })
    await visit(world, spec, 'lan0', async visit => {
      const card = await visit.macvtap(first)
      const a = await lease(first.guest, card.device)
      const a6 = await advertised(first.guest, card.device, LAN_PREFIX, card.mac)
      expect(world.host.tools.link('eth0').address).toBe(card.mac)
      await expect(visit.network.openMacvtap({ name: 'more' })).rejects.toMatchObject({
        code: 'EINVAL',
        diagnosis: expect.stringContaining('vnet0')
      })
      await Promise.all([
        expectAnswers(first.guest, { answer: EVERYWHERE, silent: THE_HOST }),
        expectAnswers(world.outside, { answer: [a, a6], silent: THE_HOST })
      ])
      // It may take any other address of Ethernet.
      await first.guest.check(`ip link set ${card.device} address 52:54:00:00:0a:77`)
      await expectAnswers(first.guest, { answer: [ROUTER.ipv4] })
    })
    await expectAnswers(world.outside, { answer: THE_HOST })
  })

  test('source: a guest gets frames of listed senders alone', TIME, async () => {
    const { world, first, second } = given()
    const router = world.outside.tools.link('lan').address as string
    await visit(world, direct('source'), 'lan0', async visit => {
      // Two of those would both get the frames of the one sender, and QEMU drops what is not for its guest.
      const [a, b] = await Promise.all([visit.macvtap(first, { sources: [router] }), visit.macvtap(second)])
      const address = await lease(first.guest, a.device)
      await second.guest.up(b.device, '203.0.113.60/24')
      await Promise.all([
        expectAnswers(first.guest, { answer: [ROUTER.ipv4, FURTHER], silent: [HOST.ipv4, '203.0.113.60'] }),
        expectAnswers(second.guest, { silent: [ROUTER.ipv4, HOST.ipv4, address] }),
        expectAnswers(world.outside, { answer: [address], silent: ['203.0.113.60'] })
      ])
      await world.host.net.links.set(b.port, { kind: 'macvtap', macaddrMode: 'set', macaddrs: [router] })
      await expectAnswers(second.guest, { answer: [ROUTER.ipv4] })
    })
  })
})
