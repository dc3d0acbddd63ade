/** Networks for guests, as they are wanted. */
import type { Dhcp4Options, Dhcp6Options, DnsOptions, HostRecord, Reservation } from '../dnsmasq/options.js'
import type { GuestPortSpecs } from './guest-ports/spec.js'

/** By name, which is also the name of the network's bridge: up to 15 letters, digits, dots, hyphens and underscores. */
export interface NetworksSpec {
  networks: Readonly<Record<string, NetworkSpec>>
  /** Of guests, by the names of their links. */
  ports?: GuestPortSpecs | undefined
}

export type NetworkSpec = BridgeNetwork | NatNetwork | RoutedNetwork | IsolatedNetwork | DirectNetwork

/** Networks whose only way out is the host. */
export type GuestNetwork = NatNetwork | RoutedNetwork | IsolatedNetwork

export type NetworkKind = NetworkSpec['kind']

/** What every network with a bridge can be given. */
export interface BridgeSettings {
  /**
   * Of the host on the bridge, each with its prefix length: `192.168.122.1/24`. None by default; what else is on a bridge
   * that exists stays.
   */
  addresses?: readonly string[] | undefined
  /** Of the bridge. A random one that it keeps by default; with a takeover, that of the NIC. */
  mac?: string | undefined
  /**
   * Bytes. Kept whatever ports come and go. By default what a bridge has that exists, the smallest of a new one's `ports`,
   * or 1500.
   */
  mtu?: number | undefined
  /** Spanning tree; off by default, so that a port forwards at once. */
  stp?: boolean | undefined
  /** Seconds that a port listens and learns before it forwards, each; 0 by default. 2 to 30 with `stp`. */
  forwardDelay?: number | undefined
  /** Whether ports have VLANs; off by default. */
  vlanFiltering?: boolean | undefined
  /** Whether multicast goes only where it was asked for (IGMP, MLD); on by default, as in the kernel. */
  mcastSnooping?: boolean | undefined
}

/** DHCP, router advertisements and DNS by a dnsmasq of the network's own, which runs if one of `dhcp4`, `dhcp6`, `dns` is given. */
export interface NetworkServices {
  /** In the subnets of `addresses`; its `mtu` is the network's by default. */
  dhcp4?: Dhcp4Options | undefined
  /** Router advertisements, and DHCPv6. */
  dhcp6?: Dhcp6Options | undefined
  /**
   * `false`: no DNS. Beside DHCP it is answered by default; what is not known here is asked of the host's `resolv.conf` in a
   * network of kind `nat` or `routed`, and of nobody in another.
   */
  dns?: DnsOptions | false | undefined
  /** The guests' domain. */
  domain?: string | undefined
  reservations?: readonly Reservation[] | undefined
  hosts?: readonly HostRecord[] | undefined
  /**
   * Sends answers of DHCP (IPv4) without a checksum, for old clients that take the unfinished one of a virtual NIC for a
   * wrong one; off by default.
   */
  dhcp4Checksum?: 'none' | undefined
}

export interface StaticRoute {
  /** `198.51.100.0/24`, or `default`. */
  to: string
  /** The gateway. */
  via: string
  /** 0 by default, which is 1024 of IPv6. */
  metric?: number | undefined
}

/** The guests are on the network of the host's NIC. */
export interface BridgeNetwork extends BridgeSettings {
  kind: 'bridge'
  /** Links that become ports. Other ports of the bridge stay. */
  ports?: readonly string[] | undefined
  /**
   * Moves addresses, routes and MAC address of the one port to the bridge, without losing a packet. Otherwise a port may
   * have no addresses.
   */
  takeover?: boolean | undefined
  /** Of the default route: one, or one for IPv4 and one for IPv6. */
  gateway?: string | readonly string[] | undefined
  routes?: readonly StaticRoute[] | undefined
}

interface Forwarding {
  /** Only to and from this link of the host, and whatever way its routes have by default. */
  link?: string | undefined
}

/** The guests reach what the host reaches, with its address; nobody outside reaches them. */
export interface NatNetwork extends BridgeSettings, NetworkServices {
  kind: 'nat'
  forward?:
    | (Forwarding & {
        /** Source ports that TCP and UDP get; `1024-65535` by default. */
        ports?: string | undefined
        /** Whether IPv6 is translated as well (the default), or routed as it is. */
        ipv6?: 'masquerade' | 'route' | undefined
      })
    | undefined
}

/** The guests reach what the host reaches, and are reached, by their own addresses. */
export interface RoutedNetwork extends BridgeSettings, NetworkServices {
  kind: 'routed'
  forward?: Forwarding | undefined
}

/** The guests reach each other and, with `addresses`, the host. */
export interface IsolatedNetwork extends BridgeSettings, NetworkServices {
  kind: 'isolated'
}

/** The guests are on the network of a NIC by macvtap, without a bridge. */
export interface DirectNetwork {
  kind: 'direct'
  /** The NIC. */
  link: string
  /** How guests reach each other: see ip-link(8), macvtap. There is no default. */
  mode: 'bridge' | 'private' | 'vepa' | 'passthru' | 'source'
  /** A macvlan of this name takes the NIC's addresses and routes over, so that host and guests reach each other. */
  hostPeer?: string | undefined
}
