/** The wire of a link, by a packet socket. */
import { addon, type NativePort } from '../addon.js'
import { invalidArgument } from '../errors.js'
import { kernelAtLeast } from '../kernel-release.js'
import type { LinkRef } from '../link/link.js'
import { plainRef } from '../link/references.js'
import { boolean, type Check, checkOptions } from '../tap/checks.js'
import { type Place, placeOf } from '../tap/place.js'
import { buffers, openPort, SOCKET_PORT_CHECKS, SocketPort, type SocketPortOptions } from './socket-port.js'

export interface PacketPortOptions extends SocketPortOptions {
  /** The link, or its name or ifindex, in the namespace. */
  link: LinkRef
  /** Whether frames for other addresses than the link's own are wanted (PACKET_MR_PROMISC). On by default. */
  promiscuous?: boolean | undefined
  /**
   * Whether frames go to the driver past the queueing discipline (PACKET_QDISC_BYPASS), which is faster, and drops where a
   * queue would wait. Off by default.
   */
  qdiscBypass?: boolean | undefined
  /**
   * `off` sends finished frames only. `auto`, the default, leaves segmentation and checksums to the link or, where that
   * cannot do them, to the kernel. What comes in may be a super-frame either way.
   */
  offload?: 'auto' | 'off' | undefined
}

const CHECKS: Record<keyof PacketPortOptions, Check> = {
  ...SOCKET_PORT_CHECKS,
  link: (value, path) => plainRef(value as LinkRef, path),
  promiscuous: boolean,
  qdiscBypass: boolean,
  offload: (value, path) => {
    if (value !== 'auto' && value !== 'off') throw invalidArgument(path, "'auto' or 'off'", value)
  }
}

/**
 * What is on a link's wire (AF_PACKET): frames that come in, which the kernel's own stack gets too, and frames that are sent
 * out. What the stack sends itself is not seen. Tags that the card has taken out of frames (PACKET_AUXDATA) are put back;
 * frames carry virtio-net headers in the kernel (PACKET_VNET_HDR), so super-frames pass whole. Takes CAP_NET_RAW.
 *
 * A link that is down refuses frames until it is up again. Super-frames inside of tunnels, as the kernel's VXLAN device makes
 * them where no cable is between (a veth pair), cannot be described by such a header: they are dropped (`faults.malformed`).
 * Switch `tx-udp_tnl-segmentation` off at the sender's end of the pair.
 */
export class PacketPort extends SocketPort {
  /** Name and ifindex that the link had at the opening. */
  readonly link: string
  readonly index: number
  readonly #place: Place

  private constructor(native: NativePort, name: string, link: { name: string; index: number }, place: Place) {
    super(native, name)
    this.link = link.name
    this.index = link.index
    this.#place = place
  }

  /** @internal */
  override get standsOn(): { index: number; place: Place } {
    return { index: this.index, place: this.#place }
  }

  /**
   * @throws LinkwrightError `ERR_INVALID_ARG_VALUE`, `ENODEV` or `ENXIO` (no such link in the namespace), `EPERM`
   * (CAP_NET_RAW is missing)
   */
  static async open(options: PacketPortOptions): Promise<PacketPort> {
    checkOptions(options, CHECKS)
    const link = plainRef(options.link)
    const { name = `packet ${link}`, promiscuous = true, qdiscBypass = false, offload = 'auto' } = options
    const opening = {
      name: typeof link === 'string' ? link : '',
      index: typeof link === 'number' ? link : 0,
      promiscuous,
      qdiscBypass,
      offload: offload === 'auto',
      // When packet sockets began to take VIRTIO_NET_HDR_GSO_UDP_L4.
      uso: kernelAtLeast('6.2'),
      ...buffers(options)
    }
    // For as long as the port is open: its link is watched there.
    const place = await placeOf(options.netns, undefined)
    try {
      const open = (netns: number) => addon().openPacketPort({ ...opening, netns })
      const opened = await openPort(name, { netns: place.netns, signal: options.signal }, open, diagnose)
      return new PacketPort(opened.port, name, opened, place)
    } catch (error) {
      await place.held?.close()
      throw error
    }
  }

  override async close(): Promise<void> {
    await super.close()
    await this.#place.held?.close()
  }
}

function diagnose(code: string | undefined): string | undefined {
  if (code === 'EPERM' || code === 'EACCES') return 'packet sockets take CAP_NET_RAW in the namespace'
  if (code === 'ENODEV' || code === 'ENXIO') return 'there is no such link in the namespace'
  return undefined
}
