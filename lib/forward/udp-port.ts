/** Ethernet frames in UDP datagrams. */
import { addon, type NativePort } from '../addon.js'
import { boolean, type Check, checkOptions } from '../tap/checks.js'
import { buffers, formatEndpoint, openPort, SocketPort } from './socket-port.js'
import {
  diagnoseTunnel,
  localEndpoint,
  remoteEndpoint,
  TUNNEL_CHECKS,
  type TunnelOptions,
  type UdpEndpoint
} from './udp-endpoints.js'

export interface UdpPortOptions extends TunnelOptions {
  /** The peer. Nobody else's datagrams are taken. */
  remote: UdpEndpoint
  /** Where datagrams come in; any address and a port of the kernel's choice by default. */
  local?: { address?: string | undefined; port?: number | undefined } | undefined
  /**
   * Whether further ports may have the same local port, each with a remote of its own (SO_REUSEPORT): a hub with many
   * peers is one port for each. All of them have to say so, and belong to the same user. Off by default.
   */
  reusePort?: boolean | undefined
}

const CHECKS: Record<keyof UdpPortOptions, Check> = {
  ...TUNNEL_CHECKS,
  remote: value => remoteEndpoint(value),
  local: () => {},
  reusePort: boolean
}

/**
 * A tunnel to one peer over IPv4 or IPv6: each datagram is one Ethernet frame (from the destination address on, without
 * the frame check sequence) and nothing else. That is neither encrypted nor authenticated: a datagram counts as the peer's
 * if its source address and port are the peer's.
 *
 * Runs of frames of the same length are sent as one buffer that the kernel or the card takes apart (UDP_SEGMENT, at most
 * 64 frames or 65,507 bytes), and received joined (UDP_GRO), where the kernel has them (Linux 4.18, 5.0).
 */
export class UdpPort extends SocketPort {
  readonly remote: UdpEndpoint
  /** As the kernel has bound it. */
  readonly local: UdpEndpoint
  /**
   * MTU for the network in the tunnel, in bytes of IP packets: what the path to the peer had at the opening, less the
   * headers. VLAN tags in the tunnel take 4 more each.
   */
  readonly mtu: number

  private constructor(native: NativePort, name: string, remote: UdpEndpoint, local: UdpEndpoint, mtu: number) {
    super(native, name)
    this.remote = remote
    this.local = local
    this.mtu = mtu
  }

  /**
   * Opens the socket. The peer need not be there yet.
   *
   * @throws LinkwrightError `ERR_INVALID_ARG_VALUE`, `EADDRINUSE` (the local port is taken), `EADDRNOTAVAIL` (the local
   * address is not one of the namespace), `ENETUNREACH` (no route to the remote)
   */
  static async open(options: UdpPortOptions): Promise<UdpPort> {
    checkOptions(options, CHECKS)
    const remote = remoteEndpoint(options.remote)
    const local = localEndpoint(options.local, remote, 0)
    const { name = `udp ${formatEndpoint(remote)}`, fragment = false, reusePort = false } = options
    const opening = { remote, local, fragment, reusePort, ...buffers(options) }
    const open = (netns: number) => addon().openUdpPort({ ...opening, netns })
    const opened = await openPort(name, options, open, diagnoseTunnel)
    const bound = { address: opened.localAddress, port: opened.localPort }
    return new UdpPort(opened.port, name, remote, bound, opened.mtu)
  }
}
