/** A removed link made again, as far as the kernel showed it. */
import { plain } from '../../codec/attributes.js'
import { findLinkKind } from '../../rtnetlink/link-kind.js'
import { hasIpv6 } from '../ipv6.js'
import type { Link } from '../link.js'
import type { CreateLink } from '../link-options.js'
import { portSettings } from './changes.js'

const ATTRIBUTES = ['mtu', 'txqlen', 'alias', 'group', 'numTxQueues', 'numRxQueues'] as const
const FLAGS = ['noarp', 'promisc', 'allmulti', 'multicast'] as const

/**
 * Options that create a link like one that was removed, with its ifindex. Its IP addresses, routes and forwarding entries
 * are gone.
 *
 * @param peer the other end of a veth
 */
export function recreationOf(link: Link, peer?: Link): CreateLink {
  const { kind = '', altnames, up, index, name } = link
  const options: Record<string, unknown> = { kind, name, index, up, altnames }
  for (const attribute of ATTRIBUTES) options[attribute] = link[attribute]
  for (const flag of FLAGS) options[flag] = link.flags[flag]
  options['ipv6'] = hasIpv6(link)
  if (findLinkKind(kind)?.lower) options['link'] = link.link
  if (link.master) options['master'] = link.master
  if (link.port) options['port'] = portSettings(link)
  if (kind !== 'veth') Object.assign(options, dataOf(link, kind))
  // In mode passthru the address is that of the lower device.
  if (options['mode'] !== 'passthru') options['address'] = link.address
  if (peer) {
    const { kind: _, link: _lower, ...other } = recreationOf(peer) as unknown as Record<string, unknown>
    options['peer'] = other
  }
  return options as unknown as CreateLink
}

function dataOf(link: Link, kind: string): Record<string, unknown> {
  const data = link.data as Record<string, unknown> | undefined
  const settings: Record<string, unknown> = {}
  for (const [name, [, codec, options]] of Object.entries(findLinkKind(kind)?.data.table ?? {})) {
    const value = data?.[name]
    if (value === undefined || options?.readOnly || options?.writeOnly) continue
    // A bare flag cannot be said to be off.
    if (codec.size === 0 && value === false) continue
    // To say that it is off takes header bits that are reserved then.
    if (name.startsWith('remcsum') && value === false) continue
    // What this kernel was built without cannot be set to anything.
    if (options?.optional && value === false) continue
    settings[name] = value instanceof Uint8Array ? value : plain(value)
  }
  // As above, for each bit; a new bridge has none.
  const { boolopt } = settings as { boolopt?: Record<string, boolean> }
  if (boolopt) settings['boolopt'] = Object.fromEntries(Object.entries(boolopt).filter(([, on]) => on))
  // Metadata from outside brings its own identifier.
  if (settings['collectMetadata']) delete settings['id']
  return settings
}
