/** A host with a NIC that has all sorts of addresses and routes, and a network that it is connected to. */
import { execFileSync } from 'node:child_process'
import { setTimeout } from 'node:timers/promises'
import type { Namespace } from '../../support/namespace.js'

export const NIC_ADDRESSES = ['192.0.2.1', '192.0.2.2', '198.51.100.1', '2001:db8::1', '2001:db8:1::1']
export const PEER_ADDRESSES = ['192.0.2.254', '198.51.100.254', '203.0.113.7', '2001:db8::fe', '2001:db8:ffff::7']

/** Without the second that IPv6 takes to look for duplicates of an address. */
export async function connectAtOnce(host: Namespace, network: Namespace): Promise<void> {
  for (const { name } of [host, network]) {
    const command = 'echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad'
    execFileSync('ip', ['netns', 'exec', name, 'sh', '-c', command])
  }
  await connect(host, network)
}

/** Connects `eth0` of the host with `p0` of the network. */
export async function connect(host: Namespace, network: Namespace): Promise<void> {
  network.tools.ip(`link add name p0 type veth peer name eth0 netns ${host.name}`)
  for (const command of [
    'link set dev lo up',
    'address add 203.0.113.7/32 dev lo',
    'address add 2001:db8:ffff::7/128 dev lo',
    'link set dev p0 up',
    'address add 192.0.2.254/24 dev p0',
    'address add 198.51.100.254/24 dev p0',
    'address add 10.9.0.2/32 dev p0',
    'address add 2001:db8::fe/64 dev p0 nodad',
    'address add 2001:db8:1::fe/64 dev p0 nodad',
    '-6 route add 2001:db8:2::/64 dev p0'
  ]) {
    network.tools.ip(command)
  }
  for (const command of [
    'link set dev lo up',
    'link set dev eth0 up',
    'address add 192.0.2.1/24 broadcast 192.0.2.255 dev eth0',
    'address add 192.0.2.2/24 dev eth0 label eth0:two',
    'address add 198.51.100.1/24 dev eth0 metric 77',
    'address add 10.9.0.1 peer 10.9.0.2/32 dev eth0 scope link',
    'address add 172.31.0.1/24 dev eth0 noprefixroute valid_lft 9000 preferred_lft 8000',
    'address add 2001:db8::1/64 dev eth0 nodad',
    'address change 2001:db8::1/64 dev eth0',
    'address add 2001:db8:1::1/64 dev eth0 nodad home',
    'address add 2001:db8:2::1/64 dev eth0 nodad noprefixroute',
    'route add default via 192.0.2.254 proto dhcp metric 100',
    'route add 203.0.113.0/24 via 192.0.2.254 src 192.0.2.2 mtu lock 1400 advmss 1300',
    'route add 203.0.113.0/24 via 198.51.100.254 table 100 initcwnd 20',
    'route add 10.8.0.0/16 dev eth0 scope link proto 99 metric 7',
    'route add 10.7.0.0/16 via 10.99.99.99 dev eth0 onlink table 1000',
    'route add 10.6.0.0/16 nexthop via 192.0.2.254 weight 3 nexthop via 198.51.100.254 weight 5',
    '-6 route add default via 2001:db8::fe metric 512 pref high',
    '-6 route add 2001:db8:ffff::/48 via 2001:db8:1::fe table 100 metric 33',
    '-6 route add 2001:db8:eeee::/48 dev eth0 metric 9 mtu 1300',
    '-6 route add 2001:db8:dddd::/48 nexthop via 2001:db8::fe weight 2 nexthop via 2001:db8:1::fe weight 4',
    'rule add from 198.51.100.1 table 100 priority 500',
    'rule add iif eth0 table 1000 priority 600',
    '-6 rule add oif eth0 table 100 priority 700',
    'neighbour add 192.0.2.77 lladdr 02:00:00:00:00:77 dev eth0 nud permanent',
    'neighbour add proxy 192.0.2.78 dev eth0'
  ]) {
    host.tools.ip(command)
  }
  // What changes by itself is over.
  while ([host, network].some(({ tools }) => tools.ip('address show tentative').trim() !== '')) await setTimeout(50)
}

/** All that undo has to give back; without what counts, ages, and tells of a moment. */
export function stateOf({ tools }: Namespace): string {
  const commands = [
    '-d -j link show',
    '-d -j address show',
    '-d -j route show table all',
    '-6 -d -j route show table all'
  ]
  const more = [
    '-d -j rule show',
    '-6 -d -j rule show',
    '-d -j neighbour show nud permanent',
    '-j neighbour show proxy'
  ]
  return [...commands, ...more].map(command => lasting(command, tools.ip(command))).join('\n')
}

/** The settings of a link and of all links below /proc/sys/net, as the namespace sees them. */
export function settingsOf({ name }: Namespace, link: string): string {
  const folders = ['ipv4', 'ipv6'].flatMap(family =>
    [link, 'all', 'default'].map(each => `/proc/sys/net/${family}/conf/${each}`)
  )
  // A secret that is not set cannot be read (EIO).
  const command = `grep -rs '' ${folders.join(' ')} || true`
  return execFileSync('ip', ['netns', 'exec', name, 'sh', '-c', command], { encoding: 'utf8' })
}

const PASSING = new Set([
  'carrier_changes',
  'carrier_up_count',
  'carrier_down_count',
  'forward_delay_timer',
  'gc_timer',
  'hold_timer',
  'message_age_timer',
  'valid_life_time',
  'preferred_life_time'
])

function lasting(command: string, text: string): string {
  const found = JSON.parse(text.trim() || '[]', (key, value) =>
    PASSING.has(key) && value < 10_000 ? undefined : value
  )
  return `${command}\n${(found as unknown[]).map(each => JSON.stringify(each)).join('\n')}`
}
