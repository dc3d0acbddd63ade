/** Ports of a spec looked at before anything is planned. */
import { renamePath } from '../../../codec/codec.js'
import { invalidArgument } from '../../../errors.js'
import { shapesOf } from '../../../link/bandwidth/bandwidth.js'
import * as check from '../../dnsmasq/checks.js'
import { macList } from '../../port/mac-list.js'
import { checkSettings } from '../../port/settings.js'
import type { NetworkSpec, NetworksSpec } from '../spec.js'
import { type GuestPortSpec, settingsOf } from './spec.js'

const EVERY = ['network', 'mac', 'mtu', 'ipv6', 'bandwidth']
const TAP = ['uid', 'gid', 'vnetHeader', 'multiQueue', 'antiSpoofing', 'isolated', 'staticFdb', 'vlans', 'carrier']
const IDENTITY = ['mac', 'ips', 'dhcpServer', 'router', 'vlanTags']
/** The two last ids stand for none. */
const LAST_ID = 0xffff_fffe

/**
 * @param claim refuses the name of a link at a path that is taken
 * @throws LinkwrightError `ERR_INVALID_ARG_VALUE` with the path of what is wrong: `ports.vnet0.antiSpoofing.ips[0]`
 */
export function checkPorts({ ports, networks }: NetworksSpec, claim: (name: string, path: string) => void): void {
  if (ports === undefined) return
  if (typeof ports !== 'object' || ports === null || Array.isArray(ports)) {
    throw invalidArgument('ports', 'ports by name', ports)
  }
  const exclusive = new Map<string, string>()
  for (const [name, port] of Object.entries(ports)) {
    const path = `ports.${name}`
    claim(name, path)
    if (typeof port !== 'object' || port === null) throw invalidArgument(path, 'a port', port)
    const network = Object.hasOwn(networks, String(port.network)) ? networks[port.network] : undefined
    if (!network) throw invalidArgument(`${path}.network`, `one of ${Object.keys(networks).join(', ')}`, port.network)
    check.keysOf(port, path, ...keysOn(network))
    if (network.kind === 'direct' && network.mode === 'passthru') {
      const other = exclusive.get(network.link)
      if (other)
        throw invalidArgument(
          `${path}.network`,
          `a network on another NIC than that of ${other}, which has it for itself`,
          port.network
        )
      exclusive.set(network.link, name)
    }
    checkPort(port, network, path)
  }
}

const keysOn = (network: NetworkSpec): string[] =>
  network.kind === 'direct' ? [...EVERY, ...(network.mode === 'source' ? ['sources'] : [])] : [...EVERY, ...TAP]

function checkPort(port: GuestPortSpec, network: NetworkSpec, path: string): void {
  const { mac, uid, gid, sources, antiSpoofing, staticFdb, bandwidth, mtu } = port
  if (mac !== undefined) oneMac(mac, `${path}.mac`)
  check.eachOf(sources, `${path}.sources`, oneMac)
  for (const [key, id] of Object.entries({ uid, gid })) {
    if (id !== undefined) check.integer(id, `${path}.${key}`, 0, LAST_ID)
  }
  for (const key of ['vnetHeader', 'multiQueue'] as const) check.boolean(port[key], `${path}.${key}`)
  if (typeof mtu === 'number') check.integer(mtu, `${path}.mtu`, 68, 65535)
  if (mtu === 'bridge' && network.kind === 'direct') throw invalidArgument(`${path}.mtu`, 'a number of bytes', mtu)
  if (antiSpoofing !== undefined && antiSpoofing !== null)
    check.keysOf(antiSpoofing, `${path}.antiSpoofing`, ...IDENTITY)
  if (antiSpoofing && antiSpoofing.mac === undefined && mac === undefined) {
    throw invalidArgument(`${path}.antiSpoofing.mac`, 'a MAC address, or one of the port', undefined)
  }
  if (staticFdb === true && mac === undefined) throw invalidArgument(`${path}.mac`, 'that of staticFdb', mac)
  checkVlans(port, network, path)
  try {
    checkSettings(settingsOf(port))
  } catch (error) {
    throw renamePath(error, inner => `${path}.${inner}`)
  }
  if (bandwidth === undefined || bandwidth === null) return
  try {
    shapesOf(bandwidth)
  } catch (error) {
    throw renamePath(error, inner => `${path}.bandwidth.${inner}`)
  }
}

/** On a bridge that is there the plan finds out. */
function checkVlans({ vlans }: GuestPortSpec, network: NetworkSpec, path: string): void {
  if (vlans === undefined || network.kind === 'direct' || network.vlanFiltering) return
  if (network.kind === 'bridge' && network.vlanFiltering === undefined) return
  throw invalidArgument(`${path}.vlans`, 'nothing on a network without vlanFiltering', vlans)
}

function oneMac(mac: unknown, path: string): void {
  macList(mac as string, path)
  if (typeof mac !== 'string') throw invalidArgument(path, 'a MAC address', mac)
}
