/** The options of a network, checked as a whole. */
import { isIPv6 } from 'node:net'
import { invalidArgument } from '../../errors.js'
import { type IpPrefix, parsePrefix } from '../../link/ip-prefix.js'
import * as check from './checks.js'
import type { Dhcp4Options, Dhcp6Options, DnsmasqOptions, DnsOptions, HostRecord, Reservation } from './options.js'
import { networkAddress } from './subnet.js'

const KEYS = new Set([
  'name',
  'interface',
  'netns',
  'addresses',
  'dhcp4',
  'dhcp6',
  'dns',
  'domain',
  'reservations',
  'hosts',
  'maxLeases',
  'directory',
  'program',
  'user',
  'startTimeout',
  'stopTimeout',
  'restart',
  'signal'
])

/** The interface's addresses, by family. */
export interface Subnets {
  readonly inet: readonly IpPrefix[]
  readonly inet6: readonly IpPrefix[]
}

/** @throws LinkwrightError `ERR_INVALID_ARG_VALUE` with the path of what is wrong */
export function checkOptions(options: DnsmasqOptions): Subnets {
  check.checkKeys(options, KEYS)
  check.networkName(options.name, 'name')
  check.interfaceName(options.interface, 'interface')
  if (typeof options.netns === 'object' && options.netns !== null && 'new' in options.netns) {
    throw invalidArgument('netns', 'a namespace that is there', options.netns)
  }
  const subnets = checkAddresses(options.addresses)
  if (options.dhcp4 !== undefined) checkDhcp4(options.dhcp4, subnets.inet)
  if (options.dhcp6 !== undefined) checkDhcp6(options.dhcp6, subnets.inet6)
  if (options.dns !== undefined && options.dns !== false) checkDns(options.dns)
  if (options.domain !== undefined) check.domainName(options.domain, 'domain')
  if (options.maxLeases !== undefined) check.integer(options.maxLeases, 'maxLeases', 1, 1_000_000)
  for (const key of ['directory', 'program'] as const) {
    if (options[key] !== undefined) check.filePath(options[key], key)
  }
  if (options.user !== undefined) check.hostname(options.user, 'user')
  check.milliseconds(options.startTimeout, 'startTimeout')
  check.milliseconds(options.stopTimeout, 'stopTimeout')
  checkRestart(options.restart)
  checkReservations(options.reservations, subnets)
  checkHosts(options.hosts)
  return subnets
}

function checkAddresses(addresses: readonly string[]): Subnets {
  const prefixes: IpPrefix[] = []
  check.eachOf(addresses ?? null, 'addresses', (item, path) => prefixes.push(check.ownAddress(item, path)))
  if (prefixes.length === 0) throw invalidArgument('addresses', 'at least one address of the interface', addresses)
  return {
    inet: prefixes.filter(({ family }) => family === 'inet'),
    inet6: prefixes.filter(({ family }) => family === 'inet6')
  }
}

function checkDhcp4(dhcp: Dhcp4Options, subnets: readonly IpPrefix[]): void {
  check.keysOf(dhcp, 'dhcp4', 'ranges', 'lease', 'router', 'dnsServers', 'mtu', 'routes', 'ping')
  if (subnets.length === 0) throw invalidArgument('dhcp4', 'nothing without an IPv4 address in addresses', dhcp)
  check.eachOf(dhcp.ranges, 'dhcp4.ranges', (range, path) => check.range(range, path, subnets))
  check.lease(dhcp.lease, 'dhcp4.lease')
  if (dhcp.router !== undefined && dhcp.router !== false) {
    check.ipv4(dhcp.router, 'dhcp4.router')
    check.subnetOf(dhcp.router, 'dhcp4.router', subnets)
  }
  check.boolean(dhcp.ping, 'dhcp4.ping')
  check.eachOf(dhcp.dnsServers, 'dhcp4.dnsServers', check.ipv4)
  if (dhcp.mtu !== undefined) check.integer(dhcp.mtu, 'dhcp4.mtu', check.LEAST_MTU.inet, 65535)
  check.eachOf(dhcp.routes, 'dhcp4.routes', (route, path) => {
    check.keysOf(route, path, 'to', 'via')
    const to = parsePrefix(route.to, `${path}.to`)
    if (to.family !== 'inet' || networkAddress(to) !== to.address) {
      throw invalidArgument(`${path}.to`, 'an IPv4 network such as 198.51.100.0/24', route.to)
    }
    check.ipv4(route.via, `${path}.via`)
  })
}

function checkDhcp6(dhcp: Dhcp6Options, subnets: readonly IpPrefix[]): void {
  check.keysOf(dhcp, 'dhcp6', 'mode', 'ranges', 'lease', 'router', 'mtu')
  if (subnets.length === 0) throw invalidArgument('dhcp6', 'nothing without an IPv6 address in addresses', dhcp)
  const modes = ['ra-only', 'ra-stateless', 'slaac', 'stateful']
  if (!modes.includes(dhcp.mode)) throw invalidArgument('dhcp6.mode', `one of ${modes.join(', ')}`, dhcp.mode)
  if (dhcp.mode.startsWith('ra-') && dhcp.ranges !== undefined) {
    throw invalidArgument('dhcp6.ranges', `nothing with ${dhcp.mode}, which gives no addresses`, dhcp.ranges)
  }
  // Guests take no prefix of another length to make addresses of (RFC 4862), and dnsmasq advertises none.
  const advertised = dhcp.mode !== 'stateful' && subnets.find(({ length }) => length !== 64)
  if (advertised) {
    throw invalidArgument(
      'addresses',
      `IPv6 subnets of 64 bits with ${dhcp.mode}`,
      `${advertised.address}/${advertised.length}`
    )
  }
  const short = subnets.find(({ length }) => length < 64)
  if (short) throw invalidArgument('addresses', 'IPv6 subnets of 64 bits or more', `${short.address}/${short.length}`)
  check.eachOf(dhcp.ranges, 'dhcp6.ranges', (range, path) => check.range(range, path, subnets))
  check.lease(dhcp.lease, 'dhcp6.lease')
  check.boolean(dhcp.router, 'dhcp6.router')
  if (dhcp.mtu !== undefined) check.integer(dhcp.mtu, 'dhcp6.mtu', check.LEAST_MTU.inet6, 65535)
}

function checkDns(dns: DnsOptions): void {
  check.keysOf(dns, 'dns', 'upstream', 'hostsFile', 'cname', 'srv', 'txt')
  const { upstream } = dns
  if (upstream !== undefined && upstream !== 'none' && upstream !== 'resolv.conf') {
    check.eachOf(upstream, 'dns.upstream', (server, path) => {
      if (typeof server === 'string') return check.address(server, path)
      check.keysOf(server, path, 'address', 'port', 'domains')
      check.address(server.address, `${path}.address`)
      if (server.port !== undefined) check.integer(server.port, `${path}.port`, 1, 65535)
      check.eachOf(server.domains, `${path}.domains`, check.domainName)
    })
  }
  check.boolean(dns.hostsFile, 'dns.hostsFile')
  check.eachOf(dns.cname, 'dns.cname', ({ alias, target, ...rest }, path) => {
    check.keysOf(rest, path)
    check.domainName(alias, `${path}.alias`)
    check.domainName(target, `${path}.target`)
  })
  check.eachOf(dns.srv, 'dns.srv', ({ name, target, port, priority, weight, ...rest }, path) => {
    check.keysOf(rest, path)
    check.domainName(name, `${path}.name`)
    check.domainName(target, `${path}.target`)
    check.integer(port, `${path}.port`, 1, 65535)
    check.integer(priority ?? 0, `${path}.priority`, 0, 65535)
    check.integer(weight ?? 0, `${path}.weight`, 0, 65535)
  })
  check.eachOf(dns.txt, 'dns.txt', (record, path) => {
    check.keysOf(record, path, 'name', 'text')
    check.domainName(record.name, `${path}.name`)
    check.text(record.text, `${path}.text`)
  })
}

function checkRestart(restart: DnsmasqOptions['restart']): void {
  if (restart === undefined) return
  check.keysOf(restart, 'restart', 'attempts', 'delay', 'longest', 'lasting')
  if (restart.attempts !== undefined) check.integer(restart.attempts, 'restart.attempts', 0, 1_000_000)
  check.milliseconds(restart.delay, 'restart.delay')
  check.milliseconds(restart.longest, 'restart.longest')
  check.milliseconds(restart.lasting, 'restart.lasting')
}

/** @throws LinkwrightError `ERR_INVALID_ARG_VALUE`, also for an address, MAC or name that two of them have */
export function checkReservations(reservations: readonly Reservation[] | undefined, subnets: Subnets): void {
  const seen = new Map<string, string>()
  const once = (value: string | undefined, path: string) => {
    if (value === undefined) return
    const key = isIPv6(value) ? networkAddress({ family: 'inet6', address: value, length: 128 }) : value.toLowerCase()
    const other = seen.get(key)
    if (other) throw invalidArgument(path, `what ${other} does not have`, value)
    seen.set(key, path)
  }
  check.eachOf(reservations, 'reservations', (one, path) => {
    check.keysOf(one, path, 'mac', 'clientId', 'ipv4', 'ipv6', 'hostname', 'lease')
    if (one.mac === undefined && one.clientId === undefined) throw invalidArgument(path, 'a mac or a clientId', one)
    if (one.mac !== undefined) check.mac(one.mac, `${path}.mac`)
    if (one.clientId !== undefined) check.clientId(one.clientId, `${path}.clientId`)
    if (one.hostname !== undefined) check.guestName(one.hostname, `${path}.hostname`)
    if (one.ipv4 !== undefined) {
      check.ipv4(one.ipv4, `${path}.ipv4`)
      check.subnetOf(one.ipv4, `${path}.ipv4`, subnets.inet)
    }
    if (one.ipv6 !== undefined) {
      check.ipv6(one.ipv6, `${path}.ipv6`)
      check.subnetOf(one.ipv6, `${path}.ipv6`, subnets.inet6)
    }
    check.lease(one.lease, `${path}.lease`)
    once(one.mac, `${path}.mac`)
    once(one.clientId, `${path}.clientId`)
    once(one.hostname, `${path}.hostname`)
    once(one.ipv4, `${path}.ipv4`)
    once(one.ipv6, `${path}.ipv6`)
  })
}

export function checkHosts(hosts: readonly HostRecord[] | undefined): void {
  check.eachOf(hosts, 'hosts', (host, path) => {
    check.keysOf(host, path, 'addresses', 'names')
    check.eachOf(host.addresses ?? null, `${path}.addresses`, check.address)
    check.eachOf(host.names ?? null, `${path}.names`, check.domainName)
    if (host.names.length === 0) throw invalidArgument(`${path}.names`, 'at least one name', host.names)
  })
}
