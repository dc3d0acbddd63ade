/** What `ensure` takes. */
import { invalidArgument } from '../../errors.js'
import type { CallOptions } from '../../netlink/socket.js'
import { checkKeys } from '../../options.js'
import type { CreateLink, LinkSettings } from '../link-options.js'
import { checkOwner } from '../owner.js'

/** Refused by `ensure`: links of other namespaces, and an owner apart from that of the call. */
interface Elsewhere {
  netns?: undefined
  owner?: undefined
}

/**
 * A link that shall be there, as for `create`, always with its name. A TAP or TUN (`kind: 'tun'`) and a device without a
 * kind (a network card) must exist; what is given of them is set.
 *
 * What is left out stays as it is. `master`, `link`, `dev` and `port.backupPort` may name other links of the list. A veth's
 * `peer`, which needs its name, may be a link of the list as well, with settings in either place. `altnames` are all that
 * the link shall have.
 *
 * Refused, because the kernel moves them by itself or does not tell them: `operstate`, `port.state`, `xdp`, `unknown`,
 * `unknownData`, `linkNetnsid`, `afSpec.inet`, actions (`fdbFlush`, `macaddr`), a vxlan's `mcRoute`. Links in other
 * namespaces (`netns`) are for the `ensure` of those.
 */
export type EnsureLink = (CreateLink | ExistingLink) & Elsewhere & { name: string }

interface ExistingLink extends LinkSettings {
  kind?: 'tun' | undefined
  altnames?: string[] | undefined
}

export interface EnsureOptions extends CallOptions {
  /**
   * Whose the links are: they are tagged, as by `create`. Only links with this tag are removed or replaced, and a link of
   * another that has one of the names is refused. Without an owner nothing is removed or replaced.
   */
  owner?: string | undefined
  /** Take over links that are not the owner's: all that have a name of the list, or those named. They get the tag. */
  adopt?: boolean | readonly string[] | undefined
  /**
   * Whether links of the owner that are not in the list are removed (the default). TUN, TAP and network cards never are,
   * for nothing here could make them again.
   */
  prune?: boolean | undefined
  /** Only tell what would be done. */
  dryRun?: boolean | undefined
  /** Called with how many steps of the present plan are done, of how many. */
  onProgress?: ((done: number, total: number) => void) | undefined
}

const KEYS: ReadonlySet<string> = new Set<keyof EnsureOptions>([
  'owner',
  'adopt',
  'prune',
  'dryRun',
  'onProgress',
  'signal',
  'timeout'
])

/** Options that were looked at. */
export interface Policy {
  readonly owner: string | undefined
  readonly prune: boolean
  adopts(name: string): boolean
}

export function policyOf(options: EnsureOptions): Policy {
  checkKeys(options, KEYS)
  const { owner, adopt = false, prune = true, dryRun, onProgress } = options
  if (owner !== undefined) checkOwner(owner)
  for (const [name, value] of Object.entries({ prune, dryRun })) {
    if (value !== undefined && typeof value !== 'boolean') throw invalidArgument(name, 'true or false', value)
  }
  if (typeof adopt !== 'boolean' && !(Array.isArray(adopt) && adopt.every(name => typeof name === 'string'))) {
    throw invalidArgument('adopt', 'true, false or names of links', adopt)
  }
  if (onProgress !== undefined && typeof onProgress !== 'function')
    throw invalidArgument('onProgress', 'a function', onProgress)
  return { owner, prune, adopts: name => (typeof adopt === 'boolean' ? adopt : adopt.includes(name)) }
}
