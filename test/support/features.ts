/** What the running kernel has, found out with iproute2 (not with what is tested). */
import { execFileSync } from 'node:child_process'
import { release } from 'node:os'
import { Tools } from './ip.js'

/** The kernels differ: this machine's lacks VLANs, the one in the virtual machine (LINKWRIGHT_VM=1) is older. */
export const inVm = process.env['LINKWRIGHT_VM'] === '1'

/** Whether the running kernel is at least `wanted` (`6.7`). */
export function atLeast(wanted: string): boolean {
  const [major = 0, minor = 0] = release().split('.').map(Number.parseFloat)
  const [wantedMajor = 0, wantedMinor = 0] = wanted.split('.').map(Number)
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)
}

/** Tries commands of `ip` in a namespace of its own: whether the last one works. */
function tried(...commands: string[]): boolean {
  const name = `lw-try-${process.pid}`
  execFileSync('ip', ['netns', 'add', name])
  try {
    const tools = new Tools(name)
    return commands.map(command => tools.can(command)).every(Boolean)
  } finally {
    execFileSync('ip', ['netns', 'del', name])
  }
}

/** Whether tc can add something to the egress of a link, or to its ingress. */
function triedTc(...commands: string[]): boolean {
  const name = `lw-try-${process.pid}`
  execFileSync('ip', ['netns', 'add', name])
  try {
    const tools = new Tools(name)
    tools.ip('link add name try0 type veth')
    tools.tc('qdisc add dev try0 ingress')
    return commands.every(command => tools.canTc(command))
  } finally {
    execFileSync('ip', ['netns', 'del', name])
  }
}

const filter = (what: string) => triedTc(`filter add dev try0 ingress protocol all ${what}`)

const found = new Map<string, boolean>()
const once = (name: string, find: () => boolean): boolean => {
  if (!found.has(name)) found.set(name, find())
  return found.get(name) as boolean
}

const PROBES = {
  dummy: () => tried('link add name try0 type dummy'),
  ifb: () => tried('link add name try0 type ifb'),
  veth: () => tried('link add name try0 type veth'),
  bridge: () => tried('link add name try0 type bridge'),
  vxlan: () => tried('link add name try0 type vxlan id 7 dstport 4789'),
  vlan: () => tried('link add name low0 type veth', 'link add link low0 name try0 type vlan id 7'),
  macvlan: () => tried('link add name low0 type veth', 'link add link low0 name try0 type macvlan mode bridge'),
  macvtap: () => tried('link add name low0 type veth', 'link add link low0 name try0 type macvtap mode bridge'),
  /** Without it the kernel refuses to filter, and ignores the other attributes of bridges about VLANs. */
  vlanFiltering: () => tried('link add name try0 type bridge vlan_filtering 1'),
  multipath: () =>
    tried(
      'link add name try0 type veth',
      'link set dev try0 up',
      'address add 192.0.2.1/24 dev try0',
      'route add 198.51.100.0/24 nexthop via 192.0.2.2 onlink dev try0 nexthop via 192.0.2.3 onlink dev try0'
    ),
  htb: () => triedTc('qdisc add dev try0 root htb'),
  tbf: () => triedTc('qdisc add dev try0 root tbf rate 1mbit burst 10k limit 10k'),
  fq_codel: () => triedTc('qdisc add dev try0 root fq_codel'),
  sfq: () => triedTc('qdisc add dev try0 root sfq'),
  matchall: () => filter('matchall classid 1:1'),
  basic: () => filter('basic classid 1:1'),
  flower: () => filter('flower classid 1:1'),
  mirred: () => filter('u32 match u32 0 0 action mirred egress redirect dev lo'),
  police: () => filter('u32 match u32 0 0 action police rate 1mbit burst 10k'),
  gact: () => filter('u32 match u32 0 0 action drop')
}

export type Feature = keyof typeof PROBES

export function has(feature: Feature): boolean {
  return once(feature, PROBES[feature])
}
