/** What of a guest's port can be changed while the guest runs. */
import { invalidArgument } from '../../errors.js'
import type { BandwidthLimits } from '../../link/bandwidth/limits.js'
import { checkKeys } from '../../options.js'
import { type AntiSpoofing, identityOf } from './anti-spoofing/options.js'
import { macList } from './mac-list.js'
import { type PortVlans, vlanMap } from './vlans.js'

/** What is left out stays as it is. */
export interface GuestPortSettings {
  /** Who the guest may say it is; `null` lets it say anything, which is how a port begins. */
  antiSpoofing?: AntiSpoofing | null | undefined
  /** Exchanges frames with ports that are not isolated only: with the uplink, say (IFLA_BRPORT_ISOLATED). */
  isolated?: boolean | undefined
  /**
   * The bridge learns nothing from the port, and knows these MAC addresses to be there and at no other port. Frames to addresses that it does
   * not know are not sent to the guest then; broadcast and multicast are. `null` lets it learn again, and takes all static
   * entries of the port away.
   */
  staticFdb?: string | readonly string[] | null | undefined
  /** On a bridge that filters VLANs; `null` is the bridge's default. */
  vlans?: PortVlans | null | undefined
  /** Limits, in bits per second: see `net.bandwidth`. `null` lifts both. */
  bandwidth?: BandwidthLimits | null | undefined
  /** In bytes, or that of the bridge. */
  mtu?: number | 'bridge' | undefined
  /** Whether the host speaks IPv6 on the port itself (`disable_ipv6`); the guest's goes over the bridge and is not touched. */
  ipv6?: boolean | undefined
  /** Whether the guest's cable is plugged in: TAPs and dummies can (IFLA_CARRIER), a veth cannot (`EOPNOTSUPP`). */
  carrier?: boolean | undefined
}

const KEYS: ReadonlySet<string> = new Set<keyof GuestPortSettings>([
  'antiSpoofing',
  'isolated',
  'staticFdb',
  'vlans',
  'bandwidth',
  'mtu',
  'ipv6',
  'carrier'
])

/** Throws `ERR_INVALID_ARG_VALUE` for what can be told without a look at the port. */
export function checkSettings(settings: GuestPortSettings): void {
  checkKeys(settings, KEYS)
  const { antiSpoofing, staticFdb, vlans, mtu } = settings
  for (const key of ['isolated', 'ipv6', 'carrier'] as const) {
    const value = settings[key]
    if (value !== undefined && typeof value !== 'boolean') throw invalidArgument(key, 'true or false', value)
  }
  if (antiSpoofing !== undefined && antiSpoofing !== null) identityOf(antiSpoofing)
  if (staticFdb !== undefined && staticFdb !== null) macList(staticFdb, 'staticFdb')
  if (vlans !== undefined && vlans !== null) vlanMap(vlans)
  if (mtu !== undefined && mtu !== 'bridge' && !Number.isInteger(mtu)) {
    throw invalidArgument('mtu', "a number of bytes, or 'bridge'", mtu)
  }
}
