/** What of a port is changed while its guest runs, seen by ip, bridge and tc, and by frames. */
import { writeSync } from 'node:fs'
import { describe, expect, onTestFinished, vi } from 'vitest'
import { Tap } from '../../lib/index.js'
import { test } from '../firewall/support/firewall.js'
import { has } from '../support/features.js'
import { watchFrames } from '../tap/support/io.js'
import { attacks, honest, ME, VICTIM } from './support/attacks.js'
import { ETHERTYPE, ethernet, ipv4, udp } from './support/guest-frames.js'
import { passes, portScene } from './support/port-scene.js'

const fine = honest['an ARP request'] as Buffer
const slave = (link: { linkinfo: { info_slave_data: Record<string, unknown> } }) => link.linkinfo.info_slave_data

test('isolated ports do not reach each other, but others', async ({ ns }) => {
  const { ports, guest, peer, arrives } = await portScene(ns)
  const uplink = await Tap.open({ net: ns.net, name: 'uplink', master: 'br0', up: true })
  onTestFinished(() => uplink.close())
  for (const port of ['vnet0', 'vnet1']) await ports.set(port, { isolated: true })
  expect([arrives(fine), passes(fine, guest, uplink), passes(fine, uplink, peer)]).toEqual([false, true, true])
  expect(slave(ns.tools.link('vnet0'))['isolated']).toBe(true)
  expect(await ports.get('vnet0')).toMatchObject({ isolated: true, name: 'vnet0', mtu: 1500, carrier: true })
  await ports.set('vnet0', { isolated: false })
  expect(arrives(fine)).toBe(true)
})

describe('a static forwarding entry', () => {
  const unknown = ethernet(
    '52:54:00:00:00:99',
    VICTIM.mac,
    ETHERTYPE.ipv4,
    ipv4(VICTIM.ip, ME.ip, 17, udp(1, 2, Buffer.alloc(8)))
  )
  const toGuest = ethernet(ME.mac, VICTIM.mac, ETHERTYPE.ipv4, ipv4(VICTIM.ip, ME.ip, 17, udp(1, 2, Buffer.alloc(8))))
  const entries = (tools: { bridgeJson(command: string): { mac: string; vlan?: number; state?: string }[] }) =>
    tools.bridgeJson('fdb show br br0 brport vnet0').filter(({ mac, vlan }) => mac.startsWith('52:54:00') && !vlan)

  test('takes the place of learning, and of flooding', async ({ ns }) => {
    const { ports, arrives, guest, peer } = await portScene(ns)
    await ports.set('vnet0', { staticFdb: ME.mac })
    expect(entries(ns.tools)).toMatchObject([{ mac: ME.mac, state: 'static' }])
    expect(passes(attacks['source MAC of nobody'] as Buffer, guest, peer)).toBe(true)
    expect(entries(ns.tools)).toHaveLength(1)
    expect([passes(toGuest, peer, guest), passes(unknown, peer, guest), passes(fine, peer, guest)]).toEqual([
      true,
      false,
      true
    ])
    expect((await ports.get('vnet0')).staticFdb).toEqual([ME.mac])
    await ports.set('vnet0', { staticFdb: [VICTIM.mac, '52:54:00:00:00:33'] })
    expect(
      entries(ns.tools)
        .map(({ mac }) => mac)
        .sort()
    ).toEqual([VICTIM.mac, '52:54:00:00:00:33'])
    await ports.set('vnet0', { staticFdb: null })
    expect(entries(ns.tools)).toEqual([])
    expect(passes(unknown, peer, guest)).toBe(true)
    expect(arrives(fine)).toBe(true)
    expect(entries(ns.tools)).toMatchObject([{ mac: ME.mac }])
    expect(slave(ns.tools.link('vnet0'))).toMatchObject({ learning: true, flood: true })
  })

  test('of the port’s own address is refused', async ({ ns }) => {
    const { ports } = await portScene(ns)
    const { address } = ns.tools.link('vnet0')
    const wrong = ports.set('vnet0', { isolated: true, staticFdb: address.replace(/^../, '00') })
    await wrong
    ns.tools.ip(`link set dev vnet0 address ${ME.mac}`)
    await expect(ports.set('vnet0', { staticFdb: ME.mac })).rejects.toMatchObject({ path: 'staticFdb' })
  })
})

test('the carrier is pulled out and plugged in', async ({ ns }) => {
  const { ports, arrives } = await portScene(ns)
  await ports.set('vnet0', { carrier: false })
  // The flag follows at the leisure of the kernel's link watch.
  await vi.waitFor(() => expect(ns.tools.link('vnet0').flags).toContain('NO-CARRIER'), 5000)
  expect((await ports.get('vnet0')).carrier).toBe(false)
  await ports.set('vnet0', { carrier: true })
  await vi.waitFor(() => expect(ns.tools.link('vnet0').flags).not.toContain('NO-CARRIER'), 5000)
  expect(arrives(fine)).toBe(true)
})

test('the MTU is a number, or that of the bridge', async ({ ns }) => {
  const { ports } = await portScene(ns)
  ns.tools.ip('link set dev br0 mtu 1400')
  await ports.set('vnet0', { mtu: 'bridge' })
  expect(ns.tools.link('vnet0').mtu).toBe(1400)
  await ports.set('vnet0', { mtu: 1300 })
  expect(ns.tools.link('vnet0').mtu).toBe(1300)
})

test('the host speaks IPv6 on the port or does not', async ({ ns }) => {
  const { ports } = await portScene(ns)
  const addresses = () => ns.tools.ipJson('-6 address show dev vnet0').flatMap(link => link.addr_info)
  await ports.set('vnet0', { ipv6: true })
  expect(addresses()).toHaveLength(1)
  expect((await ports.get('vnet0')).ipv6).toBe(true)
  await ports.set('vnet0', { ipv6: false })
  expect(addresses()).toEqual([])
})

test('limits are those of net.bandwidth', async ({ ns }) => {
  const { ports } = await portScene(ns)
  await ports.set('vnet0', { bandwidth: { inbound: { rate: '10mbit' }, outbound: { rate: '1mbit' } } })
  expect(await ns.net.bandwidth.get('vnet0')).toMatchObject({
    inbound: { rate: 10_000_000 },
    outbound: { rate: 1_000_000 }
  })
  await ports.set('vnet0', { bandwidth: { inbound: null } })
  expect(await ports.get('vnet0')).toMatchObject({ bandwidth: { outbound: { rate: 1_000_000 } } })
  await ports.set('vnet0', { bandwidth: null })
  expect((await ports.get('vnet0')).bandwidth).toEqual({})
})

test('anti-spoofing holds for what goes by the ifb of a limit', async ({ ns }) => {
  const { ports, guest, peer } = await portScene(ns)
  const antiSpoofing = { mac: ME.mac, ips: [ME.ip] }
  await ports.set('vnet0', { antiSpoofing, bandwidth: { outbound: { rate: '1gbit' } } })
  const watched = watchFrames(peer.fd)
  onTestFinished(() => watched.stop())
  for (const name of ['source MAC of another', 'IPv4 from another', 'a router advertisement']) {
    writeSync(guest.fd, attacks[name] as Buffer)
  }
  writeSync(guest.fd, fine)
  // The ifb keeps the order, and sends on in its own time.
  await vi.waitFor(() => expect(watched.frames.some(frame => frame.equals(fine))).toBe(true), 5000)
  expect(watched.frames.filter(frame => frame[6] === 0x52)).toEqual([fine])
})

test('counters are those of the guest', async ({ ns }) => {
  const { ports, arrives, guest, peer } = await portScene(ns)
  const before = await ports.counters('vnet0')
  arrives(fine)
  arrives(fine)
  passes(fine, peer, guest)
  const after = await ports.counters('vnet0')
  expect(after.txPackets - before.txPackets).toBe(2n)
  expect(after.txBytes - before.txBytes).toBe(BigInt(2 * fine.length))
  const { rx } = ns.tools.ipJson('-s link show dev vnet0')[0].stats64
  expect(after.txPackets).toBe(BigInt(rx.packets))
  expect(after.rxPackets).toBeGreaterThan(before.rxPackets)
})

test('what fails takes back what was done before it', async ({ ns, nft }) => {
  const { ports } = await portScene(ns)
  ns.tools.ip('link add name guest type veth peer name other')
  ns.tools.ip('link set dev guest master br0')
  const state = () => [
    JSON.stringify(slave(ns.tools.link('guest'))).replaceAll(/"[a-z_]*timer":[\d.]*/g, ''),
    ns.tools.link('guest').mtu,
    ns.tools.link('guest').altnames,
    ns.tools.bridgeJson('fdb show brport guest'),
    ns.tools.tcJson('qdisc show dev guest').map(({ kind }) => kind),
    nft.json()
  ]
  ns.tools.ip('link set dev guest up')
  ns.tools.ip('link set dev guest down')
  const before = state()
  const settings = {
    antiSpoofing: { mac: ME.mac },
    isolated: true,
    mtu: 1400,
    staticFdb: ME.mac,
    bandwidth: { inbound: { rate: '1mbit' } }
  }
  // A veth has no carrier to be set, and that is tried last.
  ns.tools.ip('link set dev guest up')
  await expect(ports.set('guest', { ...settings, carrier: true })).rejects.toMatchObject({ code: 'EOPNOTSUPP' })
  ns.tools.ip('link set dev guest down')
  expect(state()).toEqual(before)
  await ports.set('guest', settings)
  expect(state()).not.toEqual(before)
})

describe('VLANs', () => {
  test('are refused on a bridge that does not filter them', async ({ ns }) => {
    const { ports } = await portScene(ns)
    const refused = { code: 'ERR_INVALID_ARG_VALUE', path: 'vlans' }
    await expect(ports.set('vnet0', { vlans: { untagged: 7 } })).rejects.toMatchObject(refused)
    await expect(ports.set('vnet0', { vlans: { untagged: 0 } })).rejects.toMatchObject({ path: 'vlans.untagged' })
    await expect(ports.set('vnet0', { vlans: { tagged: ['9-7'] } })).rejects.toMatchObject({ path: 'vlans.tagged[0]' })
    await expect(ports.set('vnet0', { vlans: { untagged: 8, tagged: ['7-9'] } })).rejects.toMatchObject({
      path: 'vlans.untagged'
    })
  })

  test('access and trunk', async ({ ns, skip }) => {
    if (!has('vlanFiltering')) skip('this kernel’s bridge does not filter VLANs')
    const { ports, arrives } = await portScene(ns, 'vlan_filtering 1')
    const vlans = () => ns.tools.bridgeJson('vlan show dev vnet0')[0]?.vlans ?? []
    expect((await ports.get('vnet0')).vlans).toEqual({ untagged: 1 })
    await ports.set('vnet0', { vlans: { untagged: 100 } })
    expect(vlans()).toMatchObject([{ vlan: 100, flags: ['PVID', 'Egress Untagged'] }])
    expect(arrives(fine)).toBe(false)
    await ports.set('vnet1', { vlans: { untagged: 100 } })
    expect(arrives(fine)).toBe(true)
    await ports.set('vnet0', { vlans: { tagged: [7, '200-202'] } })
    expect(vlans().map(({ vlan, vlanEnd }: { vlan: number; vlanEnd?: number }) => [vlan, vlanEnd])).toEqual([
      [7, undefined],
      [200, 202]
    ])
    expect((await ports.get('vnet0')).vlans).toEqual({ tagged: [7, '200-202'] })
    expect(arrives(fine)).toBe(false)
    await ports.set('vnet0', { vlans: { untagged: 5, tagged: ['2-4', '6-4094'] } })
    expect((await ports.get('vnet0')).vlans).toEqual({ untagged: 5, tagged: ['2-4', '6-4094'] })
    await ports.set('vnet0', { vlans: null })
    expect((await ports.get('vnet0')).vlans).toEqual({ untagged: 1 })
    await ports.set('vnet1', { vlans: null })
    expect(arrives(fine)).toBe(true)
  })

  test('a static entry is in each VLAN that the port gets', async ({ ns, skip }) => {
    if (!has('vlanFiltering')) skip('this kernel’s bridge does not filter VLANs')
    const { ports } = await portScene(ns, 'vlan_filtering 1')
    const vlans = () =>
      ns.tools
        .bridgeJson('fdb show br br0 brport vnet0')
        .filter(({ mac, vlan }) => mac === ME.mac && vlan)
        .map(({ vlan }) => vlan)
        .sort()
    await ports.set('vnet0', { staticFdb: ME.mac })
    expect(vlans()).toEqual([1])
    await ports.set('vnet0', { vlans: { untagged: 5, tagged: [7] } })
    expect(vlans()).toEqual([5, 7])
    await ports.set('vnet0', { vlans: null, staticFdb: null })
    expect(vlans()).toEqual([])
  })
})
