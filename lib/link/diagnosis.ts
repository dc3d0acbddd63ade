/** Why the kernel refused a link, where it gives a bare errno: found out from the state of the links. */
import type { LinkwrightError } from '../errors.js'
import type { Link } from './link.js'
import type { ResolvedOptions } from './link-requests.js'

/** What a diagnosis may ask. */
export interface LinkSource {
  get(ref: string | number): Promise<Link>
  list(): Promise<Link[]>
}

const MACVLAN_KINDS = new Set(['macvlan', 'macvtap', 'ipvlan', 'ipvtap'])

/** Explains a failed creation or change in words, or gives up with `undefined`. Never throws. */
export async function diagnose(
  source: LinkSource,
  error: LinkwrightError,
  options: ResolvedOptions,
  link?: string | number
): Promise<string | undefined> {
  if (error.extack || error.diagnosis) return undefined
  try {
    const existing = link === undefined ? undefined : await source.get(link).catch(() => undefined)
    if (options.master) return await explainMaster(source, error, options.master, existing)
    const kind = options.kind ?? existing?.kind
    if (kind && MACVLAN_KINDS.has(kind)) {
      const lower = options.link ?? existing?.link
      if (lower !== undefined) return await explainMacvlan(source, error, options, lower, existing)
    }
    if (error.code === 'EOPNOTSUPP' && options['vlanFiltering']) {
      return 'this kernel was built without bridge VLAN filtering (CONFIG_BRIDGE_VLAN_FILTERING)'
    }
    if (error.code === 'EOPNOTSUPP' && !existing && options.kind) {
      return `this kernel has no links of kind ${options.kind} (module not available)`
    }
  } catch {}
  return undefined
}

async function explainMaster(
  source: LinkSource,
  error: LinkwrightError,
  master: number,
  port: Link | undefined
): Promise<string | undefined> {
  if (!['EBUSY', 'EINVAL', 'ELOOP', 'EOPNOTSUPP'].includes(error.code)) return undefined
  if (port?.kind && MACVLAN_KINDS.has(port.kind)) return `a ${port.kind} cannot become a port`
  if (port?.master && port.master !== master) {
    return `${port.name} is a port of ${await nameOf(source, port.master)} already`
  }
  if (port?.is('bridge')) return 'a bridge cannot become a port of a bridge'
  const children = port?.index === undefined ? [] : await childrenOf(source, port.index)
  if (children.length > 0) {
    return `${port?.name} carries ${names(children)}: a device carries macvlan links or is a port, not both`
  }
  const target = await source.get(master).catch(() => undefined)
  if (!target) return `there is no link with ifindex ${master} to be a port of`
  if (!['bridge', 'bond', 'team', 'vrf', 'hsr', 'openvswitch'].includes(target.kind ?? '')) {
    return `${target.name} takes no ports: it is ${target.kind ? `a ${target.kind}` : 'no bridge'}`
  }
  return undefined
}

async function explainMacvlan(
  source: LinkSource,
  error: LinkwrightError,
  options: ResolvedOptions,
  lowerIndex: number,
  existing: Link | undefined
): Promise<string | undefined> {
  const lower = await source.get(lowerIndex).catch(() => undefined)
  if (!lower) return `there is no lower device with ifindex ${lowerIndex}`
  const siblings = (await childrenOf(source, lowerIndex)).filter(link => link.index !== existing?.index)
  const mode = options['mode']
  switch (error.code) {
    case 'EBUSY':
      if (lower.master) {
        const master = await nameOf(source, lower.master)
        return `${lower.name} is a port of ${master}: a device carries macvlan links or is a port, not both`
      }
      return undefined
    case 'EADDRINUSE':
      return `the MAC address is that of ${lower.name} or of another link on it (${names(siblings) || 'none'})`
    case 'EINVAL': {
      const passthru = siblings.find(link => modeOf(link) === 'passthru')
      if (passthru) return `${passthru.name} has ${lower.name} for itself (passthru)`
      if (mode === 'passthru' && siblings.length > 0) {
        return `passthru wants ${lower.name} for itself, and ${names(siblings)} is on it`
      }
      if (existing && mode !== undefined && (mode === 'passthru' || modeOf(existing) === 'passthru')) {
        return 'the mode cannot be changed from or to passthru'
      }
      if (options['macaddrMode'] !== undefined && (mode ?? (existing && modeOf(existing))) !== 'source') {
        return 'source MAC addresses are for mode source'
      }
      if (typeof options['mtu'] === 'number' && lower.mtu !== undefined && options['mtu'] > lower.mtu) {
        return `the MTU is above that of ${lower.name} (${lower.mtu})`
      }
      if (lower.flags.loopback) return 'the loopback device carries no macvlan links'
      if (mode === 'passthru') {
        return `passthru wants ${lower.name} for itself: a link that was moved to another namespace may be on it`
      }
      return undefined
    }
    default:
      return undefined
  }
}

async function childrenOf(source: LinkSource, lower: number): Promise<Link[]> {
  const links = await source.list()
  return links.filter(link => link.link === lower && MACVLAN_KINDS.has(link.kind ?? ''))
}

function modeOf(link: Link): unknown {
  return (link.data as { mode?: unknown } | undefined)?.mode
}

async function nameOf(source: LinkSource, index: number): Promise<string> {
  const link = await source.get(index).catch(() => undefined)
  return link?.name ?? `ifindex ${index}`
}

function names(links: Link[]): string {
  return links.map(link => link.name).join(', ')
}
