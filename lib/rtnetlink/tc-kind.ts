/** Kinds of qdiscs, classes, filters and actions. A kind is one file; programs register their own in the same way. */
import type { AnyCodec, OutOf } from '../codec/codec.js'
import { invalidArgument } from '../errors.js'

/** How the options of one kind (TCA_OPTIONS) are laid out, and what people say instead. */
export interface TcKind<Settings extends object = object, C extends AnyCodec = AnyCodec> {
  readonly name: string
  /** TCA_OPTIONS; none for a kind without any. */
  readonly options?: C | undefined
  /** What may be given, where the options do not tell by themselves. */
  readonly settings?: readonly (keyof Settings & string)[] | undefined
  /** What only this kind counts: TCA_STATS_APP. */
  readonly statistics?: AnyCodec | undefined
  /** Options from settings: rates in bits per second, sizes in bytes, times in words. Refuses what is wrong. */
  toOptions(settings: Settings): object | undefined
  /** Settings that make the same options. */
  toSettings(options: OutOf<C>): Settings
}

/** Kinds by name. Extend them by declaration merging when you register a kind of your own. */
// biome-ignore lint/suspicious/noEmptyInterface: filled by declaration merging
export interface QdiscKinds {}
// biome-ignore lint/suspicious/noEmptyInterface: filled by declaration merging
export interface ClassKinds {}
// biome-ignore lint/suspicious/noEmptyInterface: filled by declaration merging
export interface FilterKinds {}
// biome-ignore lint/suspicious/noEmptyInterface: filled by declaration merging
export interface ActionKinds {}

export type SettingsOf<Kind> = Kind extends TcKind<infer S, infer _> ? S : never
/** An object of one of the kinds: its name, and its settings beside it. */
export type OfKind<Kinds> = { [K in keyof Kinds & string]: { kind: K } & SettingsOf<Kinds[K]> }[keyof Kinds & string]

/** The kinds of one sort of object. */
class Registry {
  readonly #kinds = new Map<string, TcKind>()

  add<S extends object, C extends AnyCodec>(kind: TcKind<S, C>): TcKind<S, C> {
    this.#kinds.set(kind.name, kind as unknown as TcKind)
    return kind
  }

  find(name: string | undefined): TcKind | undefined {
    return name === undefined ? undefined : this.#kinds.get(name)
  }

  get names(): string[] {
    return [...this.#kinds.keys()].sort()
  }
}

export const qdiscKinds: Registry = new Registry()
export const classKinds: Registry = new Registry()
export const filterKinds: Registry = new Registry()
export const actionKinds: Registry = new Registry()

export const qdiscKind = <S extends object, C extends AnyCodec>(kind: TcKind<S, C>) => qdiscKinds.add(kind)
export const classKind = <S extends object, C extends AnyCodec>(kind: TcKind<S, C>) => classKinds.add(kind)
export const filterKind = <S extends object, C extends AnyCodec>(kind: TcKind<S, C>) => filterKinds.add(kind)
export const actionKind = <S extends object, C extends AnyCodec>(kind: TcKind<S, C>) => actionKinds.add(kind)

/** What a kind makes of settings; refuses those that it does not have. */
export function optionsOf(kind: TcKind, settings: object): object | undefined {
  const { settings: known } = kind as { settings?: readonly string[] }
  for (const [name, value] of Object.entries(settings)) {
    if (known && !known.includes(name)) {
      throw invalidArgument(name, `one of the settings of ${kind.name}: ${known.join(', ') || 'none'}`, value)
    }
  }
  return kind.toOptions(settings)
}

/** The kind of an object that was read, and its settings beside it; `undefined` for a kind that is not known. */
export function settingsOf<Kinds>(kind: TcKind | undefined, options: unknown): Partial<OfKind<Kinds>> | undefined {
  if (!kind) return undefined
  return { kind: kind.name, ...(options ? kind.toSettings(options as never) : {}) } as Partial<OfKind<Kinds>>
}

/** The two ways between settings and options of a kind whose options need no translation. */
export const asTheyAre = {
  toOptions: (settings: object): object => settings,
  // biome-ignore lint/suspicious/noExplicitAny: a view of attributes, or a plain struct
  toSettings: (options: any): any => (typeof options?.toJSON === 'function' ? options.toJSON() : options)
}
