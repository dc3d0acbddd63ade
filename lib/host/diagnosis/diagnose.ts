/** Why no packet arrives. */
import { isIP } from 'node:net'
import { invalidArgument } from '../../errors.js'
import type { LinkRef } from '../../link/link.js'
import type { Netlink } from '../../link/netlink.js'
import { checkKeys } from '../../options.js'
import { macList } from '../port/mac-list.js'
import { bridgeNetfilter } from './bridge-netfilter.js'
import type { DiagnoseOptions, Diagnosis } from './diagnosis.js'
import { firewallDrops } from './firewall-drops.js'
import { forwardingEntry } from './forwarding-entry.js'
import { hostOverMacvtap } from './host-over-macvtap.js'
import { isolation } from './isolation.js'
import { linkState } from './link-state.js'
import { lowerDown } from './lower-down.js'
import { macClash } from './mac-clash.js'
import { macvtapNode } from './macvtap-node.js'
import { mtuMismatch } from './mtu-mismatch.js'
import { portState } from './port-state.js'
import { rpFilter } from './rp-filter.js'
import { type Situation, situationOf } from './situation.js'
import { tapHolder } from './tap-holder.js'
import { vlanMissing } from './vlan-missing.js'

const KEYS: ReadonlySet<string> = new Set<keyof DiagnoseOptions>(['mac', 'ips', 'vlan', 'peer', 'holder'])

const CHECKS: readonly ((situation: Situation) => readonly Diagnosis[] | Promise<readonly Diagnosis[]>)[] = [
  linkState,
  tapHolder,
  macvtapNode,
  lowerDown,
  portState,
  isolation,
  vlanMissing,
  macClash,
  forwardingEntry,
  mtuMismatch,
  bridgeNetfilter,
  firewallDrops,
  rpFilter,
  hostOverMacvtap
]

/**
 * Looks for what keeps packets from a guest's port, or to it: a TAP, a veth, a macvtap. It changes nothing and sends nothing.
 * What is certain is told, in the order from the cable upwards; a port that is well has no finding. Rules of firewalls are
 * understood as far as they drop all packets of a link: one that looks into them may drop some, and is not told.
 *
 * @throws LinkwrightError `ENODEV`; `ERR_INVALID_ARG_VALUE`
 */
export async function diagnose(net: Netlink, link: LinkRef, options: DiagnoseOptions = {}): Promise<Diagnosis[]> {
  check(options)
  const situation = await situationOf(net, link, options)
  return (await Promise.all(CHECKS.map(each => each(situation)))).flat()
}

function check(options: DiagnoseOptions): void {
  checkKeys(options, KEYS)
  const { mac, ips = [], vlan, peer, holder } = options
  if (mac !== undefined) macList(mac, 'mac')
  if (!Array.isArray(ips)) throw invalidArgument('ips', 'an array of IP addresses', ips)
  for (const [at, ip] of ips.entries()) if (!isIP(String(ip))) throw invalidArgument(`ips[${at}]`, 'an IP address', ip)
  if (vlan !== undefined && !(Number.isInteger(vlan) && vlan > 0 && vlan < 4095)) {
    throw invalidArgument('vlan', 'a VLAN from 1 to 4094', vlan)
  }
  if (peer !== undefined && !isIP(String(peer))) throw invalidArgument('peer', 'an IP address', peer)
  if (holder !== undefined && !(Number.isInteger(holder) && holder > 0)) {
    throw invalidArgument('holder', 'a process id', holder)
  }
}
