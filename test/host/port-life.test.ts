/** What is said of a port goes with that port: at once, after a crash, and never to the next one of its name or number. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, vi } from 'vitest'
import { GuestPorts, Tap } from '../../lib/index.js'
import { type Nft, test } from '../firewall/support/firewall.js'
import type { Namespace } from '../support/namespace.js'
import { attacks, honest, IPS, ME, VICTIM } from './support/attacks.js'
import { passes, portScene } from './support/port-scene.js'

const identity = { mac: ME.mac, ips: IPS }
const forged = attacks['source MAC of another'] as Buffer
const fine = honest['an ARP request'] as Buffer

/** Elements of a set as nft shows them. */
function elements(nft: Nft, set: string): unknown[] {
  const found = nft.json().find(({ set: a, map: b }) => (a ?? b)?.name === set)
  return (found?.set ?? found?.map)?.elem ?? []
}

async function openTap(ns: Namespace, name: string): Promise<Tap> {
  const tap = await Tap.open({ net: ns.net, name, master: 'br0', up: true })
  onTestFinished(() => tap.close())
  return tap
}

/** What could have been changed of the ports. */
function portsOf(ns: Namespace): unknown {
  return ns.tools.ipJson('link show').map(({ mtu, altnames, linkinfo }) => {
    const { learning, isolated, group_fwd_mask } = linkinfo?.info_slave_data ?? {}
    return { mtu, altnames, learning, isolated, group_fwd_mask }
  })
}

/** A veth by ip, which can ask for an ifindex. */
function addPersistent(ns: Namespace, name: string, index: number): void {
  ns.tools.ip(`link add name ${name} index ${index} type veth peer name peer-${name}`)
  for (const link of [name, `peer-${name}`]) ns.tools.ip(`link set dev ${link} up`)
  ns.tools.ip(`link set dev ${name} master br0`)
}

describe('with the port', () => {
  test('the rules are gone, and so is the table with the last port', async ({ ns, nft }) => {
    const { ports, guest } = await portScene(ns)
    const before = nft.list()
    await ports.set('vnet0', { antiSpoofing: identity })
    await ports.set('vnet1', { antiSpoofing: { mac: VICTIM.mac } })
    expect(elements(nft, 'ports')).toHaveLength(2)
    await guest.close()
    await vi.waitFor(() => expect(elements(nft, 'ports')).toHaveLength(1), 5000)
    for (const set of ['macs', 'any-ipv4', 'any-ipv6']) expect(elements(nft, set)).toHaveLength(1)
    for (const set of ['ipv4', 'ipv4-prefixes', 'ipv6', 'ipv6-prefixes']) expect(elements(nft, set)).toEqual([])
    await ports.set('vnet1', { antiSpoofing: null })
    expect(nft.list()).toBe(before)
    expect(ns.tools.link('vnet1').altnames).toBeUndefined()
  })

  test('also where it goes as the last thing before all is closed', async ({ ns, nft }) => {
    const { guest } = await portScene(ns)
    const before = nft.list()
    const ports = new GuestPorts(ns.net)
    await ports.set('vnet0', { antiSpoofing: identity, bandwidth: { outbound: { rate: '1mbit' } } })
    await guest.close()
    await ports.close()
    expect(nft.list()).toBe(before)
    expect(ns.tools.linkNames().filter(name => name.startsWith('ifb-'))).toEqual([])
  })

  test('another port of the name gets nothing of it, at no time', async ({ ns }) => {
    const { ports, guest, peer } = await portScene(ns)
    await ports.set('vnet0', { antiSpoofing: { mac: '52:54:00:77:77:77', ips: [] } })
    expect(passes(fine, guest, peer)).toBe(false)
    await guest.close()
    const next = await openTap(ns, 'vnet0')
    expect(passes(fine, next, peer)).toBe(true)
    expect((await ports.get('vnet0')).antiSpoofing).toBeUndefined()
  })

  test('a renamed port keeps it', async ({ ns }) => {
    const { ports, guest, peer } = await portScene(ns)
    await ports.set('vnet0', { antiSpoofing: identity })
    ns.tools.ip('link set dev vnet0 down')
    ns.tools.ip('link set dev vnet0 name renamed')
    ns.tools.ip('link set dev renamed up')
    const next = await openTap(ns, 'vnet0')
    expect([passes(forged, guest, peer), passes(fine, guest, peer), passes(forged, next, peer)]).toEqual([
      false,
      true,
      true
    ])
    expect((await ports.get('renamed')).antiSpoofing).toEqual({ mac: ME.mac, ips: expect.arrayContaining(IPS) })
  })

  test('a port that asks for the ifindex of one that is gone has none of it', async ({ ns, nft }) => {
    const { ports } = await portScene(ns)
    addPersistent(ns, 'old', 4711)
    await ports.set('old', { antiSpoofing: identity })
    expect(elements(nft, 'ports')).toHaveLength(1)
    ns.tools.ip('link del dev old')
    addPersistent(ns, 'new', 4711)
    await vi.waitFor(() => expect(nft.json()).toEqual([]), 5000)
    await ports.set('new', { antiSpoofing: { mac: VICTIM.mac } })
    expect(elements(nft, 'macs')).toEqual([{ concat: ['new', VICTIM.mac] }])
    expect((await ports.get('new')).antiSpoofing).toEqual({ mac: VICTIM.mac })
  })

  test('nor does it without anybody who watched', async ({ ns, nft }) => {
    const { ports } = await portScene(ns)
    addPersistent(ns, 'old', 4711)
    await ports.set('old', { antiSpoofing: identity })
    await ports.set('vnet1', { antiSpoofing: { mac: VICTIM.mac } })
    await ports.close()
    ns.tools.ip('link del dev old')
    addPersistent(ns, 'new', 4711)
    await using later = new GuestPorts(ns.net)
    expect((await later.get('new')).antiSpoofing).toBeUndefined()
    expect(elements(nft, 'ports')).toHaveLength(2)
    await later.set('new', { antiSpoofing: { mac: ME.mac, ips: [ME.ip] } })
    expect(elements(nft, 'ipv4')).toEqual([{ concat: ['new', ME.ip] }])
    expect(elements(nft, 'ipv4-prefixes')).toEqual([])
    expect(await later.removeOrphans()).toEqual({ antiSpoofing: [], bandwidth: [] })
  })
})

describe('after a crash', () => {
  test('guests stay guarded, and what is left of ports that are gone is removed', async ({ ns, nft }) => {
    const { peer } = await portScene(ns)
    const bystander = 'add table bridge others; add chain bridge others c'
    nft.run(bystander)
    const before = nft.list()
    const program = fileURLToPath(new URL('programs/guest-ports.mjs', import.meta.url))
    for (const name of ['stays', 'goes']) {
      ns.tools.ip(`link add name ${name} type veth peer name peer-${name}`)
      ns.tools.ip(`link set dev ${name} master br0`)
    }
    const child = spawn(process.execPath, [program, ns.path, 'stays', 'goes'], { stdio: ['ignore', 'pipe', 'inherit'] })
    onTestFinished(() => void child.kill('SIGKILL'))
    await once(child.stdout, 'data')
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
    expect(elements(nft, 'ports')).toHaveLength(2)
    const { index } = await ns.net.links.get('goes')
    ns.tools.ip('link del dev goes')

    await using ports = new GuestPorts(ns.net)
    const { antiSpoofing, bandwidth } = await ports.get('stays')
    expect(antiSpoofing).toEqual({ mac: ME.mac, ips: [ME.ip] })
    expect(bandwidth.outbound).toMatchObject({ rate: 1_000_000 })
    expect(await ports.removeOrphans()).toEqual({ antiSpoofing: [index], bandwidth: [`ifb-${index}`] })
    expect(elements(nft, 'ports')).toHaveLength(1)
    expect(await ports.removeOrphans()).toEqual({ antiSpoofing: [], bandwidth: [] })
    await ports.reset('stays')
    expect(nft.list()).toBe(before)
    expect(ns.tools.linkNames().filter(name => name.startsWith('ifb-'))).toEqual([])
    expect(peer.closed).toBe(false)
  })

  test('a ruleset that somebody flushed, or took rules from, is made again', async ({ ns, nft }) => {
    const { ports, arrives } = await portScene(ns)
    await ports.set('vnet0', { antiSpoofing: identity })
    await ports.set('vnet1', { antiSpoofing: { mac: VICTIM.mac } })
    const listed = () => nft.list().replaceAll(/counter packets \d+ bytes \d+/g, 'counter')
    const before = listed()
    for (const change of [
      'flush ruleset',
      'flush table bridge linkwright-ports',
      'delete element bridge linkwright-ports ports { vnet0 }'
    ]) {
      nft.run(change)
      await vi.waitFor(() => expect([arrives(forged), arrives(fine)]).toEqual([false, true]), 5000)
    }
    expect(listed()).toBe(before)
    await ports.set('vnet1', { antiSpoofing: null })
    await ports.close()
    nft.run('flush ruleset')
    // Who comes next knows nothing of it, and leaves nothing of it.
    await using later = new GuestPorts(ns.net)
    expect((await later.get('vnet0')).antiSpoofing).toBeUndefined()
    await later.set('vnet0', { antiSpoofing: null })
    const { altnames, linkinfo } = ns.tools.link('vnet0')
    expect([altnames, linkinfo.info_slave_data.group_fwd_mask]).toEqual([undefined, '0'])
  })
})

describe('while it is changed', () => {
  test('nothing passes that neither the old nor the new identity allows', async ({ ns }) => {
    const { ports, arrives } = await portScene(ns)
    const identities = [
      identity,
      { mac: ME.mac, ips: [ME.ip] },
      { mac: ME.mac },
      { mac: [ME.mac, '52:54:00:00:00:77'], ips: [] }
    ]
    await ports.set('vnet0', { antiSpoofing: identity })
    let passed = 0
    let sent = 0
    let done = false
    const flood = (async () => {
      while (!done) {
        if (arrives(forged)) passed++
        sent++
        await new Promise(setImmediate)
      }
    })()
    for (let round = 0; round < 40; round++) {
      await ports.set('vnet0', { antiSpoofing: identities[round % identities.length] })
    }
    done = true
    await flood
    expect(passed).toBe(0)
    expect(sent).toBeGreaterThan(100)
  })

  test('two managers of one port agree on what it has', async ({ ns }) => {
    const { arrives } = await portScene(ns)
    await using a = new GuestPorts(ns.net)
    await using b = new GuestPorts(ns.net)
    const other = { mac: ME.mac, ips: [ME.ip] }
    await Promise.all([a.set('vnet0', { antiSpoofing: identity }), b.set('vnet0', { antiSpoofing: other })])
    const has = await a.get('vnet0')
    expect([identity, other]).toContainEqual(has.antiSpoofing)
    expect(await b.removeOrphans()).toEqual({ antiSpoofing: [], bandwidth: [] })
    expect([arrives(forged), arrives(fine)]).toEqual([false, true])
    await a.set('vnet0', { antiSpoofing: null })
    expect(ns.tools.link('vnet0').altnames).toBeUndefined()
  })

  test('a port in another bridge is guarded as before', async ({ ns }) => {
    const { ports, arrives } = await portScene(ns)
    await ports.set('vnet0', { antiSpoofing: identity })
    const mask = () => ns.tools.link('vnet0').linkinfo.info_slave_data.group_fwd_mask
    const before = mask()
    ns.tools.ip('link add name br1 type bridge mcast_snooping 0')
    for (const command of ['br1 up', 'vnet0 master br1', 'vnet1 master br1']) ns.tools.ip(`link set dev ${command}`)
    await vi.waitFor(() => expect(mask()).toBe(before), 5000)
    expect([arrives(forged), arrives(fine)]).toEqual([false, true])
  })

  test('several managers at once lose nothing of each other', async ({ ns, nft }) => {
    await portScene(ns)
    const taps = await Tap.openMany(
      Array.from({ length: 12 }, (_, i) => ({ net: ns.net, name: `g${i}`, master: 'br0', up: true }))
    )
    const opened = taps.map(result => (result as PromiseFulfilledResult<Tap>).value)
    onTestFinished(() => Tap.closeMany(opened))
    const managers = [0, 1, 2].map(() => new GuestPorts(ns.net))
    onTestFinished(async () => void (await Promise.all(managers.map(each => each.close()))))
    const mac = (i: number) => `52:54:00:00:01:${String(i).padStart(2, '0')}`
    await Promise.all(
      opened.map((_, i) => managers[i % 3]?.set(`g${i}`, { antiSpoofing: { mac: mac(i), ips: [ME.ip] } }))
    )
    expect(elements(nft, 'ports')).toHaveLength(12)
    expect(elements(nft, 'macs')).toEqual(expect.arrayContaining(opened.map((_, i) => ({ concat: [`g${i}`, mac(i)] }))))
    const rules = nft.json().filter(({ rule }) => rule).length
    await managers[0]?.set('vnet0', { antiSpoofing: identity })
    expect(nft.json().filter(({ rule }) => rule)).toHaveLength(rules)
  })
})

test('a guest’s own kernel speaks over a guarded port: DAD, ARP, pings', async ({ ns, other }) => {
  const { ports } = await portScene(ns)
  ns.tools.ip('address add 192.0.2.1/24 dev br0')
  ns.tools.ip('address add 2001:db8::1/64 dev br0 nodad')
  ns.tools.ip(`link add name guest type veth peer name eth0 netns ${other.name}`)
  ns.tools.ip('link set dev guest master br0 up')
  await ports.set('guest', { antiSpoofing: { mac: ME.mac, ips: [ME.ip, ME.ip6] } })
  other.tools.ip(`link set dev eth0 address ${ME.mac} up`)
  other.tools.ip(`address add ${ME.ip}/24 dev eth0`)
  other.tools.ip(`address add ${ME.ip6}/64 dev eth0`)
  await vi.waitFor(() => expect(other.tools.ipJson('address show dev eth0 tentative')).toEqual([]), 10_000)
  const pings = (to: string, size = 56) => other.tools.can(`netns exec ${other.name} ping -c1 -W1 -s${size} ${to}`)
  expect([pings('192.0.2.1'), pings('2001:db8::1'), pings('192.0.2.1', 4000), pings('2001:db8::1', 4000)]).toEqual([
    true,
    true,
    true,
    true
  ])
  other.tools.ip('address add 192.0.2.66/24 dev eth0')
  other.tools.ip(`address del ${ME.ip}/24 dev eth0`)
  expect(pings('192.0.2.1')).toBe(false)
})

test('wrong input is refused, and nothing is changed', async ({ ns, nft }) => {
  const { ports } = await portScene(ns)
  const refused = async (settings: object, path: string, port = 'vnet0') =>
    await expect(ports.set(port, settings as never)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE', path })
  const before = portsOf(ns)
  await refused({ antiSpoofing: {} }, 'antiSpoofing.mac')
  await refused({ antiSpoofing: { mac: 'x' } }, 'antiSpoofing.mac')
  await refused({ antiSpoofing: { mac: '01:00:5e:00:00:01' } }, 'antiSpoofing.mac')
  await refused({ antiSpoofing: { mac: [ME.mac, 7] } }, 'antiSpoofing.mac[1]')
  await refused({ antiSpoofing: { mac: [] } }, 'antiSpoofing.mac')
  await refused({ antiSpoofing: { mac: ME.mac, ips: '192.0.2.1' } }, 'antiSpoofing.ips')
  await refused({ antiSpoofing: { mac: ME.mac, ips: ['192.0.2.1', '192.0.2.1/24'] } }, 'antiSpoofing.ips[1]')
  await refused({ antiSpoofing: { mac: ME.mac, ips: ['fe80::1%br0'] } }, 'antiSpoofing.ips[0]')
  await refused({ antiSpoofing: { mac: ME.mac, router: 1 } }, 'antiSpoofing.router')
  await refused({ antiSpoofing: { mac: ME.mac, dhcp: true } }, 'antiSpoofing.dhcp')
  await refused({ isolated: 1 }, 'isolated')
  await refused({ mtu: 'x' }, 'mtu')
  await refused({ staticFdb: [] }, 'staticFdb')
  await refused({ isolated: true, antiSpoofing: identity }, 'port', 'br0')
  await refused({ speed: 1 }, 'speed')
  await expect(ports.set('nobody', { isolated: true })).rejects.toMatchObject({ code: 'ENODEV' })
  expect(portsOf(ns)).toEqual(before)
  expect(nft.json()).toEqual([])
})
