/** Where the datagrams of a tunnel come from and go to. */
import { isIPv6 } from 'node:net'
import { invalidArgument } from '../errors.js'
import { boolean, type Check, checkOptions } from '../tap/checks.js'
import { checkAddress, checkPort, SOCKET_PORT_CHECKS, type SocketPortOptions } from './socket-port.js'

/** An address and a port of UDP. */
export interface UdpEndpoint {
  /** IPv4 or IPv6; a link-local one with its link: `fe80::1%eth0`. */
  address: string
  port: number
}

export interface TunnelOptions extends SocketPortOptions {
  /**
   * Whether datagrams above the path's MTU are sent in fragments, which costs both sides much and is lost in many
   * networks. Off by default: they carry DF, and frames that do not fit are dropped and counted (`faults.tooLong`). Give
   * the network in the tunnel the port's `mtu` instead.
   */
  fragment?: boolean | undefined
}

export const TUNNEL_CHECKS: Record<keyof TunnelOptions, Check> = { ...SOCKET_PORT_CHECKS, fragment: boolean }

interface Given {
  address?: string | undefined
  port?: number | undefined
}

/** The remote's address, with a default for its port or none. */
export function remoteEndpoint(given: unknown, defaultPort?: number): UdpEndpoint {
  if (typeof given !== 'object' || given === null) throw invalidArgument('remote', 'an object', given)
  checkOptions(given, ENDPOINT_CHECKS, 'remote')
  const { address, port = defaultPort } = given as Given
  checkAddress(address, 'remote.address')
  checkPort(port, 'remote.port', 1)
  return { address, port }
}

/** The local address, any by default; of the same family as the remote's. */
export function localEndpoint(given: unknown, remote: UdpEndpoint, defaultPort: number): UdpEndpoint {
  if (given === undefined) return { address: '', port: defaultPort }
  if (typeof given !== 'object' || given === null) throw invalidArgument('local', 'an object', given)
  checkOptions(given, ENDPOINT_CHECKS, 'local')
  const { address, port = defaultPort } = given as Given
  if (address !== undefined && isIPv6(address) !== isIPv6(remote.address)) {
    throw invalidArgument('local.address', `an address of the same family as ${remote.address}`, address)
  }
  return { address: address ?? '', port }
}

const ENDPOINT_CHECKS: Record<keyof UdpEndpoint, Check> = {
  address: checkAddress,
  port: (value, path) => checkPort(value, path, path === 'remote.port' ? 1 : 0)
}

export function diagnoseTunnel(code: string | undefined, syscall: string): string | undefined {
  if (code === 'EADDRINUSE') return 'another socket of this namespace has the local port'
  if (code === 'EADDRNOTAVAIL') return 'the local address is not one of this namespace'
  if (code === 'ENETUNREACH' || code === 'EHOSTUNREACH') return 'there is no route to the remote in this namespace'
  if (code === 'ENODEV' && syscall.startsWith('if_nametoindex')) return 'the link behind the % is not in this namespace'
  return undefined
}
