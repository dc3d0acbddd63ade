/** How a guest gets its addresses: IPv4 by busybox's DHCP client, IPv6 by the router advertisements that its kernel hears. */
import { expect } from 'vitest'
import type { Guest } from '../guest.mjs'

/** What udhcpc calls with what it was told: for a guest's `files`. */
export const DHCP_FILES = {
  '/etc/udhcpc': `#!/bin/sh
[ "$1" = deconfig ] && exec ip -4 addr flush dev $interface
ip -4 addr flush dev $interface
ip addr add $ip/$mask dev $interface
[ -n "$mtu" ] && ip link set $interface mtu $mtu
[ -n "$router" ] && ip route add default via $router dev $interface
for server in $dns; do echo nameserver $server; done >/etc/resolv.conf
`
}

const MTU_TOO = '-O mtu'

/** Asks for an address until somebody gives one: that. */
export async function lease(guest: Guest, device: string): Promise<string> {
  await guest.check(`ip link set ${device} up
    udhcpc -i ${device} -f -n -q -t 20 -T 1 ${MTU_TOO} -s /etc/udhcpc`)
  return (await addresses(guest, device, 'inet'))[0] as string
}

/** Whether somebody gives an address. */
export async function isServed(guest: Guest, device: string): Promise<boolean> {
  const { status } = await guest.run(`ip link set ${device} up
    udhcpc -i ${device} -f -n -q -t 2 -T 1 -s /etc/udhcpc`)
  return status === 0
}

/** Waits for an address in a network that a router advertises: the one that follows from the MAC address. */
export async function advertised(guest: Guest, device: string, prefix: string, mac: string): Promise<string> {
  const address = `${prefix}${interfaceId(mac)}`
  await guest.check(`until ip -6 addr show dev ${device} | grep -q ' ${address}/64 '; do usleep 50000; done`)
  return address
}

/** Modified EUI-64, as in an address: `5054:ff:fe00:1`. */
export function interfaceId(mac: string): string {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = mac.split(':').map(byte => Number.parseInt(byte, 16))
  return [((a ^ 2) << 8) | b, (c << 8) | 0xff, 0xfe00 | d, (e << 8) | f].map(group => group.toString(16)).join(':')
}

/** Those of global scope. */
export async function addresses(guest: Guest, device: string, family: 'inet' | 'inet6'): Promise<string[]> {
  const output = await guest.check(`ip addr show dev ${device} scope global`)
  return [...output.matchAll(/^ +(inet6?) ([^/]+)/gm)].flatMap(([, each, address]) =>
    each === family ? [address as string] : []
  )
}

/** What a guest has been told besides. */
export async function expectRoutes(guest: Guest, expected: { ipv4?: string; ipv6: boolean }): Promise<void> {
  const output = await guest.check('ip route show default; ip -6 route show default')
  expect(/^default via ([\d.]+)/m.exec(output)?.[1]).toBe(expected.ipv4)
  expect(/^default via fe80:/m.test(output)).toBe(expected.ipv6)
}
