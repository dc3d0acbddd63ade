/** Guests' ports of a spec: planned, applied, compared with the kernel, changed and undone. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect } from 'vitest'
import { type GuestPortSpec, GuestPorts, Macvtap, type NetworksSpec, SavedPlan, Tap } from '../../lib/index.js'
import { loadSpec } from '../../lib/spec/index.js'
import { obtain } from '../support/dhcp-client.js'
import { eventually, whyNoDnsmasq } from '../support/dnsmasq.js'
import { has } from '../support/features.js'
import { GuestStack } from '../support/guest-stack.js'
import { holdElsewhere } from '../support/holding.js'
import type { Namespace } from '../support/namespace.js'
import { tempFolder } from '../tap/support/needs.js'
import { reaches, type Scene, test } from './support/network.js'

const PROGRAM = fileURLToPath(new URL('programs/networks.mjs', import.meta.url))
const MAC = '52:54:00:00:00:07'
const OTHER = '52:54:00:00:00:08'

const withPort = (port: Partial<GuestPortSpec>, network = {}): NetworksSpec => ({
  networks: { virbr0: { kind: 'isolated', mtu: 1400, ...network } },
  ports: { vnet0: { network: 'virbr0', ...port } }
})

const FULL = withPort({
  mac: MAC,
  uid: 54321,
  gid: 54322,
  vnetHeader: true,
  antiSpoofing: { ips: ['192.0.2.7', '198.51.100.0/24', '2001:db8::7'] },
  isolated: true,
  staticFdb: true,
  bandwidth: { inbound: { rate: '10mbit' }, outbound: { rate: '5mbit' } }
})

const slave = ({ tools }: Namespace, name = 'vnet0') => tools.link(name).linkinfo.info_slave_data

/** What a port has, seen by others; without what is counted. */
function portState({ tools }: Namespace, name = 'vnet0'): string {
  const ports = tools.ipJson('link show').filter(({ ifname }) => ifname === name || ifname.startsWith('ifb-'))
  const lines = [
    JSON.stringify(ports, (key, value) =>
      /stats64|_timer$|carrier_.*count|carrier_changes/.test(key) ? undefined : value
    ),
    tools.bridge(`fdb show brport ${name}`).split('\n').sort().join('\n'),
    tools.bridge(`vlan show dev ${name}`),
    ...ports.flatMap(({ ifname }) => [
      tools.tc(`qdisc show dev ${ifname}`),
      tools.tc(`class show dev ${ifname}`),
      tools.tc(`filter show dev ${ifname} ingress`)
    ]),
    tools.exec('nft', '-s', 'list', 'ruleset'),
    tools.exec('cat', `/proc/sys/net/ipv6/conf/${name}/disable_ipv6`)
  ]
  return lines.join('\n')
}

const names = (plan: { steps: readonly { name: string }[] }) => plan.steps.map(({ name }) => name)

async function changed(scene: Scene, spec: NetworksSpec, steps: string[]): Promise<void> {
  const before = portState(scene.host)
  const plan = await scene.plan(spec)
  expect(names(plan)).toEqual(steps)
  await plan.apply()
  expect(portState(scene.host)).not.toBe(before)
  expect(String(await scene.plan(spec))).toBe('')
  await plan.undo()
  expect(portState(scene.host)).toBe(before)
}

describe('a TAP of the plan', () => {
  test('is as the spec says, by iproute2; the second plan is empty; undone, nothing is left', async ({ scene }) => {
    const { host } = scene
    const before = scene.state()
    const plan = await scene.plan(FULL)
    expect([plan.conflicts, plan.warnings]).toEqual([[], []])
    expect(names(plan)).toEqual(['bridge', 'firewall', 'taps', 'anti-spoofing', 'port', 'bandwidth', 'up'])
    await plan.apply()
    expect(host.tools.link('vnet0')).toMatchObject({
      address: 'fe:54:00:00:00:07',
      mtu: 1400,
      master: 'virbr0',
      flags: expect.arrayContaining(['UP']),
      linkinfo: { info_kind: 'tun', info_data: { type: 'tap', persist: true, user: 54321, group: 54322 } }
    })
    expect(slave(host)).toMatchObject({ isolated: true, learning: false, flood: false, group_fwd_mask: '0xfffd' })
    expect(host.tools.exec('cat', '/proc/sys/net/ipv6/conf/vnet0/disable_ipv6').trim()).toBe('1')
    expect(
      host.tools.bridgeJson('fdb show brport vnet0').filter(({ mac, vlan }) => mac === MAC && !vlan)
    ).toMatchObject([{ state: 'static', flags: expect.arrayContaining(['sticky']) }])
    expect(await host.net.bandwidth.get('vnet0')).toMatchObject({
      inbound: { rate: 10_000_000 },
      outbound: { rate: 5_000_000 }
    })
    await using ports = new GuestPorts(host.net)
    expect((await ports.get('vnet0')).antiSpoofing).toEqual({
      mac: MAC,
      ips: ['192.0.2.7', '198.51.100.0/24', '2001:db8::7']
    })
    expect(String(await scene.plan(FULL))).toBe('')
    await plan.undo()
    expect(scene.state()).toBe(before)
  })

  test('reads like commands', async ({ scene }) => {
    const plan = await scene.plan(FULL)
    const commands = String(plan)
      .split('\n')
      .filter(line => !/^nft '(add|create) (rule|chain|set|map|table)|virbr0 |index/.test(line))
    expect(commands.map(line => line.replace(/[0-9a-f]{16}|\d{6,}/g, 'N'))).toMatchInlineSnapshot(`
      [
        "sysctl -qw net/ipv6/conf/virbr0/disable_ipv6=1",
        "ip tuntap add dev vnet0 mode tap user 54321 group 54322 vnet_hdr",
        "ip link set dev vnet0 address fe:54:00:00:00:07 mtu 1400 group N alias linkwright:network-virbr0",
        "sysctl -qw net/ipv6/conf/vnet0/disable_ipv6=1",
        "ip link property add dev vnet0 altname linkwright-port-N",
        "nft 'add element bridge linkwright-ports ports { vnet0 comment "linkwright-port-N" : goto guest }'",
        "nft 'add element bridge linkwright-ports macs { vnet0 . 52:54:00:00:00:07 }'",
        "nft 'add element bridge linkwright-ports ipv4 { vnet0 . 192.0.2.7 }'",
        "nft 'add element bridge linkwright-ports ipv4-prefixes { vnet0 . 198.51.100.0/24 }'",
        "nft 'add element bridge linkwright-ports ipv6 { vnet0 . 2001:db8::7, vnet0 . fe80::5054:ff:fe00:7 }'",
        "ip link set dev vnet0 master virbr0",
        "bridge fdb replace 52:54:00:00:00:07 dev vnet0 master static sticky",
        "bridge link set dev vnet0 isolated on learning off flood off",
        "ip link set dev vnet0 type bridge_slave group_fwd_mask 65533",
        "ip link add name ifb-N type ifb && ip link set dev ifb-N alias 'linkwright:linkwright.bandwidth outbound of vnet0' up",
        "tc qdisc add dev ifb-N root handle 6c77: htb default 1",
        "tc class add dev ifb-N parent 6c77: classid 6c77:1 htb rate 5mbit ceil 5mbit burst 12500b cburst 12500b quantum 60000",
        "tc qdisc add dev ifb-N parent 6c77:1 handle 6c78: fq_codel target 5000us interval Nus memory_limit Nb || tc qdisc add dev ifb-N parent 6c77:1 handle 6c78: bfifo limit 70000b",
        "tc qdisc add dev vnet0 handle ffff: ingress",
        "tc filter add dev vnet0 ingress protocol all pref 27767 u32 match u32 0 0 at -4 action mirred egress redirect dev ifb-N",
        "tc qdisc add dev vnet0 root handle 6c77: htb default 1",
        "tc class add dev vnet0 parent 6c77: classid 6c77:1 htb rate 10mbit ceil 10mbit burst 25000b cburst 25000b quantum 60000",
        "tc qdisc add dev vnet0 parent 6c77:1 handle 6c78: fq_codel target 5000us interval Nus memory_limit Nb || tc qdisc add dev vnet0 parent 6c77:1 handle 6c78: bfifo limit Nb",
        "ip link set dev vnet0 up",
      ]
    `)
  })

  test('is opened by name while it is there, and then not taken away under its guest', async ({ scene }) => {
    const { host } = scene
    const before = scene.state()
    const plan = await scene.apply(withPort({ mac: MAC }))
    const guest = await holdElsewhere(host.name, ['vnet0'])
    expect(String(await scene.plan(withPort({ mac: MAC })))).toBe('')
    await expect(plan.undo()).rejects.toMatchObject({ code: 'EBUSY', link: 'vnet0', message: /end it first/ })
    await guest.release()
    await plan.undo()
    expect(scene.state()).toBe(before)
  })

  test('comes to a bridge that takes a NIC over, with its MTU', async ({ scene }) => {
    const { host } = scene
    host.tools.ip('link set dev eth0 mtu 1450')
    const before = scene.state()
    const spec: NetworksSpec = {
      networks: { br0: { kind: 'bridge', ports: ['eth0'], takeover: true } },
      ports: { vnet0: { network: 'br0', antiSpoofing: { mac: MAC } } }
    }
    const plan = await scene.apply(spec)
    expect(host.tools.link('vnet0')).toMatchObject({ master: 'br0', mtu: 1450 })
    expect(String(await scene.plan(spec))).toBe('')
    await plan.undo()
    expect(scene.state()).toBe(before)
  })

  test('of several, all are made at once', async ({ scene }) => {
    const before = scene.state()
    const ports = Object.fromEntries(
      Array.from({ length: 8 }, (_, at) => [
        `vnet${at}`,
        { network: 'virbr0', mac: `52:54:00:00:01:0${at}`, antiSpoofing: { ips: [`192.0.2.${at}`] } }
      ])
    )
    const spec = { ...withPort({}), ports }
    const plan = await scene.apply(spec)
    expect(names(plan).filter(name => name === 'taps')).toHaveLength(1)
    expect(scene.host.tools.ipJson('link show master virbr0')).toHaveLength(8)
    expect(String(await scene.plan(spec))).toBe('')
    await plan.undo()
    expect(scene.state()).toBe(before)
  })
})

describe('what differs is changed alone, and comes back', () => {
  const port = FULL.ports?.['vnet0'] as GuestPortSpec

  test.for<[string, Partial<GuestPortSpec>, string[]]>([
    ['another identity', { antiSpoofing: { mac: OTHER, ips: ['192.0.2.8'], dhcpServer: true } }, ['anti-spoofing']],
    ['no identity', { antiSpoofing: null }, ['anti-spoofing', 'port']],
    ['no isolation', { isolated: false }, ['port']],
    ['other forwarding entries', { staticFdb: [OTHER, '52:54:00:00:00:09'] }, ['port']],
    ['learning', { staticFdb: null }, ['port']],
    ['another rate', { bandwidth: { inbound: { rate: '20mbit', burst: '1mb' } } }, ['bandwidth']],
    ['another rate of what the guest sends', { bandwidth: { outbound: { rate: '7mbit' } } }, ['bandwidth']],
    ['no limits', { bandwidth: null }, ['bandwidth']],
    ['another MTU', { mtu: 1300 }, ['mtu']],
    [
      'another MAC address',
      { mac: OTHER, antiSpoofing: { mac: MAC, ...port.antiSpoofing }, staticFdb: MAC },
      ['address']
    ],
    ['IPv6 of the host', { ipv6: true }, ['ipv6']]
  ])('%s', async ([, other, steps], { scene }) => {
    await scene.apply(FULL)
    await changed(scene, withPort({ ...port, ...other }), steps)
  })

  test('and what is left out stays, as do ports that are not in the spec', async ({ scene }) => {
    await scene.apply(FULL)
    const before = portState(scene.host)
    expect(String(await scene.plan(withPort({})))).toBe('')
    expect(String(await scene.plan({ networks: FULL.networks }))).toBe('')
    expect(portState(scene.host)).toBe(before)
  })

  test('VLANs', async ({ scene, skip }) => {
    if (!has('vlanFiltering')) skip('this kernel’s bridge does not filter VLANs')
    const filtering = { vlanFiltering: true }
    const before = scene.state()
    const plan = await scene.apply(withPort({ mac: MAC, staticFdb: true, vlans: { untagged: 10 } }, filtering))
    const vlans = () =>
      scene.host.tools.bridgeJson('vlan show dev vnet0')[0].vlans.map(({ vlan }: { vlan: number }) => vlan)
    expect(vlans()).toEqual([10])
    const trunk = { untagged: 20, tagged: [10, '100-102'] }
    await changed(scene, withPort({ mac: MAC, staticFdb: true, vlans: trunk }, filtering), ['port'])
    await changed(scene, withPort({ mac: MAC, staticFdb: true, vlans: null }, filtering), ['port'])
    expect(vlans()).toEqual([10])
    await plan.undo()
    expect(scene.state()).toBe(before)
  })
})

describe('a TAP that is there', () => {
  const SPEC = withPort({
    mac: MAC,
    antiSpoofing: { ips: [] },
    isolated: true,
    staticFdb: MAC,
    bandwidth: { outbound: { rate: '5mbit' } }
  })

  test('of a running guest is attached, and let go, and may be gone by then', async ({ scene }) => {
    const { host } = scene
    await scene.apply({ networks: SPEC.networks })
    await using tap = await Tap.open({ net: host.net, name: 'vnet0', up: true, ipv6: false })
    const before = portState(host)
    const stateFile = join(tempFolder(), 'state')
    const plan = await scene.apply(SPEC)
    expect(slave(host)).toMatchObject({ isolated: true, learning: false })
    expect(String(await scene.plan(SPEC))).toBe('')
    await plan.undo()
    expect(portState(host)).toBe(before)
    await scene.apply(SPEC, { stateFile })
    await tap.close()
    await (await SavedPlan.load(host.net, stateFile)).undo()
    expect(host.tools.linkNames().sort()).toEqual(['eth0', 'lo', 'virbr0'])
    expect(host.tools.exec('nft', 'list', 'ruleset')).not.toContain(MAC)
  })

  test('has its cable pulled out, and plugged in', async ({ scene }) => {
    const { host } = scene
    await scene.apply(withPort({ carrier: true }))
    const guest = await holdElsewhere(host.name, ['vnet0'])
    const link = () => host.net.links.get('vnet0')
    const plan = await scene.plan(withPort({ carrier: false }))
    expect(String(plan)).toBe('ip link set dev vnet0 carrier off')
    await plan.apply()
    expect((await link()).carrier).toBe(false)
    expect(String(await scene.plan(withPort({ carrier: false })))).toBe('')
    expect(String(await scene.plan(withPort({ carrier: true })))).toBe('ip link set dev vnet0 carrier on')
    await plan.undo()
    expect((await link()).carrier).toBe(true)
    await guest.release()
    expect(String(await scene.plan(withPort({ carrier: true })))).toBe('')
  })

  test('stays up while it is attached', async ({ scene }) => {
    const { host } = scene
    await using _ = await Tap.open({ net: host.net, name: 'vnet0', up: true, ipv6: false })
    const plan = await scene.plan(SPEC)
    expect(String(plan)).not.toMatch(/vnet0 (down|up)/)
  })

  test('of others, of another kind, or made otherwise is a conflict', async ({ scene }) => {
    const { host } = scene
    const codes = async (port: Partial<GuestPortSpec>) =>
      (await scene.plan(withPort(port))).conflicts.map(each => each.code)
    host.tools.ip('link add name vnet0 type veth peer name peer')
    expect(await codes({})).toEqual(['name-taken'])
    host.tools.ip('link del dev vnet0')
    host.tools.ip('tuntap add dev vnet0 mode tun')
    expect(await codes({})).toEqual(['name-taken'])
    host.tools.ip('link del dev vnet0')
    host.tools.ip('tuntap add dev vnet0 mode tap user 7')
    expect(await codes({ uid: 7 })).toEqual([])
    expect(await codes({ uid: 8 })).toEqual(['tap-differs'])
    expect(await codes({ multiQueue: true })).toEqual(['tap-differs'])
    host.tools.ip('link add name br9 type bridge')
    host.tools.ip('link set dev vnet0 master br9')
    expect(await codes({})).toEqual(['already-a-port'])
    host.tools.ip('link set dev vnet0 nomaster')
    host.tools.tc('qdisc add dev vnet0 root handle 1: htb')
    expect(await codes({ bandwidth: { inbound: { rate: '1mbit' } } })).toEqual(['qdisc-taken'])
    host.tools.exec('nft', 'add', 'table', 'bridge', 'linkwright-ports')
    expect(await codes({ antiSpoofing: { mac: MAC } })).toEqual(['table-taken'])
    expect(await codes({})).toEqual([])
  })
})

test('entries of other ports stay in the table when a plan that made it is undone', async ({ scene }) => {
  const { host } = scene
  const plan = await scene.apply(withPort({ mac: MAC, antiSpoofing: { ips: ['192.0.2.7', '192.0.2.8'] } }))
  host.tools.ip('link add name br9 type bridge')
  host.tools.ip('link add name other type veth peer name peer')
  host.tools.ip('link set dev other master br9')
  await using ports = new GuestPorts(host.net)
  await ports.set('other', { antiSpoofing: { mac: OTHER, ips: ['192.0.2.0/25'] } })
  // What is gone already does not keep the rest.
  host.tools.exec('nft', 'delete', 'element', 'bridge', 'linkwright-ports', 'ipv4', '{ vnet0 . 192.0.2.7 }')
  await plan.undo()
  expect(await ports.get('other')).toMatchObject({ antiSpoofing: { mac: OTHER, ips: ['192.0.2.0/25'] } })
  expect(host.tools.exec('nft', 'list', 'ruleset')).not.toMatch(new RegExp(`${MAC}|192\\.0\\.2\\.8`))
  await ports.set('other', { antiSpoofing: null })
  expect(host.tools.exec('nft', 'list', 'ruleset')).toBe('')
})

test('entries that were changed meanwhile are put right, and undone', async ({ scene }) => {
  const { host } = scene
  const before = scene.state()
  const plan = await scene.apply(withPort({ mac: MAC, antiSpoofing: { ips: ['192.0.2.7', '192.0.2.8'] } }))
  host.tools.exec('nft', 'delete', 'element', 'bridge', 'linkwright-ports', 'ipv4', '{ vnet0 . 192.0.2.7 }')
  expect(names(await scene.plan(withPort({ mac: MAC, antiSpoofing: { ips: ['192.0.2.7', '192.0.2.8'] } })))).toEqual([
    'anti-spoofing'
  ])
  await plan.undo()
  expect(scene.state()).toBe(before)
})

test('given up at any step, nothing is left', async ({ scene }) => {
  const before = scene.state()
  const all = names(await scene.plan(FULL))
  for (const at of all.keys()) {
    const controller = new AbortController()
    const onProgress = ({ number }: { number: number }) => number === at && controller.abort(new Error('enough'))
    const plan = await scene.plan(FULL)
    await expect(plan.apply({ signal: controller.signal, onProgress }), all[at]).rejects.toThrow('enough')
    expect(scene.state(), all[at]).toBe(before)
  }
})

test('what the kernel refuses in the middle takes back what was done', async ({ scene }) => {
  const { host } = scene
  const before = scene.state()
  const ports = {
    vnet0: FULL.ports?.['vnet0'] as GuestPortSpec,
    vnet1: { network: 'virbr0', mtu: 65535, carrier: false }
  }
  const plan = await scene.plan({ ...FULL, ports })
  // Somebody else is faster.
  host.tools.ip('tuntap add dev vnet1 mode tap')
  await expect(plan.apply()).rejects.toMatchObject({ code: 'EBUSY', link: 'vnet1' })
  host.tools.ip('link del dev vnet1')
  expect(scene.state()).toBe(before)
})

test('undone by a later process, and by the guard after SIGKILL', async ({ scene }) => {
  const { host, runtimeDirectory } = scene
  const before = scene.state()
  const stateFile = join(tempFolder(), 'state')
  await scene.apply(FULL, { stateFile })
  const commands = JSON.parse(readFileSync(stateFile, 'utf8')).back.map(({ command }: { command: string }) => command)
  const at = (what: string) => commands.findIndex((command: string) => command.includes(what))
  // Nobody is let loose before it is cut off.
  expect([at('ip link set dev vnet0 down') >= 0, at('nft'), at('ip link del dev vnet0')]).toEqual([
    true,
    at('ip link set dev vnet0 down') + 2,
    at('ip link del dev vnet0')
  ])
  await (await SavedPlan.load(host.net, stateFile)).undo()
  expect(scene.state()).toBe(before)
  const file = join(tempFolder(), 'killed')
  const args = [PROGRAM, host.path, file, runtimeDirectory, JSON.stringify(FULL)]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit'] })
  const [, signal] = await once(child, 'close')
  expect(signal).toBe('SIGKILL')
  const outcome = () => {
    try {
      return readFileSync(`${file}.outcome`, 'utf8')
    } catch {
      return ''
    }
  }
  expect(await eventually(() => outcome() === 'restored died -\n')).toBe(true)
  expect(scene.state()).toBe(before)
})

describe('a macvtap', () => {
  const direct = (mode: string, port: Partial<GuestPortSpec> = {}): NetworksSpec => ({
    networks: { lan0: { kind: 'direct', link: 'eth0', mode: mode as 'vepa' } },
    ports: { mt0: { network: 'lan0', mac: MAC, ...port } }
  })

  test.for(['bridge', 'private', 'vepa', 'passthru', 'source'])('in mode %s', async (mode, { scene, skip }) => {
    if (!has('macvtap')) skip('this kernel has no macvtap')
    const { host } = scene
    const before = scene.state()
    const spec = direct(mode, {
      mtu: 1400,
      bandwidth: { inbound: { rate: '10mbit' }, outbound: { rate: '5mbit' } },
      ...(mode === 'source' ? { sources: [OTHER] } : {})
    })
    const plan = await scene.apply(spec)
    expect(host.tools.link('mt0')).toMatchObject({
      address: MAC,
      mtu: 1400,
      link: 'eth0',
      flags: expect.arrayContaining(['UP']),
      linkinfo: { info_kind: 'macvtap', info_data: { mode } }
    })
    expect(host.tools.link('eth0').address === MAC).toBe(mode === 'passthru')
    expect(host.tools.exec('cat', '/proc/sys/net/ipv6/conf/mt0/disable_ipv6').trim()).toBe('1')
    expect(await host.net.bandwidth.get('mt0')).toMatchObject({
      inbound: { rate: 10_000_000 },
      outbound: { rate: 5_000_000 }
    })
    expect(String(await scene.plan(spec))).toBe('')
    await plan.undo()
    expect(scene.state()).toBe(before)
  })

  test('is changed where it may be', async ({ scene, skip }) => {
    if (!has('macvtap')) skip('this kernel has no macvtap')
    const { host } = scene
    await scene.apply(direct('source', { sources: [OTHER] }))
    const before = host.tools.ip('-d link show dev mt0')
    const spec = direct('source', { sources: [MAC, OTHER], mtu: 1300, mac: '52:54:00:00:00:0a' })
    const plan = await scene.plan(spec)
    expect(names(plan)).toEqual(['sources', 'mtu', 'address'])
    await plan.apply()
    expect(String(await scene.plan(spec))).toBe('')
    await plan.undo()
    expect(host.tools.ip('-d link show dev mt0')).toBe(before)
    const other = await scene.plan(direct('vepa'))
    expect(names(other)).toEqual(['mode'])
    expect((await scene.plan(direct('passthru'))).conflicts.map(({ code }) => code)).toContain('macvtap-differs')
    expect((await scene.plan(direct('source', { mtu: 9000 }))).conflicts.map(({ code }) => code)).toEqual(['mtu'])
    host.tools.ip('link del dev mt0')
    host.tools.ip('link add name mt0 type veth peer name peer')
    expect((await scene.plan(direct('vepa'))).conflicts.map(({ code }) => code)).toEqual(['name-taken'])
  })

  test('brings its NIC up, and leaves it as it was', async ({ scene, skip }) => {
    if (!has('macvtap')) skip('this kernel has no macvtap')
    const { host } = scene
    host.tools.ip('link add name nic0 type veth peer name nic1')
    for (const up of ['up', 'down']) host.tools.ip(`link set dev nic0 ${up}`)
    const before = scene.state()
    const ports = { a0: { network: 'lan0' }, a1: { network: 'lan0' } }
    const spec: NetworksSpec = { networks: { lan0: { kind: 'direct', link: 'nic0', mode: 'bridge' } }, ports }
    const plan = await scene.apply(spec)
    expect(names(plan)).toEqual(['nic', 'macvtap', 'up', 'macvtap', 'up'])
    await plan.undo()
    expect(scene.state()).toBe(before)
  })
})

describe('the spec files', () => {
  const load = (name: string) => loadSpec(fileURLToPath(new URL(`specs/${name}.yaml`, import.meta.url)))

  test('guest-ports: a guest on a TAP that it opens by name gets its address, and no other one', async ({
    scene,
    skip
  }) => {
    const reason = whyNoDnsmasq()
    if (reason) skip(reason)
    const { host } = scene
    const before = scene.state()
    const spec = await load('guest-ports')
    const plan = await scene.apply(spec)
    {
      await using tap = await Tap.open({ net: host.net, name: 'vnet0', exclusive: false, vnetHeader: false })
      using guest = new GuestStack(tap, MAC)
      // The kernel takes its time to see the carrier.
      expect(await eventually(() => slave(host).state === 'forwarding')).toBe(true)
      expect((await obtain(guest)).address).toBe('192.168.122.7')
      guest.ip = '192.168.122.7'
      expect(await reaches(host, '192.168.122.7')).toBe(true)
      guest.ip = '192.168.122.8'
      expect(await reaches(host, '192.168.122.8')).toBe(false)
      expect(String(await scene.plan(spec))).toBe('')
    }
    await plan.undo()
    expect(scene.state()).toBe(before)
  })

  test('macvtap-ports: guests on the NIC reach the outside', async ({ scene, skip }) => {
    if (!has('macvtap')) skip('this kernel has no macvtap')
    const { host, outside } = scene
    const before = scene.state()
    const spec = await load('macvtap-ports')
    const plan = await scene.apply(spec)
    {
      await using tap = await Macvtap.open('macvtap0', { net: host.net, vnetHeader: false })
      using guest = new GuestStack(tap as never, MAC)
      guest.ip = '203.0.113.10'
      expect(await reaches(outside, '203.0.113.10')).toBe(true)
      await expect(plan.undo()).rejects.toMatchObject({ code: 'EBUSY', link: 'macvtap0' })
    }
    await plan.undo()
    expect(scene.state()).toBe(before)
  })
})
