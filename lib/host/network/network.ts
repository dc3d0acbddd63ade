/** A network that is there: its guests' ports, and its dnsmasq looked after. */
import { invalidArgument, LinkwrightError } from '../../errors.js'
import type { LinkOfKind } from '../../link/link.js'
import type { Netlink } from '../../link/netlink.js'
import { Macvtap, type MacvtapOptions } from '../../tap/macvtap.js'
import { Tap, type TapOptions } from '../../tap/tap.js'
import { Dnsmasq } from '../dnsmasq/dnsmasq.js'
import { checkSpec } from './check-spec.js'
import { networkOf, type PlanNetworksOptions } from './plan-networks.js'
import { dnsmasqOf } from './services.js'
import type { NetworkSpec, NetworksSpec } from './spec.js'

/** A guest's TAP; namespace, bridge and MTU are the network's. */
export type GuestTapOptions = Omit<TapOptions, 'netns' | 'net' | 'master' | 'mtu'>

/** A guest's macvtap; namespace, NIC and mode are the network's. */
export interface GuestMacvtapOptions extends Omit<MacvtapOptions, 'netns' | 'net'> {
  name: string
  /** Its MAC address, which is the guest's. */
  address?: string | undefined
  /** In mode `source`: the MAC addresses that the guest gets frames from; none by default. */
  sources?: readonly string[] | undefined
  up?: boolean | undefined
}

/**
 * A network of a spec that was applied. It makes nothing: disposing of it takes nothing from the network, but its dnsmasq
 * runs on with nobody who starts it again when it dies.
 */
export class Network implements AsyncDisposable {
  readonly name: string
  readonly spec: NetworkSpec
  /** DHCP and DNS: leases, reservations, events. `undefined` for a network without. */
  readonly dnsmasq: Dnsmasq | undefined
  readonly #net: Netlink

  private constructor(net: Netlink, name: string, spec: NetworkSpec, dnsmasq: Dnsmasq | undefined) {
    this.#net = net
    this.name = name
    this.spec = spec
    this.dnsmasq = dnsmasq
  }

  /**
   * Takes over the dnsmasq of the network, or starts it where it has died; it is looked after until this is disposed of.
   *
   * @throws LinkwrightError `ENODEV` (it was not applied), `EBUSY` (another process looks after it), and what
   * {@link Dnsmasq.open} throws
   */
  static async open(
    net: Netlink,
    spec: NetworksSpec,
    name: string,
    { runtimeDirectory }: PlanNetworksOptions = {}
  ): Promise<Network> {
    checkSpec(spec)
    const network = structuredClone(networkOf(spec, name))
    await net.links.get(network.kind === 'direct' ? network.link : name)
    const netns = await net.openNetns()
    try {
      const options = dnsmasqOf(name, network, { fd: netns.fds[0] as number }, runtimeDirectory)
      return new Network(net, name, network, options && (await Dnsmasq.open(options)))
    } finally {
      await netns.close()
    }
  }

  /** The bridge as it is now. */
  async bridge(): Promise<LinkOfKind<'bridge'>> {
    const link = await this.#net.links.get(this.name)
    if (link.is('bridge')) return link
    throw new LinkwrightError(`${this.name} is no bridge`, { code: 'ENODEV', link: this.name })
  }

  /**
   * Opens a guest's TAP as a port of the bridge, with its MTU; up, unless it is told otherwise.
   *
   * @throws LinkwrightError `ENODEV` (a network without a bridge), and what {@link Tap.open} throws
   */
  async openTap(options: GuestTapOptions = {}): Promise<Tap> {
    const { index, mtu } = await this.bridge()
    return await Tap.open({ up: true, ...options, net: this.#net, master: index, mtu })
  }

  /**
   * Makes a guest's macvtap on the NIC of a network of kind `direct`, in its mode; up, unless it is told otherwise, and with
   * all multicast, which the guest's IPv6 needs. The link stays when it is closed: `net.links.delete()` removes it.
   *
   * @throws LinkwrightError `ENODEV` (a network of another kind), and what {@link Macvtap.open} throws
   */
  async openMacvtap(options: GuestMacvtapOptions): Promise<Macvtap> {
    const { spec } = this
    if (spec.kind !== 'direct') {
      throw new LinkwrightError(`${this.name} is of kind ${spec.kind}: its guests have TAPs`, {
        code: 'ENODEV',
        link: this.name
      })
    }
    const { name, address, sources, up = true, ...queues } = options
    if (sources && spec.mode !== 'source') throw invalidArgument('sources', `nothing in mode ${spec.mode}`, sources)
    const senders = sources && { macaddrMode: 'set' as const, macaddrs: [...sources] }
    const { link: nic, mode } = spec
    // Nobody tells the kernel which groups the guest is in, and IPv6 finds neighbours by groups.
    const flags = { up, allmulti: true }
    const link = await this.#net.links.create({ kind: 'macvtap', name, address, link: nic, mode, ...flags, ...senders })
    try {
      return await Macvtap.open(link, { ...queues, net: this.#net })
    } catch (error) {
      await this.#net.links.delete(link.index).catch(() => {})
      throw error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dnsmasq?.leave()
  }
}
