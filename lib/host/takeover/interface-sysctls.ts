/** Settings of a NIC under /proc/sys/net that a link in its place needs, too. */
import type { Netlink } from '../../link/netlink.js'
import { readSysctls, type Sysctl } from '../step.js'

const IPV4 = [
  'accept_local',
  'accept_redirects',
  'accept_source_route',
  'arp_accept',
  'arp_announce',
  'arp_evict_nocarrier',
  'arp_filter',
  'arp_ignore',
  'arp_notify',
  'bc_forwarding',
  'disable_policy',
  'disable_xfrm',
  'drop_gratuitous_arp',
  'drop_unicast_in_l2_multicast',
  'force_igmp_version',
  'forwarding',
  'ignore_routes_with_linkdown',
  'igmpv2_unsolicited_report_interval',
  'igmpv3_unsolicited_report_interval',
  'log_martians',
  'promote_secondaries',
  'proxy_arp',
  'proxy_arp_pvlan',
  'route_localnet',
  'rp_filter',
  'secure_redirects',
  'send_redirects',
  'shared_media',
  'src_valid_mark'
]
/** `disable_ipv6` first: what comes after it is there in any case, but has no effect without. */
const IPV6 = [
  'disable_ipv6',
  'accept_ra',
  'accept_dad',
  'accept_ra_defrtr',
  'accept_ra_from_local',
  'accept_ra_min_hop_limit',
  'accept_ra_min_lft',
  'accept_ra_mtu',
  'accept_ra_pinfo',
  'accept_ra_rt_info_max_plen',
  'accept_ra_rt_info_min_plen',
  'accept_ra_rtr_pref',
  'accept_redirects',
  'accept_source_route',
  'accept_untracked_na',
  'autoconf',
  'dad_transmits',
  'disable_policy',
  'drop_unicast_in_l2_multicast',
  'drop_unsolicited_na',
  'force_mld_version',
  'force_tllao',
  'forwarding',
  'hop_limit',
  'ignore_routes_with_linkdown',
  'keep_addr_on_down',
  'max_addresses',
  'ndisc_evict_nocarrier',
  'ndisc_notify',
  'ndisc_tclass',
  'optimistic_dad',
  'proxy_ndp',
  'ra_defrtr_metric',
  'ra_honor_pio_life',
  'router_probe_interval',
  'router_solicitation_delay',
  'router_solicitation_interval',
  'router_solicitation_max_interval',
  'router_solicitations',
  'suppress_frag_ndisc',
  'temp_prefered_lft',
  'temp_valid_lft',
  'use_oif_addrs_only',
  'use_optimistic',
  'use_tempaddr'
]

const names = (link: string): string[] => [
  ...IPV4.map(name => `net/ipv4/conf/${link}/${name}`),
  ...IPV6.map(name => `net/ipv6/conf/${link}/${name}`)
]

/** Those that a new link would not have by itself. */
export async function sysctlsToCopy(net: Netlink, from: string, to: string): Promise<Sysctl[]> {
  const [own, usual] = await Promise.all([readSysctls(net, names(from)), readSysctls(net, names('default'))])
  return names(to).flatMap((name, at) => {
    const value = own[at]
    return value === undefined || value === usual[at] ? [] : [{ name, value }]
  })
}

/** What `rp_filter` of a link has to be while its traffic comes by one link and goes by the other: loose. */
export interface ReversePath {
  readonly loose: Sysctl
  readonly final: Sysctl
}

/**
 * `undefined` where the kernel does not check the way back strictly (RFC 3704). The larger of `all` and the link counts.
 *
 * @param like the link whose setting `link` has, or gets
 */
export async function reversePath(net: Netlink, like: string, link: string): Promise<ReversePath | undefined> {
  const read = ['all', like].map(name => `net/ipv4/conf/${name}/rp_filter`)
  const [all = '0', own = '0'] = (await readSysctls(net, read)).map(value => value ?? '0')
  if (Math.max(Number(all), Number(own)) !== 1) return undefined
  const name = `net/ipv4/conf/${link}/rp_filter`
  return { loose: { name, value: '2' }, final: { name, value: own } }
}
