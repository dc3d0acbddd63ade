/** What of a guest's port can be changed while it runs: what that makes of whom it reaches, and that it can be lifted. */
import { afterEach, describe, expect, test, vi } from 'vitest'
import { announce, GuestPorts, Network, type NetworksSpec, type Tap } from '../../lib/index.js'
import type { Guest } from './guest.mjs'
import { expectAnswers } from './support/answers.js'
import { advertised, DHCP_FILES, interfaceId, isServed, lease } from './support/dhcp.js'
import { runAt, type Station } from './support/pings.js'
import { type Scene, scene } from './support/scene.js'
import { LAN_PREFIX, ROUTER, world } from './support/world.js'

const TIME = { timeout: 120_000 }
/** Of the host in the network. */
const GATEWAY = { ipv4: '192.168.124.1', ipv6: 'fd00:124::1' }
const [FORGED, FORGED6, FORGED_MAC] = ['192.168.124.77', 'fd00:124::77', '52:54:00:00:0b:77']

const SPEC: NetworksSpec = {
  networks: {
    virbr2: {
      kind: 'isolated',
      mtu: 1400,
      addresses: [`${GATEWAY.ipv4}/24`, `${GATEWAY.ipv6}/64`],
      dhcp4: { ranges: [{ start: '192.168.124.100', end: '192.168.124.199' }] },
      dhcp6: { mode: 'ra-only' }
    },
    // For guests only.
    virbr3: { kind: 'isolated' },
    // Two ways to one switch.
    br1: { kind: 'bridge', ports: ['eth1'] },
    br2: { kind: 'bridge', ports: ['eth2'] }
  }
}

const SERVER = {
  '/etc/udhcpd.conf': `start 10.66.0.10
end 10.66.0.20
interface eth0
lease_file /tmp/leases
pidfile /tmp/udhcpd.pid
option subnet 255.255.255.0
`
}

interface Member {
  guest: Guest
  tap: Tap
  port: string
  mac: string
  ipv4: string
  ipv6: string
}

async function member(scene: Scene, network: Network, number: number): Promise<Member> {
  const [port, mac] = [`vnet${number}`, `52:54:00:00:0b:0${number + 1}`]
  const tap = await network.openTap({ name: port, vnetHeader: true })
  scene.later(() => tap.close())
  const guest = await scene.guest({ files: { ...DHCP_FILES, ...SERVER }, netdevs: [{ fds: tap.fds, mac }] })
  const ipv4 = await lease(guest, 'eth0')
  return { guest, tap, port, mac, ipv4, ipv6: await advertised(guest, 'eth0', 'fd00:124::', mac) }
}

const given = scene(['tap', 'dnsmasq'], async scene => {
  const here = await world(scene, 3)
  const before = here.state()
  const plan = await here.plan(SPEC)
  expect([plan.conflicts, plan.warnings]).toEqual([[], []])
  await plan.apply()
  const { net } = here.host
  const { runtimeDirectory } = here
  const network = await Network.open(net, SPEC, 'virbr2', { runtimeDirectory })
  scene.later(() => network[Symbol.asyncDispose]())
  const ports = new GuestPorts(net)
  scene.later(() => ports.close())
  const [a, b] = await Promise.all([member(scene, network, 0), member(scene, network, 1)])
  return { ...here, before, plan, network, ports, a, b }
})

afterEach(async ({ task }) => {
  if (task.result?.state === 'skip' || task.result?.state === 'pass') return
  // What a failed test left, for the next one and for its repetition.
  const { ports, a, b, host } = given()
  for (const { port, guest, mac } of [a, b]) {
    if ((await host.net.links.find(port)) === undefined) continue
    await host.net.links.set(port, { master: 'virbr2' })
    await ports.reset(port)
    await ports.set(port, { mtu: 'bridge', carrier: true, ipv6: false })
    await guest.check(`killall udhcpd; ip link set eth0 address ${mac} up; exit 0`)
    await lease(guest, 'eth0')
  }
})

/** Gives the first guest's card an address; nobody knows an older one any more, which frames would be sent to for a while. */
async function takeMac(mac: string): Promise<void> {
  const { a, b, host } = given()
  await a.guest.check(`ip link set eth0 address ${mac}`)
  await b.guest.check('ip neigh flush dev eth0')
  host.tools.ip('neigh flush dev virbr2')
}

test('isolated: guests reach the host, and not each other', TIME, async () => {
  const { ports, a, b, host } = given()
  for (const { port } of [a, b]) await ports.set(port, { isolated: true })
  await Promise.all([
    expectAnswers(a.guest, { answer: [GATEWAY.ipv4, GATEWAY.ipv6], silent: [b.ipv4, b.ipv6] }),
    expectAnswers(b.guest, { answer: [GATEWAY.ipv4], silent: [a.ipv4, a.ipv6] }),
    expectAnswers(host, { answer: [a.ipv4, b.ipv4] })
  ])
  for (const { port } of [a, b]) await ports.set(port, { isolated: false })
  await expectAnswers(a.guest, { answer: [b.ipv4, b.ipv6] })
})

describe('anti-spoofing', () => {
  test('lets an honest guest do everything, and no other', TIME, async () => {
    const { ports, a, b } = given()
    const { guest } = a
    await ports.set(a.port, { antiSpoofing: { mac: a.mac, ips: [a.ipv4, a.ipv6] } })
    expect(await lease(guest, 'eth0')).toBe(a.ipv4)
    const honest = [GATEWAY.ipv4, GATEWAY.ipv6, b.ipv4, b.ipv6]
    const own = () => expectAnswers(guest, { answer: honest })
    /** As another one, by IPv4 and IPv6. */
    const forged = async (passes: boolean) => {
      for (const [from, to] of [
        [FORGED, [GATEWAY.ipv4, b.ipv4]],
        [FORGED6, [GATEWAY.ipv6, b.ipv6]]
      ] as const)
        await expectAnswers(guest, passes ? { answer: to } : { silent: to }, `-I ${from}`)
    }
    await own()
    await guest.check(`ip addr add ${FORGED}/32 dev eth0; ip addr add ${FORGED6}/128 dev eth0`)
    await forged(false)
    await takeMac(FORGED_MAC)
    await expectAnswers(guest, { silent: honest })
    await ports.set(a.port, { antiSpoofing: null })
    await expectAnswers(guest, { answer: honest })
    await takeMac(a.mac)
    await forged(true)
    await guest.check(`ip addr del ${FORGED}/32 dev eth0; ip addr del ${FORGED6}/128 dev eth0`)
    await own()
  })

  test('keeps a guest from taking the gateway’s address for itself', TIME, async () => {
    const { ports, network, a, b } = given()
    const gateway = (await network.bridge()).address as string
    const known = async () => /(\S+:\S+)/.exec(await b.guest.check(`arp -n ${GATEWAY.ipv4}`))?.[1]
    /** Everybody is told, as often as it takes; the ways of one who knows better are pinged meanwhile. */
    const claim = () => a.guest.run(`arping -U -c 3 -I eth0 ${GATEWAY.ipv4}`)
    await expectAnswers(b.guest, { answer: [GATEWAY.ipv4] })
    expect(await known()).toBe(gateway)
    await ports.set(a.port, { antiSpoofing: { mac: a.mac, ips: [a.ipv4] } })
    await a.guest.check(`ip addr add ${GATEWAY.ipv4}/32 dev eth0`)
    await claim()
    expect(await known()).toBe(gateway)
    await expectAnswers(b.guest, { answer: [GATEWAY.ipv4] })
    await ports.set(a.port, { antiSpoofing: null })
    await claim()
    expect(await known()).toBe(a.mac)
    await a.guest.check(`ip addr del ${GATEWAY.ipv4}/32 dev eth0`)
    await b.guest.check(`arp -d ${GATEWAY.ipv4}`)
    await expectAnswers(b.guest, { answer: [GATEWAY.ipv4] })
  })

  test('keeps a guest from serving DHCP, unless it may', TIME, async () => {
    const { ports, host, a, b } = given()
    for (const { port } of [a, b]) await host.net.links.set(port, { master: 'virbr3' })
    await a.guest.check('ip addr add 10.66.0.1/24 dev eth0; udhcpd -a 1 /etc/udhcpd.conf')
    expect(await lease(b.guest, 'eth0')).toMatch(/^10\.66\.0\./)
    await ports.set(a.port, { antiSpoofing: { mac: a.mac } })
    expect(await isServed(b.guest, 'eth0')).toBe(false)
    await ports.set(a.port, { antiSpoofing: { mac: a.mac, dhcpServer: true } })
    expect(await lease(b.guest, 'eth0')).toMatch(/^10\.66\.0\./)
    await ports.set(a.port, { antiSpoofing: null })
    await a.guest.check('kill $(cat /tmp/udhcpd.pid); ip addr del 10.66.0.1/24 dev eth0')
    for (const { port } of [a, b]) await host.net.links.set(port, { master: 'virbr2' })
    expect(await lease(b.guest, 'eth0')).toBe(b.ipv4)
  })
})

test('a static entry: what the bridge does not know of, does not come', TIME, async () => {
  const { ports, a, b } = given()
  const reached = [GATEWAY.ipv4, b.ipv4]
  await ports.set(a.port, { staticFdb: a.mac })
  await expectAnswers(a.guest, { answer: reached })
  await takeMac(FORGED_MAC)
  await expectAnswers(a.guest, { silent: reached })
  await ports.set(a.port, { staticFdb: FORGED_MAC })
  await expectAnswers(a.guest, { answer: reached })
  await ports.set(a.port, { staticFdb: null })
  await takeMac(a.mac)
  await expectAnswers(a.guest, { answer: reached })
})

test('the carrier: nothing passes while the cable is out', TIME, async () => {
  const { ports, a, b, host } = given()
  await ports.set(a.port, { carrier: false })
  await vi.waitFor(() => expect(host.tools.link(a.port).flags).toContain('NO-CARRIER'), 5000)
  await Promise.all([
    expectAnswers(a.guest, { silent: [GATEWAY.ipv4, b.ipv4] }),
    expectAnswers(b.guest, { answer: [GATEWAY.ipv4], silent: [a.ipv4] })
  ])
  await ports.set(a.port, { carrier: true })
  await expectAnswers(b.guest, { answer: [GATEWAY.ipv4, a.ipv4] })
})

test('the MTU: what is longer does not pass', TIME, async () => {
  const { ports, a, b, host } = given()
  // The network's, which DHCP has told the guests as well.
  expect([host.tools.link(a.port).mtu, await a.guest.check('cat /sys/class/net/eth0/mtu')]).toEqual([1400, '1400'])
  const headers = 28
  const longest = (to: 'answer' | 'silent', bytes: number) =>
    expectAnswers(b.guest, { [to]: [a.ipv4] }, `-s ${bytes - headers}`)
  await longest('answer', 1400)
  await ports.set(a.port, { mtu: 1300 })
  await longest('silent', 1400)
  await longest('answer', 1300)
  await ports.set(a.port, { mtu: 'bridge' })
  await longest('answer', 1400)
})

test('IPv6 of the host’s side: the guest’s does not depend on it', TIME, async () => {
  const { ports, a, host } = given()
  const ofHost = () => host.tools.ipJson(`-6 address show dev ${a.port}`).flatMap(link => link.addr_info)
  expect((await ports.get(a.port)).ipv6).toBe(false)
  expect(ofHost()).toEqual([])
  await expectAnswers(a.guest, { answer: [GATEWAY.ipv6] })
  await ports.set(a.port, { ipv6: true })
  expect(ofHost()).toMatchObject([
    { local: `fe80::${interfaceId(host.tools.link(a.port).address as string)}`, scope: 'link' }
  ])
  await ports.set(a.port, { ipv6: false })
  expect(ofHost()).toEqual([])
  await expectAnswers(a.guest, { answer: [GATEWAY.ipv6] })
})

test('counters: those that the guest has itself', TIME, async () => {
  const { ports, a } = given()
  const names = ['rx_packets', 'rx_bytes', 'tx_packets', 'tx_bytes']
  const ofGuest = async () => {
    const files = names.map(name => `/sys/class/net/eth0/statistics/${name}`)
    return (await a.guest.check(`cat ${files.join(' ')}`)).split('\n').map(Number)
  }
  const ofPort = async () => {
    const { rxPackets, rxBytes, txPackets, txBytes } = await ports.counters(a.port)
    return [rxPackets, rxBytes, txPackets, txBytes].map(Number)
  }
  const grown = (after: number[], before: number[]) => after.map((value, at) => value - (before[at] as number))
  await vi.waitFor(
    async () => {
      const before = { port: await ofPort(), guest: await ofGuest() }
      await a.guest.check(`ping -c 20 -i 0.02 -s 1000 ${GATEWAY.ipv4}`)
      const [port, guest] = [grown(await ofPort(), before.port), grown(await ofGuest(), before.guest)]
      // Unless something else came between the readings.
      expect(port).toEqual(guest)
      expect(port[0]).toBeGreaterThanOrEqual(20)
      expect(port[3]).toBeGreaterThanOrEqual(20 * 1042)
    },
    { timeout: 30_000 }
  )
})

describe('bandwidth', () => {
  const KIB = 256
  const BURST = 4096

  /** Milliseconds that a transfer takes. */
  async function transfer(from: Station, to: Station, address: string): Promise<number> {
    const began = performance.now()
    const count = `/tmp/linkwright-count-${process.pid}`
    const [received] = await Promise.all([
      runAt(to, `busybox nc -l -p 7000 -e sh -c 'busybox wc -c >${count}'; busybox cat ${count}; busybox rm ${count}`),
      runAt(
        from,
        `until busybox dd if=/dev/zero bs=1k count=${KIB} 2>/dev/null | busybox nc ${address} 7000
         do busybox usleep 20000; done`
      )
    ])
    expect(Number(received)).toBe(KIB * 1024)
    return performance.now() - began
  }

  test('limits what the guest sends and what it receives, each as long as it is asked for', TIME, async () => {
    const { ports, a, host } = given()
    const ways = {
      outbound: () => transfer(a.guest, host, GATEWAY.ipv4),
      inbound: () => transfer(host, a.guest, a.ipv4)
    }
    /** At a million bits per second; headers come on top. */
    const least = ((KIB * 1024 - BURST) * 8) / 1000
    for (const [way, other] of [
      ['outbound', 'inbound'],
      ['inbound', 'outbound']
    ] as const) {
      await ports.set(a.port, { bandwidth: { [way]: { rate: '1mbit', burst: BURST } } })
      expect(await ways[way]()).toBeGreaterThan(least)
      expect(await ways[other]()).toBeLessThan(least)
      await ports.set(a.port, { bandwidth: null })
    }
    expect(await ways.outbound()).toBeLessThan(least)
    expect(await ways.inbound()).toBeLessThan(least)
  })
})

test('a guest that has moved is reached again when it is announced', TIME, async () => {
  const { host, outside, a } = given()
  const { tap, guest, port, mac } = a
  const place = async (bridge: string) => {
    await host.net.links.set(port, { master: bridge })
    await host.net.links.waitFor(port, link => link?.port?.state === 'forwarding', { timeout: 10_000 })
  }
  /** The guest asks for addresses as if it had just come: for IPv6 too. */
  const arrive = async (prefix: string) => {
    await guest.check('ip link set eth0 down')
    return { ipv4: await lease(guest, 'eth0'), ipv6: await advertised(guest, 'eth0', prefix, mac) }
  }
  const learntAt = () =>
    outside.tools.bridgeJson('fdb show br lan').find((entry: { mac: string }) => entry.mac === mac)?.ifname
  // It has nothing to say by itself for a while: no reports of groups, no looking whether neighbours are still there.
  await guest.check(`set -e; cd /proc/sys/net/ipv6
    for version in 1 2; do echo 1 >conf/eth0/mldv$version'_unsolicited_report_interval'; done
    echo 600 >neigh/eth0/delay_first_probe_time`)
  await place('br1')
  const { ipv4, ipv6 } = await arrive(LAN_PREFIX)
  const router = outside.tools.link('lan').address as string
  await guest.check(`arp -s ${ROUTER.ipv4} ${router}`)
  await expectAnswers(outside, { answer: [ipv4, ipv6] })
  expect(learntAt()).toBe('up1')
  await place('br2')
  await expectAnswers(outside, { silent: [ipv4] })
  expect(learntAt()).toBe('up1')
  await announce(tap, { address: mac, ips: [ipv4, ipv6] })
  expect(learntAt()).toBe('up2')
  await expectAnswers(outside, { answer: [ipv4, ipv6] })
  await guest.check(`arp -d ${ROUTER.ipv4}`)
  await place('virbr2')
  expect(await arrive('fd00:124::')).toEqual({ ipv4: a.ipv4, ipv6: a.ipv6 })
})

test('what was set goes with the guests, and with the networks everything', TIME, async () => {
  const { ports, network, plan, state, before, host, a, b } = given()
  const limit = { outbound: { rate: '10mbit' } }
  for (const { port, mac } of [a, b]) await ports.set(port, { antiSpoofing: { mac }, isolated: true, bandwidth: limit })
  const tables = () => host.tools.exec('nft', 'list', 'tables')
  const withPorts = tables()
  await Promise.all([a, b].map(({ tap }) => tap.close()))
  await expectAnswers(a.guest, { answer: [GATEWAY.ipv4], silent: [b.ipv4] })
  await Promise.all([a, b].map(({ guest }) => guest.stop()))
  for (const { port } of [a, b]) await host.net.links.waitFor(port, link => link === undefined, { timeout: 20_000 })
  await vi.waitFor(() => expect(tables().split('\n').length).toBeLessThan(withPorts.split('\n').length), 10_000)
  await vi.waitFor(() => expect(host.tools.linkNames().filter(name => /ifb/.test(name))).toEqual([]), 10_000)
  await ports.close()
  await network[Symbol.asyncDispose]()
  await plan.undo()
  expect(state()).toBe(before)
})
