/** Forwarding entries of bridges, VXLAN and macvlan links. */
import { describe, expect } from 'vitest'
import { has } from '../support/features.js'
import type { Parsed } from '../support/ip.js'
import { type Namespace, test } from '../support/namespace.js'

const MAC = '02:00:00:00:00:11'
const OTHER = '02:00:00:00:00:12'

const entries = ({ tools }: Namespace, options: string, lladdr = MAC): Parsed[] =>
  tools.bridgeJson(`fdb show ${options}`).filter(entry => entry.mac === lladdr)

async function bridgeWithPorts({ net, tools }: Namespace): Promise<void> {
  await net.links.create({ kind: 'bridge', name: 'br0', forwardDelay: 0, up: true })
  // Entries that name no VLAN go into each VLAN of the port as well.
  if (has('vlanFiltering')) tools.ip('link set dev br0 type bridge vlan_default_pvid 0')
  for (const name of ['a', 'b'])
    await net.links.create({ kind: 'veth', name, master: 'br0', up: true, peer: { name: `${name}-peer`, up: true } })
  for (const name of ['a', 'b']) await net.links.waitFor(name, link => link?.port?.state === 'forwarding')
}

/** Addresses are learned at any time from what the ends of the pairs say. */
const isLearned = (state: { reachable: boolean; stale: boolean }) => state.reachable || state.stale

describe('of a bridge', () => {
  // bridge(8) names a static entry "static", an ageing one "", one of the host "permanent".
  test.for([
    [undefined, 'static'],
    ['static', 'static'],
    ['permanent', 'permanent'],
    ['dynamic', '']
  ] as const)('type %s', async ([type, state], { ns }) => {
    await bridgeWithPorts(ns)
    await ns.net.fdb.add({ lladdr: MAC, link: 'a', type })
    expect(entries(ns, 'br br0')).toMatchObject([{ ifname: 'a', master: 'br0', state }])
  })

  test('sticky and learned elsewhere', async ({ ns }) => {
    await bridgeWithPorts(ns)
    await ns.net.fdb.add({ lladdr: MAC, link: 'a', sticky: true })
    await ns.net.fdb.add({ lladdr: OTHER, link: 'a', type: 'dynamic', extLearned: true })
    expect(entries(ns, 'br br0')[0].flags).toContain('sticky')
    expect(entries(ns, 'br br0', OTHER)[0].flags).toContain('extern_learn')
  })

  test('in a VLAN', async ({ ns, skip }) => {
    if (!has('vlanFiltering')) skip('this kernel filters no VLANs')
    await bridgeWithPorts(ns)
    await ns.net.links.set('br0', { kind: 'bridge', vlanFiltering: true })
    ns.tools.bridge('vlan add dev a vid 1')
    await ns.net.fdb.add({ lladdr: MAC, link: 'a', vlan: 1 })
    expect(entries(ns, 'br br0')).toMatchObject([{ ifname: 'a', vlan: 1 }])
    await ns.net.fdb.delete({ lladdr: MAC, link: 'a', vlan: 1 })
    expect(entries(ns, 'br br0')).toEqual([])
  })

  test('add, replace and delete', async ({ ns }) => {
    await bridgeWithPorts(ns)
    await ns.net.fdb.add({ lladdr: MAC, link: 'a' })
    await expect(ns.net.fdb.add({ lladdr: MAC, link: 'b' })).rejects.toMatchObject({ code: 'EEXIST' })
    await ns.net.fdb.replace({ lladdr: MAC, link: 'b' })
    expect(entries(ns, 'br br0')).toMatchObject([{ ifname: 'b' }])
    await ns.net.fdb.delete({ lladdr: MAC, link: 'b' })
    expect(entries(ns, 'br br0')).toEqual([])
    await expect(ns.net.fdb.delete({ lladdr: MAC, link: 'b' })).rejects.toMatchObject({ code: 'ENOENT', errno: -2 })
  })

  test('list has what bridge(8) has, of a bridge and of a port', async ({ ns }) => {
    await bridgeWithPorts(ns)
    await ns.net.links.create({ kind: 'bridge', name: 'br1' })
    ns.tools.bridge(`fdb add ${MAC} dev a master static`)
    ns.tools.bridge(`fdb add ${OTHER} dev b master`)
    const name = new Map((await ns.net.links.list()).map(link => [link.index, link.name]))
    const ours = async (filter?: object) =>
      (await ns.net.fdb.list(filter))
        .filter(entry => !isLearned(entry.state))
        .map(entry => `${name.get(entry.index)} ${entry.lladdr}`)
        .toSorted()
    const theirs = (options: string, filter = (_: Parsed) => true) =>
      ns.tools
        .bridgeJson(`fdb show ${options}`)
        .filter(entry => entry.state !== '' && entry.state !== 'stale' && filter(entry))
        .map(entry => `${entry.ifname ?? 'a'} ${entry.mac}`)
        .toSorted()
    expect(await ours()).toEqual(theirs(''))
    // bridge(8) adds what the ports have in databases of their own.
    expect(await ours({ master: 'br0' })).toEqual(theirs('br br0', entry => entry.master || entry.ifname === 'br0'))
    expect(await ours({ link: 'a' })).toEqual(theirs('brport a'))
    expect(await ours({ link: 'a' })).toContain(`a ${MAC}`)
    expect(await ours({ link: 'a' })).not.toContain(`b ${OTHER}`)
  })
})

describe('of a VXLAN link', () => {
  const make = async ({ net, tools }: Namespace) => {
    await net.links.create({ kind: 'vxlan', name: 'vx', id: 7, dstPort: 4789, up: true })
    tools.ip('link add name low type veth')
  }

  test('with its destination', async ({ ns }) => {
    await make(ns)
    await ns.net.fdb.add({ lladdr: MAC, link: 'vx', self: true, dst: '192.0.2.9', port: 4790, vni: 77, via: 'low' })
    expect(entries(ns, 'dev vx')).toMatchObject([
      { mac: MAC, dst: '192.0.2.9', port: 4790, vni: 77, viaIf: 'low', flags: ['self'], state: 'permanent' }
    ])
    const [entry] = (await ns.net.fdb.list({ link: 'vx' })).filter(each => each.lladdr === MAC)
    expect([entry?.dst, entry?.port, entry?.vni, entry?.ifindex]).toEqual([
      '192.0.2.9',
      4790,
      77,
      ns.tools.link('low').ifindex
    ])
  })

  test('with several destinations', async ({ ns }) => {
    await make(ns)
    const flood = { lladdr: '00:00:00:00:00:00', link: 'vx', self: true }
    await ns.net.fdb.append({ ...flood, dst: '192.0.2.9' })
    await ns.net.fdb.append({ ...flood, dst: '192.0.2.10' })
    expect(entries(ns, 'dev vx', flood.lladdr).map(entry => entry.dst)).toEqual(['192.0.2.9', '192.0.2.10'])
    await ns.net.fdb.delete({ ...flood, dst: '192.0.2.9' })
    expect(entries(ns, 'dev vx', flood.lladdr).map(entry => entry.dst)).toEqual(['192.0.2.10'])
  })

  test('on a source identifier', async ({ ns }) => {
    await ns.net.links.create({ kind: 'vxlan', name: 'vx', dstPort: 4789, collectMetadata: true, up: true })
    await ns.net.fdb.add({ lladdr: MAC, link: 'vx', self: true, dst: '192.0.2.9', srcVni: 55 })
    expect(entries(ns, 'dev vx')).toMatchObject([{ dst: '192.0.2.9', src_vni: 55 }])
  })

  test('by a next hop object', async ({ ns }) => {
    await make(ns)
    ns.tools.ip('nexthop add id 12 via 192.0.2.9 fdb')
    ns.tools.ip('nexthop add id 102 group 12 fdb')
    await ns.net.fdb.add({ lladdr: MAC, link: 'vx', self: true, nhId: 102 })
    expect(entries(ns, 'dev vx')).toMatchObject([{ nhid: 102 }])
  })
})

test('of the device itself', async ({ ns }) => {
  ns.tools.ip('link add name low type veth')
  ns.tools.ip('link add link low name m type macvlan mode passthru')
  await ns.net.fdb.add({ lladdr: MAC, link: 'm', self: true })
  expect(entries(ns, 'dev m')).toMatchObject([{ flags: ['self'], state: 'permanent' }])
  await ns.net.fdb.delete({ lladdr: MAC, link: 'm', self: true })
  expect(entries(ns, 'dev m')).toEqual([])
})
