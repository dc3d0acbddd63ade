/** What macvlan and macvtap share: IFLA_MACVLAN_* of linux/if_link.h. */
import { mac } from '../codec/addresses.js'
import { listOf } from '../codec/attributes.js'
import { bitset, enumeration } from '../codec/enumeration.js'
import { s32, u16, u32 } from '../codec/integers.js'

export const macvlanData = {
  /**
   * How the links on one lower device reach each other. The kernel's own default is vepa.
   * - `private`: not at all. Of what a reflecting switch sends back, broadcasts and multicasts are dropped, so that ARP
   *   and neighbour discovery fail; unicast frames come in, so a guest that knows the address of another reaches it.
   * - `vepa`: by way of the external switch only, which has to reflect frames (802.1Qbg).
   * - `bridge`: directly, as on a bridge. Still no path to the host itself.
   * - `passthru`: one link takes the lower device over, with its MAC address and in promiscuous mode; no siblings.
   * - `source`: frames are taken from the listed source addresses only.
   */
  mode: [1, enumeration(u32, { private: 1, vepa: 2, bridge: 4, passthru: 8, source: 16 })],
  /** `nopromisc`: passthru leaves the lower device's promiscuous mode alone. `nodst`: source mode does not match by destination. */
  flags: [2, bitset(u16, { nopromisc: 1, nodst: 2 })],
  /** What to do with the list of source addresses (source mode). */
  macaddrMode: [3, enumeration(u32, { add: 0, delete: 1, flush: 2, set: 3 }), { writeOnly: true }],
  /** The one address to add or delete. */
  macaddr: [4, mac, { writeOnly: true }],
  /** The source addresses: the list that `set` puts in place, and what is read. */
  macaddrs: [5, listOf([4, mac], { unordered: true })],
  macaddrCount: [6, u32, { readOnly: true }],
  /** How many broadcast and multicast frames may wait, for the largest wish of all links on the lower device. */
  bcQueueLen: [7, u32, { since: '5.11' }],
  bcQueueLenUsed: [8, u32, { readOnly: true, since: '5.11', volatile: true }],
  /** Multicast addresses with at most this many receivers skip the broadcast queue; -1 never. */
  bcCutoff: [9, s32, { since: '6.4' }]
} as const

/**
 * The kernel ignores source addresses without a word when it is not told what to do with them: a list is put in place,
 * one address is added.
 */
export function completeSources(data: Record<string, unknown>): Record<string, unknown> {
  if (data['macaddrMode'] !== undefined) return data
  if (data['macaddrs'] !== undefined) return { macaddrMode: 'set', ...data }
  if (data['macaddr'] !== undefined) return { macaddrMode: 'add', ...data }
  return data
}
