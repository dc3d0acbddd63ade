/** All links of the namespace at one moment, and how they hang together. */
import type { Link, LinkRef } from '../link.js'

const NONE: readonly Link[] = []

export class Snapshot {
  readonly links: readonly Link[]
  readonly #byName = new Map<string, Link>()
  readonly #byAltname = new Map<string, Link>()
  readonly #byIndex = new Map<number, Link>()
  readonly #ports = new Map<number, Link[]>()
  readonly #uppers = new Map<number, Link[]>()

  constructor(links: readonly Link[]) {
    this.links = links
    for (const link of links) {
      const { index, name, master } = link
      this.#byIndex.set(index, link)
      if (name !== undefined) this.#byName.set(name, link)
      for (const altname of link.altnames) this.#byAltname.set(altname, link)
      if (master) push(this.#ports, master, link)
      const lower = lowerOf(link)
      if (lower) push(this.#uppers, lower, link)
    }
  }

  named(name: string): Link | undefined {
    return this.#byName.get(name)
  }

  /** The link that has the name besides its own. */
  otherwiseNamed(name: string): Link | undefined {
    return this.#byAltname.get(name)
  }

  at(index: number): Link | undefined {
    return this.#byIndex.get(index)
  }

  /** The ports of a bridge, bond or VRF. */
  portsOf(index: number): readonly Link[] {
    return this.#ports.get(index) ?? NONE
  }

  /** The links on top of one, which the kernel removes with it. */
  uppersOf(index: number): readonly Link[] {
    return this.#uppers.get(index) ?? NONE
  }

  /** The other end of a veth, where it is in this namespace. */
  peerOf(link: Link): Link | undefined {
    if (link.kind !== 'veth' || link.link === undefined || link.linkNetnsid !== undefined) return undefined
    return this.#byIndex.get(link.link)
  }

  find(ref: LinkRef): Link | undefined {
    if (typeof ref === 'string') return this.named(ref) ?? this.otherwiseNamed(ref)
    return this.at(typeof ref === 'number' ? ref : ref.index)
  }

  indexOf(ref: LinkRef): number | undefined {
    return this.find(ref)?.index
  }

  /** What to call a link, whether it is there or not. */
  nameOf(ref: LinkRef | null): string | null {
    if (ref === null) return null
    const found = this.find(ref)
    if (found?.name !== undefined) return found.name
    return typeof ref === 'string' ? ref : `ifindex ${typeof ref === 'number' ? ref : ref.index}`
  }
}

/** What a link sits on. The peer of a veth is none. */
function lowerOf(link: Link): number | undefined {
  if (link.kind === 'vxlan') return (link.data as { dev?: number } | undefined)?.dev
  if (link.kind === undefined || link.kind === 'veth' || link.linkNetnsid !== undefined) return undefined
  return link.link === link.index ? undefined : link.link
}

function push(map: Map<number, Link[]>, key: number, link: Link): void {
  const list = map.get(key)
  if (list) list.push(link)
  else map.set(key, [link])
}
