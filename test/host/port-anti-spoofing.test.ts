/** A guest that says it is somebody else: nothing of it arrives, and what is honest does. */
import { writeSync } from 'node:fs'
import { describe, expect, vi } from 'vitest'
import { test } from '../firewall/support/firewall.js'
import { parseArp } from '../support/frames.js'
import { tryRead } from '../tap/support/io.js'
import { attacks, honest, IPS, ME, VICTIM } from './support/attacks.js'
import { macBytes, tagged } from './support/guest-frames.js'
import { portScene } from './support/port-scene.js'

const Q = 0x8100
const AD = 0x88a8
const TAGS: Record<string, [number, number][]> = {
  '802.1Q': [[Q, 100]],
  'a priority tag': [[Q, 0]],
  '802.1ad': [[AD, 100]],
  QinQ: [
    [Q, 100],
    [Q, 200]
  ],
  '802.1ad and 802.1Q': [
    [AD, 100],
    [Q, 200]
  ]
}

/** The same frame to another MAC address. */
const to = (mac: string, frame: Buffer) => Buffer.concat([macBytes(mac), frame.subarray(6)])
const identity = { mac: ME.mac, ips: IPS }
const which = (frames: Record<string, Buffer>, test: (frame: Buffer) => boolean) =>
  Object.keys(frames).filter(name => test(frames[name] as Buffer))

describe('forged frames', () => {
  test('none arrives at another port, and each does without the guard', async ({ ns }) => {
    const { ports, arrives } = await portScene(ns)
    expect(which(attacks, frame => !arrives(frame))).toEqual([])
    await ports.set('vnet0', { antiSpoofing: identity })
    expect(which(attacks, frame => arrives(frame))).toEqual([])
  })

  test('none arrives at the host, and each does without the guard', async ({ ns }) => {
    const { ports, reachHost } = await portScene(ns)
    const frames = Object.values(attacks)
    expect(reachHost(frames)).toBe(frames.length)
    await ports.set('vnet0', { antiSpoofing: identity })
    expect(reachHost(frames)).toBe(0)
  })

  test.for(Object.keys(TAGS))('none arrives in %s, nor does an honest one', async (name, { ns }) => {
    const { ports, arrives } = await portScene(ns)
    const tag = (frame: Buffer) => tagged(frame, ...(TAGS[name] as [number, number][]))
    const all = { ...attacks, ...honest }
    expect(which(all, frame => !arrives(tag(frame)))).toEqual([])
    await ports.set('vnet0', { antiSpoofing: identity })
    expect(which(all, frame => arrives(tag(frame)))).toEqual([])
  })

  test('with tags allowed, one tag is looked into, and two do not pass', async ({ ns }) => {
    const { ports, arrives } = await portScene(ns)
    await ports.set('vnet0', { antiSpoofing: { ...identity, vlanTags: true } })
    const passed = (name: string, frames: Record<string, Buffer>) =>
      which(frames, frame => arrives(tagged(frame, ...(TAGS[name] as [number, number][]))))
    expect(passed('802.1Q', attacks)).toEqual([])
    expect(passed('802.1Q', honest)).toEqual(Object.keys(honest))
    expect(which(attacks, frame => arrives(frame))).toEqual([])
    for (const name of ['802.1ad', 'QinQ', '802.1ad and 802.1Q']) {
      expect(passed(name, { ...attacks, ...honest })).toEqual([])
    }
  })

  test.for([
    ['0e', 0],
    ['03', 0],
    ['00', 0],
    ['00', 1],
    ['0e', 1]
  ] as const)(
    'the bridge learns nothing from them, to 01:80:c2:00:00:%s with STP %i neither',
    async ([end, stp], { ns }) => {
      const { ports, guest } = await portScene(ns, `stp_state ${stp} forward_delay 200`)
      await vi.waitFor(() => expect(ns.tools.link('vnet0').linkinfo.info_slave_data.state).toBe('forwarding'), 10_000)
      const frame = to(`01:80:c2:00:00:${end}`, attacks['source MAC of another'] as Buffer)
      const learned = () =>
        ns.tools.bridgeJson('fdb show br br0').some((entry: { mac: string }) => entry.mac === VICTIM.mac)
      await ports.set('vnet0', { antiSpoofing: identity })
      writeSync(guest.fd, frame)
      expect(learned()).toBe(false)
      await ports.set('vnet0', { antiSpoofing: null })
      writeSync(guest.fd, frame)
      expect(learned()).toBe(true)
    }
  )

  test('the host hears nothing of what a guest sends to the address of LLDP', async ({ ns }) => {
    const { ports, guest } = await portScene(ns)
    ns.tools.ip(`address add ${VICTIM.ip}/24 dev br0`)
    const answered = () => {
      while (tryRead(guest.fd));
      writeSync(guest.fd, to('01:80:c2:00:00:0e', honest['an ARP request'] as Buffer))
      for (let read = tryRead(guest.fd); read; read = tryRead(guest.fd))
        if (parseArp(read)?.senderIp === VICTIM.ip) return true
      return false
    }
    expect(answered()).toBe(true)
    await ports.set('vnet0', { antiSpoofing: { ...identity, mac: VICTIM.mac } })
    expect(answered()).toBe(false)
  })
})

describe('honest frames', () => {
  test('all arrive', async ({ ns }) => {
    const { ports, arrives } = await portScene(ns)
    await ports.set('vnet0', { antiSpoofing: identity })
    expect(which(honest, frame => !arrives(frame))).toEqual([])
  })

  test('without a list of addresses, any may be used, with one’s own MAC', async ({ ns }) => {
    const { ports, arrives } = await portScene(ns)
    await ports.set('vnet0', { antiSpoofing: { mac: ME.mac } })
    expect(which(honest, frame => !arrives(frame))).toEqual([])
    const passing = which(attacks, frame => arrives(frame))
    expect(passing).toEqual(
      expect.arrayContaining(['IPv4 from another', 'IPv6 from another', 'ARP request with the sender IP of another'])
    )
    expect(passing.filter(name => /MAC|offer|router adv|redirect|DHCPv6|LLDP|RARP|cut/.test(name))).toEqual([])
  })

  test('one family may be free, and the other one not', async ({ ns }) => {
    const { ports, arrives } = await portScene(ns)
    await ports.set('vnet0', { antiSpoofing: { mac: ME.mac, ips: ['::/0', ME.ip] } })
    expect(arrives(attacks['IPv6 from another'] as Buffer)).toBe(true)
    expect(arrives(attacks['IPv4 from another'] as Buffer)).toBe(false)
  })

  test('an empty list leaves what has no address, and the link-local one', async ({ ns }) => {
    const { ports, arrives } = await portScene(ns)
    await ports.set('vnet0', { antiSpoofing: { mac: ME.mac, ips: [] } })
    const passing = which(honest, frame => arrives(frame))
    expect(passing).toEqual([
      'RARP',
      'a DHCP discover',
      'IGMP without an address',
      'DAD for the link-local address',
      'a solicitation without an option',
      'an advertisement without an option',
      'a router solicitation',
      'a router solicitation without an option',
      'a router solicitation from nobody',
      'MLDv2',
      'MLDv2 from nobody',
      'MLDv1',
      'a DHCPv6 solicitation',
      'the first half of a large ping',
      'the second half of a large ping'
    ])
  })

  test('a guest may be a router or a DHCP server, if that is said', async ({ ns }) => {
    const { ports, arrives } = await portScene(ns)
    const passing = () => which(attacks, frame => arrives(frame))
    await ports.set('vnet0', { antiSpoofing: { ...identity, router: true } })
    expect(passing()).toEqual(expect.arrayContaining(['a router advertisement', 'a redirect']))
    expect(passing().filter(name => !/router|redirect/.test(name))).toEqual([])
    await ports.set('vnet0', { antiSpoofing: { ...identity, dhcpServer: true } })
    expect(passing()).toEqual(expect.arrayContaining(['a DHCP offer', 'a DHCPv6 reply']))
    expect(passing().filter(name => !/DHCP/.test(name))).toEqual([])
    expect(arrives(attacks['a DHCP offer from a forged server'] as Buffer)).toBe(false)
  })

  test('a guest with several MAC addresses has all of them', async ({ ns }) => {
    const { ports, arrives } = await portScene(ns)
    await ports.set('vnet0', { antiSpoofing: { mac: [ME.mac, VICTIM.mac], ips: [ME.ip] } })
    expect(arrives(attacks['source MAC of another'] as Buffer)).toBe(true)
    expect(arrives(attacks['source MAC of nobody'] as Buffer)).toBe(false)
  })

  test('the other port is not concerned', async ({ ns }) => {
    const { ports, arrives, peer } = await portScene(ns)
    await ports.set('vnet0', { antiSpoofing: identity })
    expect(which(attacks, frame => !arrives(frame, peer))).toEqual([])
  })
})
