/** What the sets have of a port. */
import type { Element } from '../../../firewall/elements.js'
import type { NftSet } from '../../../firewall/objects.js'
import type { AntiSpoofing, Identity, Sources } from './options.js'
import { linkLocalOf } from './prefixes.js'
import { SET_NAMES, type SetName } from './table.js'

export type Elements = Readonly<Record<SetName, readonly Element[]>>

const GUEST = { goto: 'guest' } as const

/** @param mark of this link's life */
export function elementsOf(index: number, identity: Identity, mark: string): Elements {
  const { macs, ipv4, ipv6, dhcpServer, router, vlanTags } = identity
  const keyed = (values: readonly string[]) => values.map((value): Element => ({ key: [index, value] }))
  const flag = (on: boolean): Element[] => (on ? [{ key: index }] : [])
  const { addresses: ipv4Addresses, prefixes: ipv4Prefixes } = listed(ipv4)
  const { addresses: ipv6Addresses, prefixes: ipv6Prefixes } = listed(ipv6)
  return {
    ports: [{ key: index, value: GUEST, comment: mark }],
    macs: keyed(macs),
    ipv4: keyed(ipv4Addresses),
    'ipv4-prefixes': keyed(ipv4Prefixes),
    ipv6: keyed(ipv6Addresses),
    'ipv6-prefixes': keyed(ipv6Prefixes),
    'any-ipv4': flag(ipv4 === 'any'),
    'any-ipv6': flag(ipv6 === 'any'),
    'dhcp-servers': flag(dhcpServer),
    routers: flag(router),
    'vlan-tags': flag(vlanTags)
  }
}

function listed(sources: Sources) {
  return sources === 'any' ? { addresses: [], prefixes: [] } : sources
}

/** The mark of the link that elements are for. */
export function markIn({ ports: [port] }: Elements): string | undefined {
  return port?.comment
}

/** The elements of sets that were read, by ifindex. */
export function byPort(sets: readonly NftSet[]): Map<number, Elements> {
  const found = new Map<number, Record<SetName, Element[]>>()
  for (const name of SET_NAMES) {
    for (const element of sets.find(set => set.name === name)?.elements ?? []) {
      const index = Number([element.key].flat()[0])
      let own = found.get(index)
      if (!own) {
        own = Object.fromEntries(SET_NAMES.map(set => [set, []])) as unknown as Record<SetName, Element[]>
        found.set(index, own)
      }
      own[name].push(element)
    }
  }
  return found
}

/** What elements were made from. */
export function optionsIn(elements: Elements): AntiSpoofing {
  const values = (name: SetName) => elements[name].map(({ key }) => String([key].flat()[1]))
  const any = (family: 'ipv4' | 'ipv6') => elements[`any-${family}`].length > 0
  const mac = values('macs')
  const own = new Set(mac.map(linkLocalOf))
  const ips = [
    ...(any('ipv4') ? ['0.0.0.0/0'] : [...values('ipv4'), ...values('ipv4-prefixes')]),
    ...(any('ipv6') ? ['::/0'] : [...values('ipv6').filter(ip => !own.has(ip)), ...values('ipv6-prefixes')])
  ]
  return {
    mac: mac.length === 1 ? (mac[0] as string) : mac,
    ...(any('ipv4') && any('ipv6') ? {} : { ips }),
    ...(elements['dhcp-servers'].length > 0 ? { dhcpServer: true } : {}),
    ...(elements.routers.length > 0 ? { router: true } : {}),
    ...(elements['vlan-tags'].length > 0 ? { vlanTags: true } : {})
  }
}
