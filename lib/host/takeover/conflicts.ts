/** What stands against taking a NIC over, and what should be known. */
import { existsSync } from 'node:fs'
import type { Link } from '../../link/link.js'
import type { Finding } from '../finding.js'
import { isEncapsulated } from './routes.js'
import type { Situation } from './situation.js'

const ARPHRD_ETHER = 1
const FOREVER = 0xffffffff
/** They and a bridge want the same hook of a device. */
export const RX_HANDLERS = new Set(['macvlan', 'macvtap', 'ipvlan', 'ipvtap'])

/** They look for a route over the link that they are bound to. */
const TUNNELS = new Set('vxlan gre gretap erspan ip6gre ip6gretap ip6erspan ipip sit ip6tnl vti vti6'.split(' '))

/** Of the NIC, whatever takes it over. */
export function conflictsOf(
  { nic, links, addresses }: Situation,
  into: 'bridge' | 'macvlan',
  ownNetns: boolean
): Finding[] {
  const { name = '' } = nic
  const found: Finding[] = []
  const add = (code: string, message: string) => found.push({ code, message, about: name })
  if (nic.type !== ARPHRD_ETHER || nic.flags.loopback) add('not-ethernet', `${name} is no Ethernet device`)
  if (!nic.up) add('nic-down', `${name} is down: its routes are gone already`)
  if (nic.master) add('already-a-port', `${name} is a port of ${nameIn(links, nic.master)}`)
  for (const address of addresses.filter(({ flags }) => flags?.dadfailed)) {
    add('duplicate-address', `another host has ${address}, and it is not in use: remove it from ${name}`)
  }
  if (nic.kind === 'bridge' && into === 'bridge') add('is-a-bridge', `${name} is a bridge itself`)
  if (into === 'bridge') {
    for (const child of childrenOf(nic, links).filter(({ kind = '' }) => RX_HANDLERS.has(kind))) {
      add('upper-link', `${child.name} (${child.kind}) is on ${name}, which cannot be a port as well (EBUSY)`)
    }
    // Its sysfs can only be seen in our own namespace.
    if (ownNetns && existsSync(`/sys/class/net/${name}/phy80211`)) {
      add('wireless', `${name} is wireless: an access point drops frames of other addresses than its own`)
    }
  } else if (childrenOf(nic, links).some(child => (child.data as { mode?: string } | undefined)?.mode === 'passthru')) {
    add('upper-link', `${name} is taken by a link in mode passthru`)
  }
  return found
}

/** Of a bridge that exists. */
export function bridgeConflicts(bridge: Link, { nic }: Situation): { conflicts: Finding[]; warnings: Finding[] } {
  const { name = '' } = bridge
  const conflicts: Finding[] = []
  const warnings: Finding[] = []
  if (!bridge.is('bridge')) {
    conflicts.push({ code: 'not-a-bridge', message: `${name} exists and is no bridge`, about: name })
    return { conflicts, warnings }
  }
  const warn = (code: string, message: string) => warnings.push({ code, message, about: name })
  if (!bridge.up) conflicts.push({ code: 'bridge-down', message: `${name} is down`, about: name })
  if (bridge.data.stp) {
    const message = `${name} has STP: nothing passes a new port for twice its forward delay`
    conflicts.push({ code: 'stp', message, about: name })
  }
  if (bridge.data.vlanFiltering) warn('vlan-filtering', `${name} filters VLANs: ${nic.name} gets its default VLAN`)
  if (bridge.address !== nic.address) {
    warn('another-mac', `${name} keeps its address ${bridge.address}; others know the host as ${nic.address}`)
  }
  if ((bridge.mtu ?? 0) < (nic.mtu ?? 0)) warn('mtu', `${name} has an MTU of ${bridge.mtu}, ${nic.name} ${nic.mtu}`)
  return { conflicts, warnings }
}

export function warningsOf(situation: Situation): Finding[] {
  const { nic, links, addresses, temporary, routes } = situation
  const { name = '' } = nic
  const found: Finding[] = []
  for (const child of childrenOf(nic, links).filter(({ kind }) => kind === 'vlan')) {
    const message = `${child.name} stays on ${name}: frames of its VLAN do not reach the bridge`
    found.push({ code: 'vlan-upper', message, about: child.name })
  }
  const isBound = ({ link, data }: Link) => link === nic.index || (data as { dev?: number })?.dev === nic.index
  for (const child of links.filter(link => TUNNELS.has(link.kind ?? '') && isBound(link))) {
    const message = `${child.name} (${child.kind}) sends by ${name} only, which has no routes then: set its link anew`
    found.push({ code: 'bound-tunnel', message, about: child.name })
  }
  for (const address of addresses) {
    const valid = address.cacheinfo?.valid ?? FOREVER
    if (valid === FOREVER) continue
    const renewer = address.family === 'inet6' ? 'a router advertisement' : 'a DHCP client'
    const message = `${address} expires in ${valid} s unless ${renewer} renews it on the new link`
    found.push({ code: 'address-expires', message, about: String(address) })
  }
  for (const address of temporary) {
    const message = `${address} is temporary: it is not moved, and ends with the address that it was made from`
    found.push({ code: 'temporary-address', message, about: String(address) })
  }
  for (const route of routes) {
    const about = route.destination
    if (isEncapsulated(route)) {
      found.push({ code: 'encapsulation', message: `the encapsulation of ${about} is moved as it is`, about })
    }
  }
  return found
}

/** Links on top of another in the same namespace. */
function childrenOf(nic: Link, links: readonly Link[]): Link[] {
  return links.filter(
    link =>
      link.link === nic.index && link.linkNetnsid === undefined && link.index !== nic.index && link.kind !== 'veth'
  )
}

const nameIn = (links: readonly Link[], index: number): string =>
  links.find(link => link.index === index)?.name ?? `index ${index}`
