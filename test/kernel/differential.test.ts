/** What we list is what iproute2 lists, field by field. */
import { describe, expect } from 'vitest'
import type { Address, Link, Neighbour } from '../../lib/index.js'
import { has } from '../support/features.js'
import type { Parsed } from '../support/ip.js'
import { test as base, type Namespace } from '../support/namespace.js'

/** A namespace with some of every kind, made by iproute2. */
const test = base.extend<{ host: Namespace }>({
  host: async ({ ns, other }, use) => {
    const { tools } = ns
    for (const command of [
      'link set dev lo up',
      'link add name br0 type bridge ageing_time 1234',
      'link add name low mtu 1400 txqueuelen 77 type veth peer name end',
      'link set dev low alias a-text group 42',
      'link property add dev low altname one-more-name-that-is-long',
      'link add name p0 type veth peer name p1',
      'link set dev p0 master br0',
      'link set dev p0 type bridge_slave isolated on cost 99',
      `link add name far0 type veth peer name far1 netns ${other.name}`,
      'link add link low name mv0 type macvlan mode bridge',
      'link add link low name mt0 type macvtap mode source',
      'link add name vx0 type vxlan id 7 dstport 4789 remote 192.0.2.9 local 192.0.2.1',
      'link add name ifb0 numtxqueues 3 type ifb',
      'tuntap add dev tap0 mode tap multi_queue',
      'tuntap add dev tun0 mode tun',
      ...(has('dummy') ? ['link add name du0 type dummy'] : []),
      ...(has('vlan') ? ['link add link low name vl0 type vlan id 7 protocol 802.1ad'] : []),
      ...['br0', 'p0', 'p1', 'mv0', 'ifb0', 'tun0'].map(name => `link set dev ${name} addrgenmode none`),
      ...['br0', 'p0', 'p1', 'mv0', 'ifb0', 'tun0'].map(name => `link set dev ${name} up`),
      ...['low', 'end'].map(name => `link set dev ${name} up`),
      'link set dev ifb0 promisc on allmulticast on',
      'address add 192.0.2.1/24 brd + dev end label end:1',
      'address add 198.51.100.1 peer 198.51.100.2/30 dev end scope link metric 9',
      'address add 2001:db8::1/64 dev end nodad valid_lft 5000 preferred_lft 4000',
      'neighbour add 192.0.2.9 lladdr 02:00:00:00:00:09 dev end',
      'neighbour add 2001:db8::9 lladdr 02:00:00:00:00:09 dev end router'
    ]) {
      tools.ip(command)
    }
    await settled(ns)
    await use(ns)
  }
})

/** Waits until nothing changes by itself any more: carriers, duplicate address detection. */
async function settled({ tools }: Namespace): Promise<void> {
  const running = /life_time|timer/
  const state = () =>
    JSON.stringify([tools.ipJson('address show'), tools.ipJson('neighbour show nud all')], (key, value) =>
      running.test(key) ? undefined : value
    )
  let last = ''
  await expect
    .poll(
      () => {
        const now = state()
        const calm = now === last && !now.includes('"tentative"')
        last = now
        return calm
      },
      { timeout: 20_000, interval: 400 }
    )
    .toBe(true)
}

const FLAGS: Record<string, string> = {
  up: 'UP',
  broadcast: 'BROADCAST',
  loopback: 'LOOPBACK',
  pointopoint: 'POINTOPOINT',
  noarp: 'NOARP',
  promisc: 'PROMISC',
  allmulti: 'ALLMULTI',
  master: 'MASTER',
  slave: 'SLAVE',
  multicast: 'MULTICAST',
  lowerUp: 'LOWER_UP'
}

/** Our field for each of theirs. */
function asShown(link: Link, all: Link[]): Parsed {
  const name = (index: number | undefined) => all.find(other => other.index === index)?.name
  const abroad = link.linkNetnsid !== undefined
  return {
    ifindex: link.index,
    ifname: link.name,
    link: abroad ? undefined : name(link.link),
    link_index: abroad ? link.link : undefined,
    link_netnsid: link.linkNetnsid,
    flags: Object.entries(FLAGS).flatMap(([ours, theirs]) => ((link.flags as Parsed)[ours] ? [theirs] : [])),
    mtu: link.mtu,
    qdisc: link.qdisc,
    master: name(link.master),
    operstate: String(link.operstate).toUpperCase(),
    linkmode: String(link.linkmode).toUpperCase(),
    group: link.group === 0 ? 'default' : String(link.group),
    txqlen: link.txqlen,
    address: link.address,
    broadcast: link.broadcast,
    promiscuity: link.promiscuity,
    allmulti: link.allmulti,
    min_mtu: link.minMtu,
    max_mtu: link.maxMtu,
    ifalias: link.alias,
    altnames: link.altnames.length > 0 ? link.altnames : undefined,
    info_kind: link.kind,
    info_slave_kind: link.portKind,
    inet6_addr_gen_mode: String(link.afSpec?.inet6?.addrGenMode),
    num_tx_queues: link.numTxQueues,
    num_rx_queues: link.numRxQueues,
    gso_max_size: link.gsoMaxSize,
    gso_max_segs: link.gsoMaxSegs,
    tso_max_size: link.tsoMaxSize,
    tso_max_segs: link.tsoMaxSegs,
    gro_max_size: link.groMaxSize
  }
}

const defined = (object: Parsed) =>
  Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined))

/** Theirs, with what is nested or said in another way brought to the form of ours. */
function normalized(shown: Parsed): Parsed {
  const { linkinfo, flags, link_type, txqlen, ...rest } = shown
  return {
    ...rest,
    ...(link_type ? {} : {}),
    // iproute2 leaves out a queue length of 0.
    txqlen: txqlen ?? 0,
    flags: flags.filter((flag: string) => Object.values(FLAGS).includes(flag)).toSorted(),
    info_kind: linkinfo?.info_kind,
    info_slave_kind: linkinfo?.info_slave_kind
  }
}

describe('the lists are those of iproute2', () => {
  test('links', async ({ host }) => {
    const ours = await host.net.links.list()
    const theirs = host.tools.ipJson('link show')
    expect(theirs.length).toBeGreaterThanOrEqual(13)
    const mine = ours.map(link => asShown(link, ours)).map(link => defined({ ...link, flags: link.flags.toSorted() }))
    expect(mine).toEqual(theirs.map(normalized).map(defined))
  })

  test('attributes of kinds and ports, by name', async ({ host }) => {
    // Both name what they show; here the names are compared, values are in the tests of the attributes.
    const list = await host.net.links.list()
    for (const shown of host.tools.ipJson('link show')) {
      const link = list.find(each => each.index === shown.ifindex)
      expect(link?.data !== undefined, `data of ${shown.ifname}`).toBe(shown.linkinfo?.info_data !== undefined)
      expect(link?.port !== undefined, `port data of ${shown.ifname}`).toBe(
        shown.linkinfo?.info_slave_data !== undefined
      )
    }
    const data = (name: string) => (list.find(link => link.name === name)?.data as Parsed | undefined)?.toJSON()
    expect(data('br0')).toMatchObject({ ageingTime: 1234, stp: false })
    expect(data('vx0')).toMatchObject({ id: 7, dstPort: 4789, remote: '192.0.2.9', local: '192.0.2.1' })
    expect(data('mt0')).toMatchObject({ mode: 'source' })
    expect(list.find(link => link.name === 'p0')?.port).toMatchObject({ isolated: true, cost: 99 })
  })

  test('nothing that the kernel sends is unknown to us', async ({ host }) => {
    for (const link of await host.net.links.list({ statistics: true })) {
      const seen = JSON.stringify(link, (key, value) => (key === 'unknown' ? { FOUND: value } : value))
      expect(seen, link.name).not.toContain('FOUND')
    }
    for (const list of [await host.net.addresses.list(), await host.net.neighbours.list(), await host.net.fdb.list()]) {
      for (const entry of list) expect(entry.unknown).toEqual([])
    }
    for (const route of await host.net.routes.list({ table: 0 })) expect(route.unknown).toEqual([])
  })

  test('addresses', async ({ host }) => {
    const lifetime = (seconds: number | undefined) =>
      seconds === 0xffffffff ? seconds : Math.round((seconds ?? 0) / 10)
    const names = new Map((await host.net.links.list()).map(link => [link.index, link.name]))
    const ours = (await host.net.addresses.list()).map((address: Address) => ({
      dev: names.get(address.index),
      family: address.family,
      local: address.ownAddress,
      prefixlen: address.prefixLength,
      scope: address.scope,
      label: address.label,
      broadcast: address.broadcast,
      address: address.address === address.ownAddress ? undefined : address.address,
      metric: address.metric,
      permanent: address.flags?.permanent,
      nodad: address.flags?.nodad,
      valid: lifetime(address.cacheinfo?.valid),
      preferred: lifetime(address.cacheinfo?.preferred)
    }))
    const theirs = host.tools.ipJson('address show').flatMap(link =>
      link.addr_info.map((info: Parsed) => ({
        dev: link.ifname,
        family: info.family,
        local: info.local,
        prefixlen: info.prefixlen,
        scope: info.scope,
        label: info.label,
        broadcast: info.broadcast,
        address: info.address,
        metric: info.metric,
        permanent: !info.dynamic,
        nodad: info.nodad ?? false,
        valid: lifetime(info.valid_life_time),
        preferred: lifetime(info.preferred_life_time)
      }))
    )
    const key = (entry: Parsed) => `${entry.dev} ${entry.local}`
    const order = (list: Parsed[]) => list.map(defined).toSorted((a, b) => (key(a) < key(b) ? -1 : 1))
    expect(order(ours)).toEqual(order(theirs))
    expect(ours.length).toBeGreaterThan(5)
  })

  test('neighbours', async ({ host }) => {
    const names = new Map((await host.net.links.list()).map(link => [link.index, link.name]))
    const ours = (await host.net.neighbours.list()).map((entry: Neighbour) => ({
      dst: entry.dst,
      dev: names.get(entry.index),
      lladdr: entry.lladdr,
      router: entry.flags.router,
      state: Object.entries(entry.state).flatMap(([name, on]) => (on === true ? [name.toUpperCase()] : []))
    }))
    const theirs = host.tools.ipJson('neighbour show nud all').map(entry => ({
      dst: entry.dst,
      dev: entry.dev,
      lladdr: entry.lladdr,
      router: 'router' in entry,
      state: entry.state
    }))
    const order = (list: Parsed[]) => list.toSorted((a, b) => (a.dst + a.dev < b.dst + b.dev ? -1 : 1))
    expect(order(ours)).toEqual(order(theirs))
    expect(ours.length).toBeGreaterThanOrEqual(2)
  })
})
