/** What bridges and their ports report of themselves, and their actions. */
import { describe, expect } from 'vitest'
import { type Seen, see } from '../support/attribute-cases.js'
import { atLeast } from '../support/features.js'
import { type Namespace, test } from '../support/namespace.js'
import { LINK_DATA, PORT_DATA } from '../support/raw-netlink.js'

/** Two bridges with the spanning tree on; `leaf` reaches `root` by its port `leaf-up`. */
async function spanningTree({ net }: Namespace): Promise<void> {
  const common = { kind: 'bridge', stp: true, helloTime: 100, forwardDelay: 200, maxAge: 600, up: true } as const
  await net.links.create({ ...common, name: 'root', priority: 0x1000 })
  await net.links.create({ ...common, name: 'leaf', priority: 0x2000 })
  await net.links.create({
    kind: 'veth',
    name: 'leaf-up',
    master: 'leaf',
    up: true,
    port: { cost: 7 },
    peer: { name: 'root-down', master: 'root', up: true }
  })
}

const id = (value: { priority: number; address: string } | undefined) =>
  value && `${value.priority.toString(16).padStart(4, '0')}.${value.address.replaceAll(':', '')}`

/** Hundredths of a second, and seconds as iproute2 says it; both run while we look. */
const timersAgree = (ours: bigint | undefined, theirs: number) => {
  expect(ours).toBeTypeOf('bigint')
  expect(Math.abs(Number(ours) / 100 - theirs)).toBeLessThan(2)
}

describe('state of a bridge', () => {
  test('the spanning tree', async ({ ns }) => {
    await spanningTree(ns)
    await expect
      .poll(() => ns.tools.link('leaf').linkinfo.info_data.root_port, { timeout: 20_000, interval: 250 })
      .toBe(1)
    const { data: theirs } = await see(ns, 'leaf')
    const link = await ns.net.links.get('leaf')
    if (!link.is('bridge')) throw new Error('no bridge')
    const { data } = link
    // iproute2 6.1 prints the bridge's own id as that of the root.
    expect(id(data.rootId)).toBe(ns.tools.sysfs('leaf/bridge/root_id'))
    expect(id(data.bridgeId)).toBe(ns.tools.sysfs('leaf/bridge/bridge_id'))
    expect(data.rootId).not.toEqual(data.bridgeId)
    expect([data.rootPort, data.rootPathCost]).toEqual([theirs.root_port, theirs.root_path_cost])
    expect(data.rootPathCost).toBe(7)
    timersAgree(data.helloTimer, theirs.hello_timer)
    timersAgree(data.tcnTimer, theirs.tcn_timer)
    timersAgree(data.topologyChangeTimer, theirs.topology_change_timer)
    expect(Math.abs(Number(data.gcTimer) / 100 - theirs.gc_timer)).toBeLessThan(3)
  })

  test('a change of topology', async ({ ns }) => {
    await spanningTree(ns)
    await expect
      .poll(() => ns.tools.link('root').linkinfo.info_data.topology_change, { timeout: 25_000, interval: 200 })
      .toBe(1)
    const link = await ns.net.links.get('root')
    if (!link.is('bridge')) throw new Error('no bridge')
    const { data: theirs } = await see(ns, 'root')
    expect([link.data.topologyChange, link.data.topologyChangeDetected]).toEqual([
      theirs.topology_change === 1,
      theirs.topology_change_detected === 1
    ])
    expect(Number(link.data.topologyChangeTimer)).toBeGreaterThan(0)
    timersAgree(link.data.topologyChangeTimer, theirs.topology_change_timer)
  })

  test('the multicast querier', async ({ ns }) => {
    await ns.net.links.create({
      kind: 'bridge',
      name: 'br0',
      up: true,
      mcastQuerier: true,
      mcastQueryUseIfaddr: true,
      mcastStartupQueryInterval: 100
    })
    await ns.net.addresses.add({ address: '192.0.2.1/24', link: 'br0' })
    const state = async () => {
      const link = await ns.net.links.get('br0')
      return link.is('bridge') ? link.data.mcastQuerierState : undefined
    }
    await expect.poll(async () => (await state())?.ipAddress, { timeout: 20_000, interval: 250 }).toBe('192.0.2.1')
    const raw = await (await see(ns, 'br0')).raw(...LINK_DATA, 47, 1)
    expect(raw?.join('.')).toBe('192.0.2.1')
    expect((await state())?.unknown).toEqual([])
  })

  test('learned addresses are counted', async ({ ns, skip }) => {
    if (!atLeast('6.7')) skip('this kernel does not count them')
    await learn(ns)
    const link = await ns.net.links.get('br0')
    const learned = dynamicEntries(ns)
    expect(learned.length).toBeGreaterThan(0)
    expect(link.is('bridge') && link.data.fdbNLearned).toBe(learned.length)
  })
})

/** A bridge that has learned an address on its port `a` from what the other end says. */
async function learn({ net, tools }: Namespace): Promise<void> {
  await net.links.create({ kind: 'bridge', name: 'br0', up: true, forwardDelay: 0 })
  await net.links.create({ kind: 'veth', name: 'a', master: 'br0', up: true, peer: { name: 'a-peer', up: true } })
  tools.ip('address add 192.0.2.9/24 dev a-peer')
  tools.ip('neighbour add 192.0.2.10 lladdr 02:00:00:00:00:10 dev a-peer')
  // The kernel takes notice of the carrier in its own time, and a port learns nothing before.
  await net.links.waitFor('a', link => link?.port?.state === 'forwarding', { timeout: 20_000 })
  tools.exec('bash', '-c', 'echo >/dev/udp/192.0.2.10/9')
  await expect.poll(() => dynamicEntries({ tools }), { timeout: 20_000 }).not.toEqual([])
}

const dynamicEntries = ({ tools }: Pick<Namespace, 'tools'>) =>
  tools.bridgeJson('fdb show br br0').filter(entry => entry.ifname === 'a' && entry.state === '')

/** Without IPv6 nothing speaks unasked, and an address that was flushed is not learned again. */
const quiet = ({ tools }: Namespace) => tools.exec('bash', '-c', 'echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6')

describe('flushing learned addresses', () => {
  test('of a bridge', async ({ ns }) => {
    quiet(ns)
    await learn(ns)
    expect(dynamicEntries(ns)).not.toEqual([])
    await ns.net.links.set('br0', { kind: 'bridge', fdbFlush: true })
    expect(dynamicEntries(ns)).toEqual([])
  })

  test('of a port', async ({ ns }) => {
    quiet(ns)
    await learn(ns)
    expect(dynamicEntries(ns)).not.toEqual([])
    await ns.net.links.set('a', { port: { fdbFlush: true } })
    expect(dynamicEntries(ns)).toEqual([])
  })
})

describe('state of a port', () => {
  const check = (
    [ours, theirs]: [Record<string, unknown>, Seen['port']],
    pairs: Record<string, (value: never) => unknown>
  ) => {
    for (const [key, expected] of Object.entries(pairs)) expect(ours[key], key).toEqual(expected(theirs as never))
  }

  test('the spanning tree', async ({ ns }) => {
    await spanningTree(ns)
    await expect
      .poll(() => ns.tools.link('leaf').linkinfo.info_data.root_port, { timeout: 20_000, interval: 250 })
      .toBe(1)
    const seen = await see(ns, 'leaf-up')
    const port = (await ns.net.links.get('leaf-up')).port
    if (!port) throw new Error('no port')
    check([port as unknown as Record<string, unknown>, seen.port], {
      designatedPort: (theirs: Seen['port']) => theirs.designated_port,
      designatedCost: (theirs: Seen['port']) => theirs.designated_cost,
      id: (theirs: Seen['port']) => Number(theirs.id),
      no: (theirs: Seen['port']) => Number(theirs.no),
      topologyChangeAck: (theirs: Seen['port']) => theirs.topology_change_ack === 1,
      configPending: (theirs: Seen['port']) => theirs.config_pending === 1
    })
    expect(id(port.rootId)).toBe(ns.tools.sysfs('leaf-up/brport/designated_root'))
    expect(id(port.bridgeId)).toBe(ns.tools.sysfs('leaf-up/brport/designated_bridge'))
    expect(port.rootId?.priority).toBe(0x1000)
    timersAgree(port.messageAgeTimer, seen.port.message_age_timer)
    timersAgree(port.forwardDelayTimer, seen.port.forward_delay_timer)
    timersAgree(port.holdTimer, seen.port.hold_timer)
    expect(Number(port.messageAgeTimer)).toBeGreaterThan(0)
  })

  // iproute2 6.1 shows none of these: the kernel's own bytes are the judge.
  test('counters and rings', async ({ ns }) => {
    await learn(ns)
    const seen = await see(ns, 'a')
    const port = (await ns.net.links.get('a')).port
    const byte = async (number: number) => (await seen.raw(...PORT_DATA, number))?.readUInt8()
    const word = async (number: number) => (await seen.raw(...PORT_DATA, number))?.readUInt32LE()
    expect(port?.mcastEhtHostsCnt).toBe(await word(38))
    expect(port?.mcastEhtHostsCnt).toBeTypeOf('number')
    expect(port?.mcastNGroups).toBe(await word(41))
    expect(port?.mrpRingOpen).toBe(flag(await byte(35)))
    expect(port?.mrpInOpen).toBe(flag(await byte(36)))
    if (atLeast('6.3')) {
      await expect
        .poll(async () => (await ns.net.links.get('a')).port?.mcastNGroups, { timeout: 10_000 })
        .toBeGreaterThan(0)
      const groups = ns.tools.bridgeJson('mdb show dev br0')[0].mdb.filter((entry: Seen['port']) => entry.port === 'a')
      expect((await ns.net.links.get('a')).port?.mcastNGroups).toBe(groups.length)
    }
  })
})

const flag = (byte: number | undefined) => (byte === undefined ? undefined : byte !== 0)
