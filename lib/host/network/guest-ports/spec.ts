/** Ports of guests, as they are wanted. */
import type { AntiSpoofing } from '../../port/anti-spoofing/options.js'
import type { GuestPortSettings } from '../../port/settings.js'

/**
 * A guest's port: on a network with a bridge a persistent TAP, which the guest's hypervisor opens by its name
 * (`-netdev tap,ifname=vnet0,script=no,downscript=no`); on one of kind `direct` a macvtap, whose descriptor
 * {@link Macvtap.open} gives. What else is left out stays as it is on a port that exists.
 */
export interface GuestPortSpec extends Omit<GuestPortSettings, 'antiSpoofing' | 'staticFdb'> {
  /** The network of the spec that it is on. */
  network: string
  /**
   * The guest's MAC address. The host's side of a TAP gets the one that {@link hostSideMac} makes of it; a macvtap has it
   * itself, and in mode `passthru` so does its NIC as long as the port is there.
   */
  mac?: string | undefined
  /** User and group who may open the TAP without CAP_NET_ADMIN (TUNSETOWNER, TUNSETGROUP). */
  uid?: number | undefined
  gid?: number | undefined
  /** Whether a new TAP has virtio-net headers (IFF_VNET_HDR). Whoever opens it says so anew. */
  vnetHeader?: boolean | undefined
  /** Whether the guest may have several queues (IFF_MULTI_QUEUE): the others cannot open such a TAP. Off by default. */
  multiQueue?: boolean | undefined
  /** Whose frames come to the guest, on a network of mode `source`: the MAC addresses of others. */
  sources?: readonly string[] | undefined
  antiSpoofing?: PortAntiSpoofing | null | undefined
  /** `true`: the port's `mac`. */
  staticFdb?: true | GuestPortSettings['staticFdb']
  /** Bytes. That of the bridge (`bridge`) or of the NIC by default. */
  mtu?: GuestPortSettings['mtu']
  /** Off by default. */
  ipv6?: boolean | undefined
}

export interface PortAntiSpoofing extends Omit<AntiSpoofing, 'mac'> {
  /** The port's `mac` by default. */
  mac?: AntiSpoofing['mac'] | undefined
}

/**
 * By the names of their links. What a plan may have against them: `name-taken` (a link of another kind), `already-a-port`,
 * `port-has-addresses`, `tap-differs` and `macvtap-differs` (in what only its making sets), `no-vlan-filtering`, `qdisc-taken`,
 * `table-taken` (the table of anti-spoofing is others', or was changed), `mtu` (above that of the NIC).
 */
export type GuestPortSpecs = Readonly<Record<string, GuestPortSpec>>

/** The settings of a port, each address in its place. */
export function settingsOf({ mac, antiSpoofing, staticFdb, ...port }: GuestPortSpec): GuestPortSettings {
  const { isolated, vlans, bandwidth, mtu, ipv6 = false, carrier } = port
  return {
    antiSpoofing: antiSpoofing && ({ ...antiSpoofing, mac: antiSpoofing.mac ?? mac } as AntiSpoofing),
    staticFdb: staticFdb === true ? (mac as string) : staticFdb,
    isolated,
    vlans,
    bandwidth,
    mtu: mtu ?? 'bridge',
    ipv6,
    carrier
  }
}
