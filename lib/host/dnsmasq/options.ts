/** What a network's dnsmasq is asked for. */
import type { NetnsRef } from '../../netns.js'

/** Addresses from the first to the last of them. */
export interface AddressRange {
  start: string
  end: string
}

export interface Dhcp4Options {
  /** Of what is given to guests; none: only guests with a reservation get an address. */
  ranges?: readonly AddressRange[] | undefined
  /** Seconds, from 120; one hour by default. `Infinity` never ends. */
  lease?: number | undefined
  /** The guests' gateway; the interface's address by default, `false` for none. */
  router?: string | false | undefined
  /** The interface's address by default, where dnsmasq answers DNS; empty for none. */
  dnsServers?: readonly string[] | undefined
  /** Bytes, for the guest's link (option 26). */
  mtu?: number | undefined
  /** Further routes (options 121 and 249), which have the default route among them. */
  routes?: readonly { to: string; via: string }[] | undefined
  /**
   * Whether an address is pinged before it is offered, in case somebody has it who did not ask: 3 s for each new guest. Off by
   * default.
   */
  ping?: boolean | undefined
}

export interface Dhcp6Options {
  /**
   * - `ra-only`: router advertisements; guests make their addresses (SLAAC)
   * - `ra-stateless`: and ask DHCPv6 for the rest, DNS above all
   * - `slaac`: addresses by DHCPv6, and of their own making besides
   * - `stateful`: addresses by DHCPv6 alone
   */
  mode: 'ra-only' | 'ra-stateless' | 'slaac' | 'stateful'
  /** For `slaac` and `stateful`; none: only guests with a reservation get an address by DHCPv6. */
  ranges?: readonly AddressRange[] | undefined
  /** Seconds, from 120; one hour by default. */
  lease?: number | undefined
  /** `false` advertises no default route. */
  router?: boolean | undefined
  /** Bytes, for the guest's link. */
  mtu?: number | undefined
}

/** Names in the network's DNS. */
export interface HostRecord {
  /** One or more addresses, each of which gets all of the names. The first name is what the address is called. */
  addresses: readonly string[]
  names: readonly string[]
}

export interface DnsOptions {
  /**
   * Who is asked for what is not known here: addresses, with a port where it is not 53, and for some domains only; or
   * `'resolv.conf'`, those of the host. `'none'` (the default): nobody, every other name is refused.
   */
  upstream?: 'none' | 'resolv.conf' | readonly (string | UpstreamServer)[] | undefined
  /** Whether the host's /etc/hosts is answered from. */
  hostsFile?: boolean | undefined
  cname?: readonly { alias: string; target: string }[] | undefined
  srv?: readonly { name: string; target: string; port: number; priority?: number; weight?: number }[] | undefined
  txt?: readonly { name: string; text: string }[] | undefined
}

export interface UpstreamServer {
  address: string
  port?: number | undefined
  domains?: readonly string[] | undefined
}

/** What one guest gets, known by a MAC, a DUID, or the client identifier of DHCPv4: at least one of them. */
export interface Reservation {
  mac?: string | undefined
  /** Bytes in hexadecimal, `00:01:00:01:…`: DUID of DHCPv6 and client identifier of DHCPv4 (RFC 4361). */
  clientId?: string | undefined
  ipv4?: string | undefined
  ipv6?: string | undefined
  hostname?: string | undefined
  /** Seconds, from 120; that of the network by default. `Infinity` never ends. */
  lease?: number | undefined
}

export interface DnsmasqOptions {
  /** The network's name: letters, digits, `.`, `_` and `-`. One dnsmasq has it at a time. */
  name: string
  /** The link that is served, and no other. */
  interface: string
  /** The namespace of the link; dnsmasq runs there. */
  netns?: NetnsRef | undefined
  /** Addresses that the link has, with their prefix lengths: what is served is in their subnets. */
  addresses: readonly string[]
  dhcp4?: Dhcp4Options | undefined
  dhcp6?: Dhcp6Options | undefined
  /** `false`: no DNS at all. */
  dns?: DnsOptions | false | undefined
  /** The guests' domain; names in it are answered from here alone. */
  domain?: string | undefined
  reservations?: readonly Reservation[] | undefined
  hosts?: readonly HostRecord[] | undefined
  /** Most leases at a time; 1000 by default. */
  maxLeases?: number | undefined
  /** Where configuration and leases are; `/run/linkwright/NAME` for root. Made, and removed by `close()` if it is empty. */
  directory?: string | undefined
  /** Path of dnsmasq; found in PATH, /usr/sbin and /usr/local/sbin by default. */
  program?: string | undefined
  /** Whom it becomes when it is started as root: `dnsmasq`, or else `nobody`, by default. */
  user?: string | undefined
  /** Milliseconds until it must listen; 15 s by default. */
  startTimeout?: number | undefined
  /** Milliseconds that it is given to end, before it is killed; 5 s by default. */
  stopTimeout?: number | undefined
  restart?: RestartOptions | undefined
  signal?: AbortSignal | undefined
}

/** What happens when dnsmasq dies. */
export interface RestartOptions {
  /** Starts in a row that may fail before it is given up; 5 by default. */
  attempts?: number | undefined
  /** Milliseconds before the first new start, doubled for each that fails, up to `longest`; 100 and 10,000 by default. */
  delay?: number | undefined
  longest?: number | undefined
  /** Milliseconds after which a start counts as one that lasted; 10 s by default. */
  lasting?: number | undefined
}
