/** Two namespaces with a wire between them, and what is to be carried over it. */
import { onTestFinished } from 'vitest'
import { Tap, type TapOptions } from '../../../lib/index.js'
import { createNetns } from '../../tap/support/netns.js'
import { inside, ip, run } from '../../tap/support/system.js'

export interface End {
  netns: string
  /** Of the wire's end, which is called `wire`. */
  ipv4: string
  ipv6: string
}

export interface Underlay {
  a: End
  b: End
}

const ENDS = [
  { ipv4: '192.0.2.1', ipv6: '2001:db8::1' },
  { ipv4: '192.0.2.2', ipv6: '2001:db8::2' }
] as const

export function createUnderlay(): Underlay {
  const [a, b] = ENDS.map(addresses => ({ netns: createNetns(), ...addresses })) as [End, End]
  ip(a.netns, 'link', 'add', 'wire', 'type', 'veth', 'peer', 'name', 'wire', 'netns', b.netns)
  for (const { netns, ipv4, ipv6 } of [a, b]) {
    ip(netns, 'address', 'add', `${ipv4}/24`, 'dev', 'wire')
    ip(netns, 'address', 'add', `${ipv6}/64`, 'dev', 'wire', 'nodad')
    ip(netns, 'link', 'set', 'wire', 'up')
  }
  return { a, b }
}

/** Takes everything that it can. */
export const SUPER_FRAMES: TapOptions = {
  vnetHeader: true,
  offloads: { csum: true, tso4: true, tso6: true, uso4: true, uso6: true }
}

/** A TAP in a namespace, with addresses for its stack: `tap0`. */
export async function openStation(netns: string, addresses: string[], options: TapOptions = {}): Promise<Tap> {
  const ipv6 = addresses.some(address => address.includes(':'))
  const tap = await Tap.open({ name: 'tap0', netns, up: true, ipv6, ...options })
  onTestFinished(() => tap.close())
  for (const address of addresses) {
    ip(netns, 'address', 'add', address, 'dev', 'tap0', ...(address.includes(':') ? ['nodad'] : []))
  }
  return tap
}

/** A counter of /proc/net/snmp: `Udp`, `OutDatagrams`. */
export function snmp(netns: string, protocol: string, name: string): number {
  const lines = run(...inside(netns, 'cat', '/proc/net/snmp'))
    .split('\n')
    .filter(line => line.startsWith(`${protocol}:`))
  const [names = [], values = []] = lines.map(line => line.split(' '))
  const value = values[names.indexOf(name)]
  if (value === undefined) throw new Error(`there is no ${protocol} ${name}`)
  return Number(value)
}
