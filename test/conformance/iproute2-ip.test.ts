/** Requests about addresses, routes, neighbours and forwarding entries, compared with what iproute2 sends. */
import { spawnSync } from 'node:child_process'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Netlink, type TracedMessage } from '../../lib/index.js'
import { type Captured, captureOne, type Nest, netlinkMessages, outline, straceMissing } from '../support/strace.js'

const missing = straceMissing()
const NLM_F_ACK = 4
const NEWADDR = 20
const DELADDR = 21
const NEWROUTE = 24
const DELROUTE = 25
const NEWNEIGH = 28
const DELNEIGH = 29

const addressNest: Nest = { header: 8 }
const neighbourNest: Nest = { header: 12 }
const routeNest: Nest = {
  header: 12,
  inside: { 8: { inside: {} }, 9: { row: true, header: 8, inside: {} } }
}

let netlink: Netlink

function run(command: string, ...args: string[]): void {
  const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}`)
}

beforeAll(async () => {
  if (missing) return
  run('ip', 'link', 'add', 'lwbr', 'type', 'bridge')
  run('ip', 'link', 'add', 'lwa', 'type', 'veth', 'peer', 'name', 'lwb')
  run('ip', 'link', 'set', 'lwb', 'master', 'lwbr')
  run('ip', 'link', 'add', 'lwvx', 'type', 'vxlan', 'id', '1', 'dstport', '4789', 'local', '127.0.0.1')
  for (const name of ['lwbr', 'lwa', 'lwb', 'lwvx']) run('ip', 'link', 'set', name, 'up')
  run('ip', 'addr', 'add', '198.51.100.1/24', 'dev', 'lwa')
  run('ip', 'addr', 'add', '2001:db8:1::1/64', 'dev', 'lwa', 'nodad')
  netlink = await Netlink.open()
})

afterAll(() => {
  if (missing) return
  netlink.close()
  for (const name of ['lwvx', 'lwa', 'lwbr']) spawnSync('ip', ['link', 'del', name])
})

/** The one message of the given type that `act` sends, whatever the kernel says to it. */
async function ours(type: number, act: (netlink: Netlink) => Promise<unknown>): Promise<Captured> {
  const sent: Captured[] = []
  const listen = (message: unknown) => {
    sent.push(...netlinkMessages(Buffer.from((message as TracedMessage).bytes)))
  }
  subscribe('linkwright:netlink:send', listen)
  try {
    await act(netlink).catch(error => {
      // Only what the kernel says is ignored; a refusal of ours is a failure of the test.
      if (error.errno === undefined) throw error
    })
  } finally {
    unsubscribe('linkwright:netlink:send', listen)
  }
  const found = sent.filter(message => message.type === type)
  expect(found).toHaveLength(1)
  return found[0] as Captured
}

interface Case {
  ip: string
  type: number
  act: (netlink: Netlink) => Promise<unknown>
  /** Lines of ours that iproute2 says in another way, and why. */
  instead?: { ours: string[]; theirs: string[]; why: string }
}

async function compare({ ip, type, act, instead }: Case, nest: Nest): Promise<void> {
  const [command = '', ...args] = ip.split(' ')
  const theirs = captureOne(type, command, ...args)
  const mine = await ours(type, act)
  expect(mine.flags | NLM_F_ACK, 'NLM_F_*').toBe(theirs.flags | NLM_F_ACK)
  const without = (lines: string[], dropped: string[] = []) => {
    for (const line of dropped) expect(lines, instead?.why).toContain(line)
    return lines.filter(line => !dropped.includes(line))
  }
  expect(without(outline(mine.payload, nest), instead?.ours)).toEqual(
    without(outline(theirs.payload, nest), instead?.theirs)
  )
}

const addresses: Case[] = [
  {
    ip: 'ip addr add 192.0.2.1/24 dev lwa',
    type: NEWADDR,
    act: ({ addresses }) => addresses.add({ address: '192.0.2.1/24', link: 'lwa' })
  },
  {
    ip: 'ip addr add 192.0.2.77 dev lwa',
    type: NEWADDR,
    act: ({ addresses }) => addresses.add({ address: '192.0.2.77', link: 'lwa' })
  },
  {
    ip: 'ip addr add 2001:db8::1/64 dev lwa',
    type: NEWADDR,
    act: ({ addresses }) => addresses.add({ address: '2001:db8::1/64', link: 'lwa' })
  },
  {
    ip: 'ip addr add 192.0.2.2/24 broadcast 192.0.2.254 label lwa:1 scope link dev lwa',
    type: NEWADDR,
    act: ({ addresses }) =>
      addresses.add({
        address: '192.0.2.2/24',
        broadcast: '192.0.2.254',
        label: 'lwa:1',
        scope: 'link',
        link: 'lwa'
      })
  },
  {
    ip: 'ip addr add 192.0.2.3 peer 192.0.2.4/31 dev lwa',
    type: NEWADDR,
    act: ({ addresses }) => addresses.add({ address: '192.0.2.3', peer: '192.0.2.4/31', link: 'lwa' })
  },
  {
    ip: 'ip addr add 2001:db8::3 peer 2001:db8::4/127 dev lwa',
    type: NEWADDR,
    act: ({ addresses }) => addresses.add({ address: '2001:db8::3', peer: '2001:db8::4/127', link: 'lwa' })
  },
  {
    ip: 'ip addr add 2001:db8::5/64 anycast 2001:db8::6 dev lwa',
    type: NEWADDR,
    act: ({ addresses }) => addresses.add({ address: '2001:db8::5/64', anycast: '2001:db8::6', link: 'lwa' })
  },
  {
    ip: 'ip addr add 192.0.2.5/24 dev lwa valid_lft 300 preferred_lft 200',
    type: NEWADDR,
    act: ({ addresses }) =>
      addresses.add({ address: '192.0.2.5/24', link: 'lwa', validLifetime: 300, preferredLifetime: 200 })
  },
  {
    ip: 'ip addr add 2001:db8::7/64 dev lwa valid_lft forever preferred_lft 0',
    type: NEWADDR,
    act: ({ addresses }) =>
      addresses.add({
        address: '2001:db8::7/64',
        link: 'lwa',
        validLifetime: Number.POSITIVE_INFINITY,
        preferredLifetime: 0
      })
  },
  {
    ip: 'ip addr add 192.0.2.6/24 dev lwa noprefixroute',
    type: NEWADDR,
    act: ({ addresses }) => addresses.add({ address: '192.0.2.6/24', link: 'lwa', noprefixroute: true })
  },
  {
    ip: 'ip addr add 2001:db8::8/64 dev lwa nodad home',
    type: NEWADDR,
    act: ({ addresses }) => addresses.add({ address: '2001:db8::8/64', link: 'lwa', nodad: true, home: true })
  },
  {
    ip: 'ip addr add 2001:db8::9/64 dev lwa noprefixroute mngtmpaddr nodad',
    type: NEWADDR,
    act: ({ addresses }) =>
      addresses.add({
        address: '2001:db8::9/64',
        link: 'lwa',
        noprefixroute: true,
        mngtmpaddr: true,
        nodad: true
      })
  },
  {
    ip: 'ip addr add 192.0.2.7/24 dev lwa metric 77',
    type: NEWADDR,
    act: ({ addresses }) => addresses.add({ address: '192.0.2.7/24', link: 'lwa', metric: 77 })
  },
  {
    ip: 'ip addr add 239.9.9.9/32 dev lwa autojoin',
    type: NEWADDR,
    act: ({ addresses }) => addresses.add({ address: '239.9.9.9/32', link: 'lwa', autojoin: true })
  },
  {
    ip: 'ip addr replace 192.0.2.1/24 dev lwa valid_lft 500 preferred_lft 500',
    type: NEWADDR,
    act: ({ addresses }) =>
      addresses.replace({ address: '192.0.2.1/24', link: 'lwa', validLifetime: 500, preferredLifetime: 500 })
  },
  {
    ip: 'ip addr del 192.0.2.1/24 dev lwa',
    type: DELADDR,
    act: ({ addresses }) => addresses.delete({ address: '192.0.2.1/24', link: 'lwa' })
  },
  {
    ip: 'ip addr del 2001:db8::1/64 dev lwa',
    type: DELADDR,
    act: ({ addresses }) => addresses.delete({ address: '2001:db8::1/64', link: 'lwa' })
  },
  {
    ip: 'ip addr del 192.0.2.3 peer 192.0.2.4/31 dev lwa',
    type: DELADDR,
    act: ({ addresses }) => addresses.delete({ address: '192.0.2.3', peer: '192.0.2.4/31', link: 'lwa' })
  },
  {
    ip: 'ip addr del 192.0.2.2/24 label lwa:1 dev lwa',
    type: DELADDR,
    act: ({ addresses }) => addresses.delete({ address: '192.0.2.2/24', label: 'lwa:1', link: 'lwa' })
  }
]

const routes: Case[] = [
  {
    ip: 'ip route add default via 198.51.100.254 proto static',
    type: NEWROUTE,
    act: ({ routes }) => routes.add({ destination: 'default', gateway: '198.51.100.254' })
  },
  {
    ip: 'ip -6 route add default via 2001:db8:1::ff proto static',
    type: NEWROUTE,
    act: ({ routes }) => routes.add({ destination: 'default', gateway: '2001:db8:1::ff' }),
    instead: {
      ours: [],
      theirs: ['1: 00000000000000000000000000000000'],
      why: 'a prefix of no bits is the same with and without an address; for IPv4 iproute2 sends none either'
    }
  },
  {
    ip: 'ip route add 203.0.113.0/24 dev lwa proto static',
    type: NEWROUTE,
    act: ({ routes }) => routes.add({ destination: '203.0.113.0/24', link: 'lwa' })
  },
  {
    ip: 'ip route add 2001:db8:2::/48 dev lwa proto static',
    type: NEWROUTE,
    act: ({ routes }) => routes.add({ destination: '2001:db8:2::/48', link: 'lwa' })
  },
  {
    ip: 'ip route add 203.0.113.1 via 10.9.9.9 dev lwa onlink proto static',
    type: NEWROUTE,
    act: ({ routes }) => routes.add({ destination: '203.0.113.1', gateway: '10.9.9.9', link: 'lwa', onlink: true })
  },
  {
    ip: 'ip route add 203.0.113.2 via inet6 2001:db8:1::ff dev lwa proto static',
    type: NEWROUTE,
    act: ({ routes }) => routes.add({ destination: '203.0.113.2', via: '2001:db8:1::ff', link: 'lwa' })
  },
  {
    ip: 'ip route add 203.0.113.3 dev lwa metric 700 table 100 src 198.51.100.1 proto 99 scope host',
    type: NEWROUTE,
    act: ({ routes }) =>
      routes.add({
        destination: '203.0.113.3',
        link: 'lwa',
        priority: 700,
        table: 100,
        prefsrc: '198.51.100.1',
        protocol: 99,
        scope: 'host'
      })
  },
  {
    ip: 'ip route add 203.0.113.4 dev lwa table 70000 proto bird',
    type: NEWROUTE,
    act: ({ routes }) => routes.add({ destination: '203.0.113.4', link: 'lwa', table: 70000, protocol: 'bird' })
  },
  {
    ip: 'ip route add 203.0.113.5 dev lwa mtu 1300 advmss 1200 hoplimit 5 window 9000 initcwnd 20 initrwnd 30 quickack 1 proto static',
    type: NEWROUTE,
    act: ({ routes }) =>
      routes.add({
        destination: '203.0.113.5',
        link: 'lwa',
        metrics: { mtu: 1300, advmss: 1200, hoplimit: 5, window: 9000, initcwnd: 20, initrwnd: 30, quickack: 1 }
      })
  },
  {
    ip: 'ip route add 203.0.113.6 dev lwa mtu lock 1300 congctl reno proto static',
    type: NEWROUTE,
    act: ({ routes }) =>
      routes.add({
        destination: '203.0.113.6',
        link: 'lwa',
        metrics: { mtu: 1300, lock: 4, congctl: 'reno' }
      })
  },
  {
    ip: 'ip route add blackhole 203.0.113.7 proto static',
    type: NEWROUTE,
    act: ({ routes }) => routes.add({ destination: '203.0.113.7', type: 'blackhole' })
  },
  {
    ip: 'ip route add unreachable 2001:db8:3::/48 proto static metric 5',
    type: NEWROUTE,
    act: ({ routes }) => routes.add({ destination: '2001:db8:3::/48', type: 'unreachable', priority: 5 })
  },
  {
    ip: 'ip route add local 203.0.113.8 dev lwa table local proto static',
    type: NEWROUTE,
    act: ({ routes }) => routes.add({ destination: '203.0.113.8', type: 'local', link: 'lwa', table: 255 })
  },
  {
    ip: 'ip route add 203.0.113.9 tos 0x10 dev lwa proto static',
    type: NEWROUTE,
    act: ({ routes }) => routes.add({ destination: '203.0.113.9', tos: 0x10, link: 'lwa' })
  },
  {
    ip: 'ip route add 2001:db8:4::/64 from 2001:db8:5::/64 dev lwa proto static pref high expires 300',
    type: NEWROUTE,
    act: ({ routes }) =>
      routes.add({
        destination: '2001:db8:4::/64',
        source: '2001:db8:5::/64',
        link: 'lwa',
        pref: 'high',
        expires: 300
      })
  },
  {
    ip: 'ip route add 203.0.113.10 proto static nexthop via 198.51.100.2 dev lwa weight 3 nexthop via 198.51.100.3 weight 256 nexthop via 10.1.1.1 dev lwa onlink',
    type: NEWROUTE,
    act: ({ routes }) =>
      routes.add({
        destination: '203.0.113.10',
        nexthops: [
          { gateway: '198.51.100.2', link: 'lwa', weight: 3 },
          { gateway: '198.51.100.3', weight: 256 },
          { gateway: '10.1.1.1', link: 'lwa', flags: { onlink: true } }
        ]
      })
  },
  {
    ip: 'ip route add 203.0.113.11 proto static nexthop via inet6 2001:db8:1::ff dev lwa nexthop dev lwbr',
    type: NEWROUTE,
    act: ({ routes }) =>
      routes.add({
        destination: '203.0.113.11',
        nexthops: [{ via: '2001:db8:1::ff', link: 'lwa' }, { link: 'lwbr' }]
      })
  },
  {
    ip: 'ip route add 203.0.113.12 nhid 5 proto static',
    type: NEWROUTE,
    act: ({ routes }) => routes.add({ destination: '203.0.113.12', nhId: 5 })
  },
  {
    ip: 'ip route replace 203.0.113.0/24 via 198.51.100.9 proto static',
    type: NEWROUTE,
    act: ({ routes }) => routes.replace({ destination: '203.0.113.0/24', gateway: '198.51.100.9' })
  },
  {
    ip: 'ip route append 203.0.113.0/24 via 198.51.100.10 proto static',
    type: NEWROUTE,
    act: ({ routes }) => routes.append({ destination: '203.0.113.0/24', gateway: '198.51.100.10' })
  },
  {
    ip: 'ip route del default via 198.51.100.254',
    type: DELROUTE,
    act: ({ routes }) => routes.delete({ destination: 'default', gateway: '198.51.100.254' })
  },
  {
    ip: 'ip route del 203.0.113.3 table 100 metric 700 proto 99',
    type: DELROUTE,
    act: ({ routes }) => routes.delete({ destination: '203.0.113.3', table: 100, priority: 700, protocol: 99 })
  },
  {
    ip: 'ip route del 2001:db8:2::/48 dev lwa',
    type: DELROUTE,
    act: ({ routes }) => routes.delete({ destination: '2001:db8:2::/48', link: 'lwa' })
  },
  {
    ip: 'ip route del blackhole 203.0.113.7',
    type: DELROUTE,
    act: ({ routes }) => routes.delete({ destination: '203.0.113.7', type: 'blackhole' })
  }
]

const neighbours: Case[] = [
  {
    ip: 'ip neigh add 198.51.100.7 lladdr 02:00:00:00:00:07 dev lwa',
    type: NEWNEIGH,
    act: ({ neighbours }) => neighbours.add({ address: '198.51.100.7', lladdr: '02:00:00:00:00:07', link: 'lwa' })
  },
  {
    ip: 'ip neigh add 2001:db8:1::7 lladdr 02:00:00:00:00:07 dev lwa nud stale router extern_learn protocol 99',
    type: NEWNEIGH,
    act: ({ neighbours }) =>
      neighbours.add({
        address: '2001:db8:1::7',
        lladdr: '02:00:00:00:00:07',
        link: 'lwa',
        state: { stale: true },
        router: true,
        extLearned: true,
        protocol: 99
      })
  },
  {
    ip: 'ip neigh replace 198.51.100.7 lladdr 02:00:00:00:00:08 dev lwa nud reachable',
    type: NEWNEIGH,
    act: ({ neighbours }) =>
      neighbours.replace({
        address: '198.51.100.7',
        lladdr: '02:00:00:00:00:08',
        link: 'lwa',
        state: { reachable: true }
      })
  },
  {
    ip: 'ip neigh add proxy 198.51.100.8 dev lwa',
    type: NEWNEIGH,
    act: ({ neighbours }) => neighbours.add({ address: '198.51.100.8', proxy: true, link: 'lwa' })
  },
  {
    ip: 'ip neigh del proxy 198.51.100.8 dev lwa',
    type: DELNEIGH,
    act: ({ neighbours }) => neighbours.delete({ address: '198.51.100.8', proxy: true, link: 'lwa' })
  },
  {
    ip: 'ip neigh del 198.51.100.7 dev lwa',
    type: DELNEIGH,
    act: ({ neighbours }) => neighbours.delete({ address: '198.51.100.7', link: 'lwa' })
  }
]

const mac = '02:00:00:00:00:55'
const fdb: Case[] = [
  {
    ip: `bridge fdb add ${mac} dev lwb master static`,
    type: NEWNEIGH,
    act: ({ fdb }) => fdb.add({ lladdr: mac, link: 'lwb' })
  },
  {
    ip: `bridge fdb add ${mac} dev lwb master local`,
    type: NEWNEIGH,
    act: ({ fdb }) => fdb.add({ lladdr: mac, link: 'lwb', type: 'permanent' })
  },
  {
    ip: `bridge fdb add ${mac} dev lwb master dynamic vlan 5 extern_learn sticky`,
    type: NEWNEIGH,
    act: ({ fdb }) => fdb.add({ lladdr: mac, link: 'lwb', type: 'dynamic', vlan: 5, extLearned: true, sticky: true })
  },
  {
    ip: `bridge fdb add ${mac} dev lwb self static`,
    type: NEWNEIGH,
    act: ({ fdb }) => fdb.add({ lladdr: mac, link: 'lwb', self: true, type: 'static' })
  },
  {
    ip: `bridge fdb add ${mac} dev lwa`,
    type: NEWNEIGH,
    act: ({ fdb }) => fdb.add({ lladdr: mac, link: 'lwa', self: true })
  },
  {
    ip: `bridge fdb del ${mac} dev lwa`,
    type: DELNEIGH,
    act: ({ fdb }) => fdb.delete({ lladdr: mac, link: 'lwa', self: true })
  },
  {
    ip: `bridge fdb replace ${mac} dev lwb master static`,
    type: NEWNEIGH,
    act: ({ fdb }) => fdb.replace({ lladdr: mac, link: 'lwb' })
  },
  {
    ip: `bridge fdb append ${mac} dev lwvx self static dst 127.0.0.2 port 4790 vni 77 src_vni 1 via lwa`,
    type: NEWNEIGH,
    act: ({ fdb }) =>
      fdb.append({
        lladdr: mac,
        link: 'lwvx',
        self: true,
        type: 'static',
        dst: '127.0.0.2',
        port: 4790,
        vni: 77,
        srcVni: 1,
        via: 'lwa'
      })
  },
  {
    ip: `bridge fdb add ${mac} dev lwvx self static dst 2001:db8::99`,
    type: NEWNEIGH,
    act: ({ fdb }) => fdb.add({ lladdr: mac, link: 'lwvx', self: true, type: 'static', dst: '2001:db8::99' })
  },
  {
    ip: `bridge fdb add ${mac} dev lwvx self static nhid 5`,
    type: NEWNEIGH,
    act: ({ fdb }) => fdb.add({ lladdr: mac, link: 'lwvx', self: true, type: 'static', nhId: 5 })
  },
  {
    ip: `bridge fdb del ${mac} dev lwb master`,
    type: DELNEIGH,
    act: ({ fdb }) => fdb.delete({ lladdr: mac, link: 'lwb' })
  },
  {
    ip: `bridge fdb del ${mac} dev lwb master vlan 5`,
    type: DELNEIGH,
    act: ({ fdb }) => fdb.delete({ lladdr: mac, link: 'lwb', vlan: 5 })
  },
  {
    ip: `bridge fdb del ${mac} dev lwvx self dst 127.0.0.2 vni 77`,
    type: DELNEIGH,
    act: ({ fdb }) => fdb.delete({ lladdr: mac, link: 'lwvx', self: true, dst: '127.0.0.2', vni: 77 })
  }
]

describe.skipIf(missing)(`requests are what iproute2 sends${missing ? ` (skipped: ${missing})` : ''}`, () => {
  it.each(addresses)('$ip', example => compare(example, addressNest))
  it.each(routes)('$ip', example => compare(example, routeNest))
  it.each(neighbours)('$ip', example => compare(example, neighbourNest))
  it.each(fdb)('$ip', example => compare(example, neighbourNest))
})
