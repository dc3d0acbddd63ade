/**
 * What a bridge that is made here has and the kernel alone would not give it.
 *
 * The kernel lets a bridge take the lowest address of its ports, and change it whenever a guest comes or goes: neighbours
 * and DHCP lose it then. With an address of its own (`addr_assign_type` 3) it keeps it. An MTU that was asked for is kept
 * likewise, but only one that was changed after the creation (`br_mtu_auto_adjust`): else the next port lowers it.
 */
import { randomBytes } from 'node:crypto'
import type { ResolvedOptions } from './link-requests.js'

/** What the kernel gives a bridge; asking for the same is no change to it. */
const ETH_DATA_LEN = 1500

/** An address of its own, unless there is one or `null` leaves it to the kernel. */
export function giveBridgeAddress(options: ResolvedOptions): void {
  if (options.kind !== 'bridge') return
  if (options['address'] === undefined) options['address'] = randomAddress()
  else if (options['address'] === null) delete options['address']
}

/** Changes that make the kernel keep an MTU. */
export function lastingMtu(mtu: unknown): object[] {
  return mtu === ETH_DATA_LEN ? [{ mtu: ETH_DATA_LEN - 1 }] : []
}

/** A random unicast address, locally administered. */
export function randomAddress(): string {
  const bytes = randomBytes(6)
  bytes[0] = ((bytes[0] as number) & 0xfc) | 0x02
  return bytes.toString('hex').replace(/..(?!$)/g, '$&:')
}
