/** VXLAN (RFC 7348), as the kernel's own device speaks it. */
import { addon, type NativePort } from '../addon.js'
import { invalidArgument } from '../errors.js'
import { type Check, checkOptions } from '../tap/checks.js'
import { buffers, openPort, SocketPort } from './socket-port.js'
import {
  diagnoseTunnel,
  localEndpoint,
  remoteEndpoint,
  TUNNEL_CHECKS,
  type TunnelOptions,
  type UdpEndpoint
} from './udp-endpoints.js'

/** IANA's, which the kernel's device has to be told: its own default is 8472. */
const VXLAN_PORT = 4789
const LARGEST_VNI = 0xffffff

export interface VxlanPortOptions extends TunnelOptions {
  /** Number of the virtual network, from 0 to 16,777,215. Datagrams of others are dropped. */
  vni: number
  /** The other end point; its port is 4789 by default. */
  remote: { address: string; port?: number | undefined }
  /** Where datagrams come in and go out from: any address and port 4789 by default. */
  local?: { address?: string | undefined; port?: number | undefined } | undefined
  /**
   * MTU of the network in the tunnel, in bytes of IP packets: what the path's MTU leaves by default. The kernel's device
   * hands TCP super-frames over whole where no cable is between (a veth pair), without their segment size; they are split
   * to this.
   */
  mtu?: number | undefined
}

const CHECKS: Record<keyof VxlanPortOptions, Check> = {
  ...TUNNEL_CHECKS,
  vni: (value, path) => {
    if (!Number.isInteger(value) || (value as number) < 0 || (value as number) > LARGEST_VNI) {
      throw invalidArgument(path, `a VNI from 0 to ${LARGEST_VNI}`, value)
    }
  },
  remote: value => remoteEndpoint(value, VXLAN_PORT),
  local: () => {},
  mtu: (value, path) => {
    if (!Number.isInteger(value) || (value as number) < 68 || (value as number) > 65_535) {
      throw invalidArgument(path, 'an MTU from 68 to 65535 bytes', value)
    }
  }
}

/**
 * One end of a VXLAN tunnel to one other end point. Frames are taken from any source port of its address, as senders choose
 * the port by the flow; all that is sent goes out from the local port. A namespace has one such port for each local address
 * and port: there is no telling sockets with different VNIs apart.
 *
 * Inner checksums that the kernel's device has left to a card which is not there are completed.
 */
export class VxlanPort extends SocketPort {
  readonly vni: number
  readonly remote: UdpEndpoint
  readonly local: UdpEndpoint
  /** MTU for the network in the tunnel, in bytes of IP packets. */
  readonly mtu: number

  private constructor(
    native: NativePort,
    name: string,
    tunnel: { vni: number; remote: UdpEndpoint; local: UdpEndpoint; mtu: number }
  ) {
    super(native, name)
    this.vni = tunnel.vni
    this.remote = tunnel.remote
    this.local = tunnel.local
    this.mtu = tunnel.mtu
  }

  /**
   * Opens the socket. The other end point need not be there yet.
   *
   * @throws LinkwrightError `ERR_INVALID_ARG_VALUE`, `EADDRINUSE` (the local port is taken, perhaps by a vxlan link of the
   * same namespace), `EADDRNOTAVAIL` (the local address is not one of the namespace), `ENETUNREACH` (no route to the remote)
   */
  static async open(options: VxlanPortOptions): Promise<VxlanPort> {
    checkOptions(options, CHECKS)
    const { vni } = options
    CHECKS.vni(vni, 'vni')
    const remote = remoteEndpoint(options.remote, VXLAN_PORT)
    const local = localEndpoint(options.local, remote, VXLAN_PORT)
    const { name = `vxlan ${vni} ${remote.address}`, fragment = false, mtu = 0 } = options
    const opening = { vni, remote, local, fragment, reusePort: false, mtu, ...buffers(options) }
    const open = (netns: number) => addon().openVxlanPort({ ...opening, netns })
    const opened = await openPort(name, options, open, diagnoseTunnel)
    const bound = { address: opened.localAddress, port: opened.localPort }
    return new VxlanPort(opened.port, name, { vni, remote, local: bound, mtu: opened.mtu })
  }
}
