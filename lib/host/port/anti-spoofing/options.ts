/** What a guest may send as: as it is asked for, and as the ruleset has it. */
import { prefixPath } from '../../../codec/codec.js'
import { invalidArgument } from '../../../errors.js'
import { checkKeys } from '../../../options.js'
import { macList } from '../mac-list.js'
import { linkLocalOf, type Prefix, prefixOf, withoutContained } from './prefixes.js'

/**
 * Who a guest is. Frames of its port that say otherwise are dropped: Ethernet, ARP, IPv4, IPv6 and neighbour discovery
 * (RFC 4861) have to come from these addresses. So are router advertisements, redirects, answers of DHCP servers, VLAN
 * tags, and all that is neither IP nor ARP (nor the RARP of a guest that has moved).
 *
 * What netfilter cannot see: the virtio-net header of a guest says where a checksum is to be completed, and the kernel does
 * that behind all rules where the other port has no checksum offload. So a guest with such a header can have any two bytes
 * from the 20th on written there, those of an IP address among them.
 */
export interface AntiSpoofing {
  /** The guest's MAC address, or those of a guest that has several behind one port. */
  mac: string | readonly string[]
  /**
   * The guest's IP addresses and prefixes: `192.0.2.7`, `2001:db8:1::/64`. Left out, it may use any; with an empty list it
   * has none but the IPv6 link-local address that follows from its MAC address (modified EUI-64), which is always allowed.
   * A guest whose system makes up others (RFC 7217: Windows, NetworkManager) needs `fe80::/64`. What comes before there is
   * an address passes: DHCP requests, ARP probes and DAD for the addresses in the list, MLD, router solicitations.
   */
  ips?: readonly string[] | undefined
  /** The guest may answer DHCP and DHCPv6. `false` by default. */
  dhcpServer?: boolean | undefined
  /** The guest may send router advertisements and redirects. `false` by default. */
  router?: boolean | undefined
  /** The guest may tag its frames, once (802.1Q): what is inside of the tag is looked at likewise. `false` by default. */
  vlanTags?: boolean | undefined
}

/** The same with every address in one form. */
export interface Identity {
  readonly macs: readonly string[]
  readonly ipv4: Sources
  readonly ipv6: Sources
  readonly dhcpServer: boolean
  readonly router: boolean
  readonly vlanTags: boolean
}

/** Single addresses, and prefixes that do not overlap. */
export type Sources = { readonly addresses: readonly string[]; readonly prefixes: readonly string[] } | 'any'

const KEYS: ReadonlySet<string> = new Set<keyof AntiSpoofing>(['mac', 'ips', 'dhcpServer', 'router', 'vlanTags'])

/** @throws LinkwrightError `ERR_INVALID_ARG_VALUE`, with `antiSpoofing` before the path */
export function identityOf(given: AntiSpoofing): Identity {
  try {
    return identity(given)
  } catch (error) {
    throw prefixPath(error, 'antiSpoofing')
  }
}

function identity(given: AntiSpoofing): Identity {
  checkKeys(given, KEYS)
  const { mac, ips, dhcpServer = false, router = false, vlanTags = false } = given
  for (const [key, value] of Object.entries({ dhcpServer, router, vlanTags })) {
    if (typeof value !== 'boolean') throw invalidArgument(key, 'true or false', value)
  }
  const macs = macList(mac, 'mac')
  if (ips !== undefined && !Array.isArray(ips)) throw invalidArgument('ips', 'an array of IP addresses', ips)
  const all = ips?.map((ip, at) => prefixOf(ip, `ips[${at}]`))
  const own = macs.map(address => prefixOf(linkLocalOf(address), 'mac'))
  return {
    macs,
    ipv4: sources(all?.filter(({ family }) => family === 'inet')),
    ipv6: sources(all && [...all, ...own].filter(({ family }) => family === 'inet6')),
    dhcpServer,
    router,
    vlanTags
  }
}

function sources(all: readonly Prefix[] | undefined): Sources {
  if (!all || all.some(({ length }) => length === 0)) return 'any'
  const text = (single: boolean) => (each: Prefix) => (each.single === single ? [each.text] : [])
  return {
    addresses: [...new Set(all.flatMap(text(true)))],
    prefixes: withoutContained(all.filter(({ single }) => !single)).flatMap(text(false))
  }
}
