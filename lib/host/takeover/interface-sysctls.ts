/** Settings of a NIC under /proc/sys/net that a link in its place needs, too. */
import type { Netlink } from '../../link/netlink.js'
import { readSysctls, type Sysctl } from '../step.js'

const IPV4 = [
  'accept_local',
  'accept_redirects',
  'accept_source_route',
  'arp_accept',
  'arp_announce',
  'arp_filter',
  'arp_ignore',
  'arp_notify',
  'forwarding',
  'log_martians',
  'promote_secondaries',
  'proxy_arp',
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
  'accept_ra_defrtr',
  'accept_ra_pinfo',
  'accept_redirects',
  'autoconf',
  'forwarding',
  'hop_limit',
  'proxy_ndp',
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
