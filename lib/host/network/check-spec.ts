/** A spec looked at before anything is planned. */
import { isIP, isIPv4 } from 'node:net'
import { renamePath } from '../../codec/codec.js'
import { invalidArgument } from '../../errors.js'
import { type IpPrefix, parsePrefix } from '../../link/ip-prefix.js'
import { checkOptions } from '../dnsmasq/check-options.js'
import * as check from '../dnsmasq/checks.js'
import { addressNumber, bounds, networkAddress } from '../dnsmasq/subnet.js'
import { checkTogether } from './check-together.js'
import { checkPorts as checkGuestPorts } from './guest-ports/check.js'
import { servicesOf } from './services.js'
import type {
  BridgeNetwork,
  BridgeSettings,
  DirectNetwork,
  GuestNetwork,
  NatNetwork,
  NetworkSpec,
  NetworksSpec,
  RoutedNetwork
} from './spec.js'
import { prefixesOf } from './subnets.js'

const BRIDGE = ['kind', 'addresses', 'mac', 'mtu', 'stp', 'forwardDelay', 'vlanFiltering', 'mcastSnooping']
const SERVICES = ['dhcp4', 'dhcp6', 'dns', 'domain', 'reservations', 'hosts', 'dhcp4Checksum']
const KEYS: Record<NetworkSpec['kind'], readonly string[]> = {
  bridge: [...BRIDGE, 'ports', 'takeover', 'gateway', 'routes'],
  nat: [...BRIDGE, ...SERVICES, 'forward'],
  routed: [...BRIDGE, ...SERVICES, 'forward'],
  isolated: [...BRIDGE, ...SERVICES],
  direct: ['kind', 'link', 'mode', 'hostPeer']
}
const MODES = ['bridge', 'private', 'vepa', 'passthru', 'source']

/** @throws LinkwrightError `ERR_INVALID_ARG_VALUE` with the path of what is wrong: `networks.virbr0.addresses[0]` */
export function checkSpec(spec: NetworksSpec): void {
  check.checkKeys(spec, new Set(['networks', 'ports']))
  const { networks } = spec
  if (typeof networks !== 'object' || networks === null || Array.isArray(networks) || networks instanceof Map) {
    throw invalidArgument('networks', 'networks by name', networks)
  }
  const claims = new Map<string, string>()
  const claim = (link: string, path: string, owner: string) => {
    const other = claims.get(link)
    if (other) throw invalidArgument(path, `a link that ${other} does not have`, link)
    claims.set(link, owner)
  }
  for (const [name, network] of Object.entries(networks)) {
    const path = `networks.${name}`
    // The same name is that of a link, of its owner and of a table.
    check.networkName(name, path)
    linkName(name, path)
    checkNetwork(network, path)
    for (const [link, where] of linksOf(name, network)) claim(link, `${path}${where}`, path)
  }
  checkGuestPorts(spec, (name, path) => {
    linkName(name, path)
    claim(name, path, path)
  })
  checkTogether(networks, claims)
}

/** Links that a network has for itself, and where the spec says so. */
function linksOf(name: string, network: NetworkSpec): [link: string, where: string][] {
  if (network.kind === 'direct') return network.hostPeer === undefined ? [] : [[network.hostPeer, '.hostPeer']]
  const ports = network.kind === 'bridge' ? (network.ports ?? []) : []
  return [[name, ''], ...ports.map((port, at): [string, string] => [port, `.ports[${at}]`])]
}

function checkNetwork(network: NetworkSpec, path: string): void {
  if (typeof network !== 'object' || network === null) throw invalidArgument(path, 'a network', network)
  const keys = Object.hasOwn(KEYS, network.kind) ? KEYS[network.kind] : undefined
  if (!keys) throw invalidArgument(`${path}.kind`, `one of ${Object.keys(KEYS).join(', ')}`, network.kind)
  check.keysOf(network, path, ...keys)
  if (network.kind === 'direct') checkDirect(network, path)
  else checkBridge(network, path)
  if (network.kind === 'bridge') checkPorts(network, path)
  else if (network.kind !== 'direct') checkGuests(network, path)
}

function checkGuests(network: GuestNetwork, path: string): void {
  if (network.kind !== 'isolated') checkForward(network, path)
  const prefixes = prefixesOf(network)
  if (network.kind !== 'isolated' && prefixes.length === 0) {
    throw invalidArgument(`${path}.addresses`, `at least one address for kind ${network.kind}`, network.addresses)
  }
  checkServices(network, path)
  if (network.dhcp4Checksum !== undefined && network.dhcp4Checksum !== 'none') {
    throw invalidArgument(`${path}.dhcp4Checksum`, "'none'", network.dhcp4Checksum)
  }
}

/** By the checks of dnsmasq's own options. */
function checkServices(network: GuestNetwork, path: string): void {
  for (const key of ['dhcp4', 'dhcp6'] as const) {
    if (network[key] !== undefined && !network[key]) throw invalidArgument(`${path}.${key}`, 'an object', network[key])
  }
  if (network.dns === null) throw invalidArgument(`${path}.dns`, 'an object, or false', network.dns)
  const options = servicesOf('checked', network)
  for (const key of options ? [] : (['domain', 'reservations', 'hosts'] as const)) {
    if (network[key] !== undefined) {
      throw invalidArgument(`${path}.${key}`, 'nothing without dhcp4, dhcp6 or dns', network[key])
    }
  }
  if (!options) return
  if (prefixesOf(network).length === 0) {
    throw invalidArgument(
      `${path}.addresses`,
      'an address of the host, which DHCP and DNS are served at',
      network.addresses
    )
  }
  try {
    checkOptions(options)
  } catch (error) {
    throw renamePath(error, inner => `${path}.${inner}`)
  }
}

function checkBridge(network: BridgeSettings, path: string): void {
  check.eachOf(network.addresses, `${path}.addresses`, checkAddress)
  if (network.mac !== undefined) {
    check.mac(network.mac, `${path}.mac`)
    if (Number.parseInt(network.mac.slice(0, 2), 16) & 1) {
      throw invalidArgument(`${path}.mac`, 'a unicast address (its first byte even)', network.mac)
    }
    if (/^[0:]+$/.test(network.mac)) throw invalidArgument(`${path}.mac`, 'an address that is not zero', network.mac)
  }
  if (network.mtu !== undefined) {
    // The kernel takes IPv6 off a link that is narrower.
    const least = prefixesOf(network).some(({ family }) => family === 'inet6') ? 'inet6' : 'inet'
    check.integer(network.mtu, `${path}.mtu`, check.LEAST_MTU[least], 65535)
  }
  for (const key of ['stp', 'vlanFiltering', 'mcastSnooping'] as const) check.boolean(network[key], `${path}.${key}`)
  const { forwardDelay } = network
  if (forwardDelay === undefined) return
  const [least, most] = network.stp ? [2, 30] : [0, 30]
  const right = typeof forwardDelay === 'number' && forwardDelay >= least && forwardDelay <= most
  if (!right) throw invalidArgument(`${path}.forwardDelay`, `${least} to ${most} seconds`, forwardDelay)
}

function checkAddress(address: string, path: string): void {
  const prefix = check.ownAddress(address, path)
  const { first, last } = bounds(prefix)
  if (!isHosts(prefix)) throw invalidArgument(path, 'an address that a host can have on a link', address)
  if (prefix.family === 'inet' && prefix.length < 31) {
    const number = bounds({ ...prefix, length: 32 }).first
    if (number === first || number === last) throw invalidArgument(path, "a host's address of its subnet", address)
  }
}

/** 224.0.0.0/3 are groups and what has no use yet; of IPv6 those groups, `::`, `::1` and what stands for IPv4. */
function isHosts({ family, address, length }: IpPrefix): boolean {
  const number = addressNumber(address)
  if (length === 0) return false
  if (family === 'inet6') return number >> 32n > 0xffffn && number >> 120n !== 0xffn
  return number >> 24n !== 0n && number >> 24n !== 127n && number >> 29n !== 7n
}

function checkPorts(network: BridgeNetwork, path: string): void {
  const { ports = [], takeover, gateway, routes } = network
  check.eachOf(ports, `${path}.ports`, linkName)
  check.boolean(takeover, `${path}.takeover`)
  if (takeover && ports.length !== 1) throw invalidArgument(`${path}.takeover`, 'exactly one of ports', ports)
  const gateways = gateway === undefined ? [] : [gateway].flat()
  check.eachOf(gateways, `${path}.gateway`, check.address)
  if (new Set(gateways.map(isIP)).size < gateways.length) {
    throw invalidArgument(`${path}.gateway`, 'one gateway for IPv4 and one for IPv6', gateway)
  }
  const own = prefixesOf(network).map(({ address }) => addressNumber(address))
  for (const each of gateways) {
    if (own.includes(addressNumber(each))) throw invalidArgument(`${path}.gateway`, 'the address of another host', each)
  }
  check.eachOf(routes, `${path}.routes`, (route, at) => {
    check.keysOf(route, at, 'to', 'via', 'metric')
    check.address(route.via, `${at}.via`)
    if (route.metric !== undefined) check.integer(route.metric, `${at}.metric`, 0, 0xffff_ffff)
    if (route.to === 'default') return
    const to = parsePrefix(route.to, `${at}.to`)
    if ((to.family === 'inet') !== isIPv4(route.via))
      throw invalidArgument(`${at}.via`, `an address of ${to.family}`, route.via)
    if (networkAddress(to) !== networkAddress({ ...to, length: to.family === 'inet' ? 32 : 128 })) {
      throw invalidArgument(`${at}.to`, 'a network: its host bits zero', route.to)
    }
  })
}

function checkForward({ kind, forward }: NatNetwork | RoutedNetwork, path: string): void {
  if (forward === undefined) return
  const at = `${path}.forward`
  check.keysOf(forward, at, ...(kind === 'nat' ? ['link', 'ports', 'ipv6'] : ['link']))
  if (forward.link !== undefined) linkName(forward.link, `${at}.link`)
  const { ports, ipv6 } = forward as NonNullable<NatNetwork['forward']>
  if (ipv6 !== undefined && ipv6 !== 'masquerade' && ipv6 !== 'route') {
    throw invalidArgument(`${at}.ipv6`, "'masquerade' or 'route'", ipv6)
  }
  if (ports === undefined) return
  const [, first, last] = /^([1-9]\d{0,4})-([1-9]\d{0,4})$/.exec(String(ports)) ?? []
  const right = first !== undefined && Number(first) >= 1 && Number(first) <= Number(last) && Number(last) <= 65535
  if (!right) throw invalidArgument(`${at}.ports`, 'a range of ports such as 1024-65535', ports)
}

function checkDirect(network: DirectNetwork, path: string): void {
  linkName(network.link, `${path}.link`)
  if (!MODES.includes(network.mode)) throw invalidArgument(`${path}.mode`, `one of ${MODES.join(', ')}`, network.mode)
  if (network.hostPeer === undefined) return
  linkName(network.hostPeer, `${path}.hostPeer`)
  // Others do not let a macvlan and a macvtap of the same NIC talk to each other.
  if (network.mode !== 'bridge')
    throw invalidArgument(`${path}.hostPeer`, `nothing in mode ${network.mode}`, network.hostPeer)
}

function linkName(value: unknown, path: string): void {
  check.interfaceName(value, path)
  if (value === '.' || value === '..' || value === '__proto__' || value === 'all' || value === 'default') {
    throw invalidArgument(path, "a link's name that the kernel does not keep for itself", value)
  }
}
