/**
 * Whose a link is: a tag that the kernel keeps, so that it outlives the process that made the link.
 *
 * The group (IFLA_GROUP) is set in the very message that creates the link, so no link is ever without it; the alias
 * (IFLA_IFALIAS) follows, and says the name itself.
 */
import { createHash } from 'node:crypto'
import { invalidArgument } from '../errors.js'

/** Groups that stand for owners; those that `deleteMany` removes by are above. */
const GROUP_FROM = 0x2000_0000
const GROUPS = 0x2000_0000

const PREFIX = 'linkwright:'
const NAME = /^[\w.-]{1,64}$/

/** The part of a link that tells its owner. */
interface Tagged {
  readonly alias?: string | undefined
  readonly group?: number | undefined
}

export function checkOwner(owner: unknown, path = 'owner'): asserts owner is string {
  if (typeof owner !== 'string' || !NAME.test(owner)) {
    throw invalidArgument(path, 'a name of 1 to 64 letters, digits, dots, hyphens and underscores', owner)
  }
}

/** The last that was asked for: thousands of links are compared with the same. */
let last = { owner: '', group: 0 }

/** The group of an owner's links. */
export function ownerGroup(owner: string): number {
  if (last.owner !== owner) {
    last = { owner, group: GROUP_FROM + (createHash('sha256').update(owner).digest().readUInt32BE(0) % GROUPS) }
  }
  return last.group
}

/** The owner in the words of an alias, before what the alias says otherwise. */
export function ownerAlias(owner: string, alias?: string): string {
  return alias ? `${PREFIX}${owner} ${alias}` : `${PREFIX}${owner}`
}

/** What stands in an alias for the owner where only the group is known: no name can look like it. */
export function groupAlias(group: number): string {
  return `${PREFIX}#${group.toString(16)}`
}

export function isOwnerGroup(group: number): boolean {
  return group >= GROUP_FROM && group < GROUP_FROM + GROUPS
}

/** Who the alias says a link belongs to. */
export function ownerOf({ alias }: Tagged): string | undefined {
  if (!alias?.startsWith(PREFIX)) return undefined
  const [name = ''] = alias.slice(PREFIX.length).split(' ', 1)
  return NAME.test(name) ? name : undefined
}

/** Whether a link is somebody's; also one whose maker was killed before it could set the alias. */
export function isOwnedBy(link: Tagged, owner: string): boolean {
  const { alias } = link
  if (!alias) return link.group === ownerGroup(owner)
  return ownerOf({ alias }) === owner || alias === groupAlias(ownerGroup(owner))
}

/** Options with the owner made into the attributes that the kernel keeps. */
export function withOwner<T extends object>(options: T): Omit<T, 'owner'> & Tagged {
  // Most have none, and are made by the thousand.
  if ((options as { owner?: unknown }).owner === undefined) return options
  const { owner, ...others } = options as T & Tagged & { owner?: unknown }
  checkOwner(owner)
  if (others.group !== undefined) throw invalidArgument('group', 'nothing beside owner, which takes it', others.group)
  const { alias } = others
  if (alias !== undefined && typeof alias !== 'string') throw invalidArgument('alias', 'a string', alias)
  return { ...others, group: ownerGroup(owner), alias: ownerAlias(owner, alias) } as Omit<T, 'owner'> & Tagged
}
