/** The links that are to be made, as they come: cut where one refers to another, with an eye on what comes next. */
import type { CreateLink, VethPeer } from '../link-options.js'
import { namesIn } from '../references.js'

/** Chunks none of whose links refers to another of the same: it has to be there before it can be looked up. */
export async function* independent(chunks: AsyncIterable<CreateLink[]>): AsyncGenerator<CreateLink[], void, undefined> {
  for await (const chunk of chunks) {
    const made = new Set<string>()
    let from = 0
    for (const [at, item] of chunk.entries()) {
      if (!isObject(item)) continue
      if (namesIn(item).some(name => made.has(name))) {
        yield chunk.slice(from, at)
        from = at
        made.clear()
      }
      for (const name of namesOf(item)) made.add(name)
    }
    yield from === 0 ? chunk : chunk.slice(from)
  }
}

/** Links whose masters are looked up together: an answer waits until the exchanges before it are done. */
const AHEAD = 1024

/** Looks up what the links of a list refer to before it is their turn; what the list makes itself is not there yet. */
export class LookAhead {
  readonly #all: readonly CreateLink[]
  readonly #made: ReadonlySet<string>
  readonly #load: (links: CreateLink[]) => void
  #next: number

  /** @param from where to begin: the first are looked up when it is known that they can be encoded */
  constructor(all: readonly CreateLink[], from: number, load: (links: CreateLink[]) => void) {
    this.#all = all
    this.#made = new Set(all.length > from ? all.flatMap(item => (isObject(item) ? namesOf(item) : [])) : [])
    this.#load = load
    this.#next = from
  }

  /** @param at how far the list is made */
  reach(at: number): void {
    while (this.#next < this.#all.length && this.#next <= at + AHEAD / 2) {
      const links = this.#all.slice(this.#next, this.#next + AHEAD)
      this.#next += AHEAD
      this.#load(links.filter(item => isObject(item) && !namesIn(item).some(name => this.#made.has(name))))
    }
  }
}

function namesOf(item: CreateLink): string[] {
  const { name, peer } = item as { name?: unknown; peer?: VethPeer }
  return [name, peer?.name].filter(name => typeof name === 'string')
}

/** What is not is refused when it is its turn. */
function isObject(item: unknown): item is CreateLink {
  return typeof item === 'object' && item !== null
}
