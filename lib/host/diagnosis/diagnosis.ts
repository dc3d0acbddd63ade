/** What keeps a guest's packets from arriving, and what to do. */
import type { Finding } from '../finding.js'

export interface Diagnosis extends Finding {
  /** The link that it is about, which may be another than the one that was asked for. */
  readonly about: string
  /** What was seen, by the names that ip, bridge, nft and sysctl have for it. */
  readonly evidence: Readonly<Record<string, unknown>>
  /** A command, or what else to do. */
  readonly remedy: string
}

/** What is known of the guest: the more, the more can be found. */
export interface DiagnoseOptions {
  /** Its MAC address. */
  mac?: string | undefined
  /** Its IP addresses: whether the host would take packets from them. */
  ips?: readonly string[] | undefined
  /** The VLAN that it is to be in; that of frames without a tag by default. */
  vlan?: number | undefined
  /** An IP address that it does not reach: whether that is the host's own, which a macvtap cannot reach. */
  peer?: string | undefined
  /** The process that should have its TAP or macvtap open. */
  holder?: number | undefined
}
