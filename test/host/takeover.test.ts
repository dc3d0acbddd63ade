/** A NIC goes into a bridge, or under a host peer, and back, with all that it has and under traffic. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { describe, expect, onTestFinished } from 'vitest'
import { planTakeover, type TakeoverOptions } from '../../lib/host/takeover/takeover.js'
import { Netlink } from '../../lib/index.js'
import { type Namespace, test } from '../support/namespace.js'
import { tempFolder } from '../tap/support/needs.js'
import { connect, NIC_ADDRESSES, PEER_ADDRESSES, settingsOf, stateOf } from './support/scene.js'
import { sendTo, serve } from './support/traffic.js'

const GUEST = ['link add name guest0 type veth peer name guest1', 'link set dev guest0 up', 'link set dev guest1 up']

/** Where to, and what has to be there before. */
const WAYS: Record<string, { options: TakeoverOptions; before: string[]; begins?: boolean }> = {
  'a new bridge': { options: { nic: 'eth0', bridge: 'br0' }, before: [] },
  'a bridge with a guest': {
    options: { nic: 'eth0', bridge: 'br0' },
    before: [
      'link add name br0 type bridge',
      'link set dev br0 up',
      'address add 10.55.0.9/24 scope link dev br0',
      ...GUEST,
      'link set dev guest0 master br0'
    ]
  },
  'a bridge without a port': {
    // With its first carrier the kernel begins IPv6 on it (ff00::/8), and does not end that.
    begins: true,
    options: { nic: 'eth0', bridge: 'br0' },
    before: [
      'link add name br0 address 02:00:00:00:0b:00 type bridge',
      'link set dev br0 addrgenmode none',
      'link set dev br0 up'
    ]
  },
  'a host peer': { options: { nic: 'eth0', hostPeer: 'peer0' }, before: [] }
}

async function prepare(ns: Namespace, other: Namespace, before: readonly string[]): Promise<void> {
  await connect(ns, other)
  for (const command of before) ns.tools.ip(command)
  // Of IPv6, and states of links.
  while (ns.tools.ip('-6 -o address show tentative').trim() !== '') await setTimeout(50)
}

const tables = ({ tools }: Namespace, link: string) => ({
  addresses: tools.ip(`-o address show dev ${link} scope global`).split('\n').length - 1,
  routes: ['', '-6 '].flatMap(family => {
    const all = tools.ip(`${family}route show table all`).split('\n')
    return all.filter(
      line => line.includes(`dev ${link} `) && !/proto kernel|^(local|broadcast|multicast|anycast)/.test(line)
    )
  }).length,
  rules: ['', '-6 '].flatMap(family =>
    tools
      .ip(`${family}rule show`)
      .split('\n')
      .filter(line => line.includes(link))
  ).length
})

describe.each(Object.entries(WAYS))('a NIC and %s', (_, { options, before, begins }) => {
  const name = options.bridge ?? options.hostPeer ?? ''

  test('all that it has goes there, and comes back as it was', async ({ ns, other }) => {
    await prepare(ns, other, before)
    const [state, settings] = [stateOf(ns), settingsOf(ns, 'eth0')]
    const had = tables(ns, 'eth0')
    const plan = await planTakeover(ns.net, options)
    expect(plan.conflicts).toEqual([])
    await plan.apply()
    expect([plan.status, plan.warnings.map(({ code }) => code)]).toEqual([
      'confirmed',
      expect.not.arrayContaining(['no-redirect'])
    ])
    expect(tables(ns, name)).toEqual(had)
    expect(tables(ns, 'eth0')).toEqual({ addresses: 0, routes: 0, rules: 0 })
    expect(String(ns.tools.link('eth0').master)).toBe(options.bridge ?? 'undefined')
    expect(ns.tools.ip('-o link show').match(/: lw/)).toBeNull()
    const again = await planTakeover(ns.net, options)
    expect(String(again)).toBe('')
    await plan.undo()
    if (!begins) expect(stateOf(ns)).toBe(state)
    expect(settingsOf(ns, 'eth0')).toEqual(settings)
  })

  test('loses no packet', { timeout: 60_000 }, async ({ ns, other }) => {
    await prepare(ns, other, before)
    await serve(ns.name, 7000, NIC_ADDRESSES)
    await serve(other.name, 7000, PEER_ADDRESSES)
    const outward = await sendTo(ns.name, 7000, PEER_ADDRESSES)
    const inward = await sendTo(other.name, 7000, NIC_ADDRESSES)
    for (let round = 0; round < 3; round++) {
      const plan = await planTakeover(ns.net, options)
      await plan.apply()
      await plan.undo()
    }
    const [sent, served] = [await outward(), await inward()]
    expect(sent).toMatchObject({ missing: [], errors: 0 })
    expect(served).toMatchObject({ missing: [], errors: 0 })
    expect(Math.min(sent.sent, served.sent)).toBeGreaterThan(1000)
  })
})

describe('what stands against it', () => {
  test('links on the NIC that have its frames', async ({ ns, other }) => {
    await connect(ns, other)
    ns.tools.ip('link add link eth0 name tap0 type macvtap mode bridge')
    const plan = await planTakeover(ns.net, { nic: 'eth0', bridge: 'br0' })
    expect(plan.conflicts).toMatchObject([{ code: 'upper-link', message: expect.stringMatching(/^tap0 \(macvtap\)/) }])
    const before = stateOf(ns)
    await expect(plan.apply()).rejects.toMatchObject({ code: 'ERR_CONFLICT', diagnosis: 'upper-link' })
    expect(stateOf(ns)).toBe(before)
    expect((await planTakeover(ns.net, { nic: 'eth0', hostPeer: 'peer0' })).conflicts).toEqual([])
  })

  test('a NIC that is a port, or down', async ({ ns, other }) => {
    await connect(ns, other)
    ns.tools.ip('link add name br1 type bridge')
    ns.tools.ip('link set dev eth0 master br1')
    ns.tools.ip('link set dev eth0 down')
    const codesOf = async (options: TakeoverOptions) =>
      (await planTakeover(ns.net, options)).conflicts.map(({ code }) => code)
    expect(await codesOf({ nic: 'eth0', bridge: 'br0' })).toEqual(['nic-down', 'already-a-port'])
    expect(await codesOf({ nic: 'br1', bridge: 'br0' })).toEqual(['nic-down', 'is-a-bridge'])
    expect(await codesOf({ nic: 'lo', bridge: 'br0' })).toEqual(['not-ethernet'])
    expect(await codesOf({ nic: 'eth0', bridge: 'br1' })).toEqual(['nic-down', 'already-a-port', 'bridge-down'])
  })

  test('a name that is taken, then and meanwhile', async ({ ns, other }) => {
    await connect(ns, other)
    const early = await planTakeover(ns.net, { nic: 'eth0', bridge: 'br0' })
    ns.tools.ip('link add name br0 type veth peer name p0')
    const codes = async (options: TakeoverOptions) =>
      (await planTakeover(ns.net, options)).conflicts.map(({ code }) => code)
    expect(await codes({ nic: 'eth0', bridge: 'br0' })).toEqual(['not-a-bridge'])
    expect(await codes({ nic: 'eth0', hostPeer: 'br0' })).toEqual(['name-taken'])
    const before = stateOf(ns)
    await expect(early.apply()).rejects.toMatchObject({ code: 'EEXIST' })
    expect(stateOf(ns)).toBe(before)
    expect(early.status).toBe('undone')
  })

  test('a bridge with an address of the same subnet', async ({ ns, other }) => {
    await connect(ns, other)
    ns.tools.ip('link add name br0 type bridge')
    ns.tools.ip('link set dev br0 up')
    ns.tools.ip('address add 192.0.2.9/24 dev br0')
    const { conflicts } = await planTakeover(ns.net, { nic: 'eth0', bridge: 'br0' })
    expect(conflicts).toMatchObject([{ code: 'route-collision', about: '192.0.2.0/24' }])
  })

  test('a bridge with STP', async ({ ns, other }) => {
    await connect(ns, other)
    ns.tools.ip('link add name br0 type bridge stp_state 1')
    ns.tools.ip('link set dev br0 up')
    const { conflicts, warnings } = await planTakeover(ns.net, { nic: 'eth0', bridge: 'br0' })
    expect(conflicts.map(({ code }) => code)).toEqual(['stp'])
    expect(warnings.map(({ code }) => code)).toContain('another-mac')
  })

  test.for([
    [{ nic: 'eth0' }, 'bridge'],
    [{ nic: 'eth0', bridge: 'br0', hostPeer: 'p' }, 'bridge'],
    [{ nic: 'eth0', bridge: 'a/b' }, 'bridge'],
    [{ nic: 'eth0', hostPeer: 'longer-than-15-bytes' }, 'hostPeer'],
    [{ nic: 'eth0', bridge: 'br0', force: true }, 'force']
  ])('wrong input: %o', async ([options, path], { ns }) => {
    const planned = planTakeover(ns.net, options as TakeoverOptions)
    await expect(planned).rejects.toMatchObject({ code: expect.stringMatching(/^ERR_INVALID_ARG/), path })
  })
})

describe('who else looks after the NIC', () => {
  /** Something that is called like a DHCP client, in a namespace. */
  function client(namespace: string, program: string, ...args: string[]): ChildProcess {
    const path = join(tempFolder(), program)
    writeFileSync(path, '#!/bin/sh\nwhile :; do sleep 0.2; done\n', { mode: 0o755 })
    const child = spawn('ip', ['netns', 'exec', namespace, path, ...args], { stdio: 'ignore' })
    onTestFinished(() => void child.kill('SIGKILL'))
    return child
  }

  const found = async (net: Netlink, nic: string) =>
    (await planTakeover(net, { nic, bridge: 'br0' })).conflicts.filter(({ code }) => code !== 'nic-down')

  test('a DHCP client, of this namespace and of this NIC', async ({ ns, other }) => {
    await connect(ns, other)
    client(other.name, 'dhclient', 'eth0')
    client(ns.name, 'dhclient', '-v', 'eth9')
    const child = client(ns.name, 'udhcpc', '-f')
    while ((await found(ns.net, 'eth0')).length === 0) await setTimeout(20)
    expect(await found(ns.net, 'eth0')).toMatchObject([
      { code: 'dhcp-client', message: expect.stringContaining(`udhcpc (process ${child.pid})`) }
    ])
  })

  test('NetworkManager and systemd-networkd, by what they keep below /run', async () => {
    await using net = await Netlink.open()
    const { index } = await net.links.create({ kind: 'veth', name: 'nic0', peer: { name: 'nic1' } })
    const folders = ['/run/NetworkManager/devices', '/run/systemd/netif/links']
    for (const folder of folders) mkdirSync(folder, { recursive: true })
    onTestFinished(() => {
      rmSync('/run/NetworkManager', { recursive: true })
      rmSync('/run/systemd/netif', { recursive: true })
    })
    writeFileSync(`${folders[0]}/${index}`, '[device]\nmanaged=false\n')
    writeFileSync(`${folders[1]}/${index}`, 'ADMIN_STATE=unmanaged\n')
    expect(await found(net, 'nic0')).toEqual([])
    writeFileSync(`${folders[0]}/${index}`, '[device]\nmanaged=true\nconnection-uuid=1\n')
    writeFileSync(`${folders[1]}/${index}`, 'ADMIN_STATE=configured\nNETWORK_FILE=/etc/systemd/network/a.network\n')
    expect((await found(net, 'nic0')).map(({ code }) => code)).toEqual(['network-manager', 'systemd-networkd'])
    await net.links.delete('nic0')
  })
})
