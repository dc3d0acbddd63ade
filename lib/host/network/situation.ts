/** What the namespace has, in one look. */
import { LinkwrightError } from '../../errors.js'
import { Nftables } from '../../firewall/nftables.js'
import type { Ruleset } from '../../firewall/objects.js'
import type { Address } from '../../link/addresses.js'
import type { Link } from '../../link/link.js'
import type { Netlink } from '../../link/netlink.js'
import type { Route } from '../../link/routes.js'
import type { PolicyRule } from '../../link/rules.js'

export interface Situation {
  readonly net: Netlink
  readonly links: readonly Link[]
  readonly addresses: readonly Address[]
  /** Of all tables. */
  readonly routes: readonly Route[]
  readonly rules: readonly PolicyRule[]
  /** `undefined` where the kernel has no nf_tables. */
  readonly ruleset: Ruleset | undefined
}

export async function look(net: Netlink): Promise<Situation> {
  const [links, addresses, routes, rules, ruleset] = await Promise.all([
    net.links.list(),
    net.addresses.list(),
    net.routes.list({ table: 0 }),
    net.rules.list(),
    withNftables(net, nftables => nftables.ruleset()).catch(orNone)
  ])
  return { net, links, addresses, routes, rules, ruleset }
}

/** Does something with nf_tables of the namespace of a socket. */
export async function withNftables<T>(net: Netlink, use: (nftables: Nftables) => Promise<T>): Promise<T> {
  const netns = await net.openNetns()
  try {
    await using nftables = await Nftables.open({ netns: { fd: netns.fds[0] as number } })
    return await use(nftables)
  } finally {
    await netns.close()
  }
}

/** What a kernel without nf_tables says. */
export function orNone(error: unknown): undefined {
  if (error instanceof LinkwrightError && ['EPROTONOSUPPORT', 'EINVAL', 'EOPNOTSUPP'].includes(error.code)) return
  throw error
}

export const linkNamed = ({ links }: Situation, name: string): Link | undefined =>
  links.find(link => link.name === name || link.altnames.includes(name))
