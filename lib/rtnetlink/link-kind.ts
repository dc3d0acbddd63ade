/** The registry of link kinds. A kind is one file in `kinds/`; programs register their own in the same way. */
import { type AttributesCodec, type AttributeTable, attributes, type Change, type In } from '../codec/attributes.js'

/** What the kernel calls `rtnl_link_ops`, as far as it can be said in a table. */
export interface LinkKind<T extends AttributeTable = AttributeTable, Required extends keyof T = keyof T> {
  readonly name: string
  /** IFLA_INFO_DATA */
  readonly data: AttributesCodec<T>
  /** Attributes without which no link of this kind is created. */
  readonly required: readonly Required[]
  /** Whether the kind sits on a lower device (IFLA_LINK). */
  readonly lower: boolean
  /** Why the kind cannot be created by netlink, if so. */
  readonly notCreatable?: string | undefined
  /** Completes what people leave out because it can be meant in one way only. */
  readonly complete?: ((data: Record<string, unknown>) => Record<string, unknown>) | undefined
}

/** Kinds by name. Extend it by declaration merging when you register a kind of your own. */
// biome-ignore lint/suspicious/noEmptyInterface: filled by declaration merging
export interface LinkKinds {}

export type KindName = keyof LinkKinds & string

type TableOf<K extends KindName> = LinkKinds[K] extends LinkKind<infer T, infer _> ? T : never
type RequiredOf<K extends KindName> = LinkKinds[K] extends LinkKind<infer _, infer R> ? R : never

/** What may be given when a link of the kind is created. */
export type KindOptions<K extends KindName> = Omit<In<TableOf<K>>, RequiredOf<K> | 'unknown'> & {
  [P in RequiredOf<K> & keyof In<TableOf<K>>]-?: NonNullable<In<TableOf<K>>[P]>
}

/** What may be changed on a link of the kind. */
export type KindChange<K extends KindName> = Omit<Change<TableOf<K>>, 'unknown'>

/** What is read of a link of the kind. */
export type KindView<K extends KindName> = InstanceType<AttributesCodec<TableOf<K>>['View']>

const kinds = new Map<string, LinkKind>()
const portKinds = new Map<string, AttributesCodec<AttributeTable>>()

/** Registers a link kind and returns its description. */
export function linkKind<const T extends AttributeTable, const R extends keyof T & string = never>(
  name: string,
  table: T,
  options: Partial<Pick<LinkKind, 'lower' | 'notCreatable' | 'complete'>> & { required?: readonly R[] } = {}
): LinkKind<T, R> {
  const kind: LinkKind<T, R> = {
    name,
    data: attributes(table),
    required: options.required ?? [],
    lower: options.lower ?? false,
    notCreatable: options.notCreatable,
    complete: options.complete
  }
  kinds.set(name, kind as unknown as LinkKind)
  return kind
}

/** Registers what a port of a kind of master has (IFLA_INFO_SLAVE_DATA). */
export function portKind<const T extends AttributeTable>(name: string, table: T): AttributesCodec<T> {
  const codec = attributes(table)
  portKinds.set(name, codec as unknown as AttributesCodec<AttributeTable>)
  return codec
}

export function findLinkKind(name: string): LinkKind | undefined {
  return kinds.get(name)
}

export function findPortKind(name: string): AttributesCodec<AttributeTable> | undefined {
  return portKinds.get(name)
}

export function linkKindNames(): string[] {
  return [...kinds.keys()].sort()
}
