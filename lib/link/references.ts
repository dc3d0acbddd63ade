/** Links that options refer to by name, as the ifindexes that the kernel wants. */
import { prefixPath } from '../codec/codec.js'
import { invalidArgument } from '../errors.js'
import type { NetnsRef } from '../netns.js'
import type { Link, LinkRef } from './link.js'
import type { BridgePortSettings, VethPeer } from './link-options.js'
import type { ResolvedOptions } from './link-requests.js'
import { withOwner } from './owner.js'

/** The name or ifindex that a reference is. */
export function plainRef(ref: LinkRef, path = 'link'): string | number {
  const target = typeof ref === 'object' && ref !== null ? ref.index : ref
  if (typeof target === 'number' || (typeof target === 'string' && target !== '')) return target
  throw invalidArgument(path, 'a name, an ifindex or a link', ref)
}

/** Any ifindex will do. */
const DRY = 1

interface Referring {
  master?: LinkRef | null
  link?: LinkRef
  dev?: LinkRef
  port?: BridgePortSettings
  peer?: VethPeer
  netns?: NetnsRef
}

/** Looks each name up once, however many options refer to it, and those that are asked for at once together. */
export class References {
  /** Finds every name without looking: to see whether options can be encoded at all. */
  static readonly dry = new References(async () => [], DRY)

  readonly #lookUp: (names: readonly string[]) => Promise<PromiseSettledResult<Link>[]>
  readonly #assumed: number | undefined
  readonly #found = new Map<string, PromiseSettledResult<Link>>()
  /** Two may ask for the same at once. */
  readonly #looking = new Map<string, Promise<void>>()

  constructor(lookUp: (names: readonly string[]) => Promise<PromiseSettledResult<Link>[]>, assumed?: number) {
    this.#lookUp = lookUp
    this.#assumed = assumed
  }

  /** Looks up the names that some options refer to. What is not found fails when it is used; it may be there next time. */
  async load(all: Iterable<object>): Promise<void> {
    const wanted = new Set<string>()
    const awaited = new Set<Promise<void>>()
    for (const options of all) {
      for (const name of namesIn(options)) {
        const looking = this.#looking.get(name)
        if (looking) awaited.add(looking)
        else if (!this.linkOf(name)) wanted.add(name)
      }
    }
    if (wanted.size > 0) awaited.add(this.#look([...wanted]))
    await Promise.all(awaited)
  }

  #look(names: readonly string[]): Promise<void> {
    const looking = this.#lookUp(names)
      .then(results => {
        for (const [at, name] of names.entries()) this.#found.set(name, results[at] as PromiseSettledResult<Link>)
      })
      .finally(() => {
        for (const name of names) this.#looking.delete(name)
      })
    for (const name of names) this.#looking.set(name, looking)
    return looking
  }

  /** Whether all names are there already. */
  has(names: readonly string[]): boolean {
    return names.every(name => this.linkOf(name) !== undefined)
  }

  /** What was found by a name. */
  linkOf(name: string): Link | undefined {
    const found = this.#found.get(name)
    return found?.status === 'fulfilled' ? found.value : undefined
  }

  /** Options with ifindexes in place of references. */
  resolve(options: object): ResolvedOptions {
    const { master, link, dev, port, peer, netns } = options as Referring
    const resolved = { ...(withOwner(options) as object) } as ResolvedOptions
    if (master !== undefined) {
      // The master of a link that is made in another namespace is one of that namespace.
      resolved.master = netns !== undefined ? undefined : master === null ? 0 : this.#index(master, 'master')
    }
    if (link !== undefined) resolved.link = this.#index(link, 'link')
    if (dev !== undefined) resolved.dev = this.#index(dev, 'dev')
    if (port !== undefined) {
      const { backupPort, ...settings } = port
      resolved.port = settings
      if (backupPort !== undefined) {
        resolved.port['backupPort'] = backupPort === null ? 0 : this.#index(backupPort, 'port.backupPort')
      }
    }
    if (peer !== undefined) {
      // The peer's master is of its own namespace, and set there.
      const { master: _master, port: _port, ...own } = peer
      try {
        resolved.peer = this.resolve(own)
      } catch (error) {
        throw prefixPath(error, 'peer')
      }
    }
    return resolved
  }

  #index(ref: LinkRef, path: string): number {
    const target = plainRef(ref, path)
    if (typeof target === 'number') return target
    const found = this.#found.get(target)
    if (!found && this.#assumed) return this.#assumed
    if (!found) throw new Error(`${target} was not looked up`)
    if (found.status === 'rejected') throw found.reason
    return found.value.index
  }
}

export function namesIn(options: object): string[] {
  const { master, link, dev, port, netns } = options as Referring
  const names: string[] = []
  if (typeof master === 'string' && netns === undefined) names.push(master)
  if (typeof link === 'string') names.push(link)
  if (typeof dev === 'string') names.push(dev)
  if (typeof port?.backupPort === 'string') names.push(port.backupPort)
  return names
}
