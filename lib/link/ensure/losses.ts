/** What is lost when links are removed to be made anew: everything on top of them, and their ports' settings. */
import { LinkwrightError } from '../../errors.js'
import type { Link, LinkRef } from '../link.js'
import { isOwnedBy } from '../owner.js'
import type { Situation } from './situation.js'
import type { Wanted } from './wanted.js'

export class Losses {
  readonly #situation: Situation
  readonly #lost = new Map<number, { link: Link; because: string; withAnother: boolean }>()

  constructor(situation: Situation) {
    this.#situation = situation
  }

  has(index: number): boolean {
    return this.#lost.has(index)
  }

  /** Why a link is lost. */
  because({ index }: Link): string | undefined {
    return this.#lost.get(index)?.because
  }

  get links(): Link[] {
    return [...this.#lost.values()].map(({ link }) => link)
  }

  /** Those that do not go with another. */
  get first(): Link[] {
    return [...this.#lost.values()].filter(({ withAnother }) => !withAnother).map(({ link }) => link)
  }

  /** Gives up a link because it has to be another, if that is the owner's to do and nothing of others goes with it. */
  replace(wanted: Wanted, existing: Link, reason: string): void {
    const { owner } = this.#situation.policy
    if (wanted.notCreatable || owner === undefined || !isOwnedBy(existing, owner)) {
      const whose = owner === undefined ? 'no owner was named' : `it is not ${owner}'s`
      throw notOwned(
        existing,
        `${wanted.path}: ${existing.name} would have to be replaced (${reason}), and ${whose}`,
        wanted.path
      )
    }
    this.lose(existing, reason)
  }

  lose(link: Link, because = 'it is in the way', goesWith?: Link): void {
    const before = this.#lost.get(link.index)
    if (before) {
      before.withAnother ||= goesWith !== undefined
      return
    }
    this.#lost.set(link.index, { link, because, withAnother: goesWith !== undefined })
    for (const other of this.#goesWith(link)) {
      if (other.index !== goesWith?.index) this.lose(other, `it goes with ${link.name}`, link)
    }
  }

  /** Refuses what would take anything of others along. */
  check(unwanted: readonly Link[]): void {
    const { snapshot } = this.#situation
    const going = new Set([...this.#lost.keys(), ...unwanted.map(({ index }) => index)])
    for (const link of [...this.links, ...unwanted]) {
      for (const other of this.#goesWith(link)) {
        const stays = !going.has(other.index) && !this.#isBarePeer(other, link) && !this.#movesAway(other, link)
        if (stays) throw takesAlong(link, other, 'goes with it')
        if (this.#lost.has(other.index) && !this.#isOurs(other, going) && !this.#isBarePeer(other, link)) {
          throw takesAlong(link, other, 'goes with it')
        }
      }
      for (const port of snapshot.portsOf(link.index)) {
        if (going.has(port.index)) continue
        const wanted = this.#situation.wanted.get(port.name ?? '')
        // A port of what is made again has to become one again; of what goes for good the owner's may be left alone.
        const isFine = this.#lost.has(link.index)
          ? wanted && (wanted.options['master'] !== undefined || this.#owns(port))
          : wanted || this.#owns(port)
        if (!isFine) throw takesAlong(link, port, 'is a port of it')
      }
    }
  }

  #owns(link: Link): boolean {
    const { owner } = this.#situation.policy
    return owner !== undefined && isOwnedBy(link, owner)
  }

  #goesWith(link: Link): Link[] {
    const { snapshot } = this.#situation
    const peer = snapshot.peerOf(link)
    return [...(peer ? [peer] : []), ...snapshot.uppersOf(link.index)]
  }

  /** Whether a link is on another by the time that this one is removed, which is at the end. */
  #movesAway(link: Link, from: Link): boolean {
    const wishes = this.#owns(link) ? this.#situation.wanted.get(link.name ?? '')?.wishes : undefined
    const dev = wishes?.find(({ place, name }) => place === 'reference' && name === 'dev')?.value
    return dev !== undefined && dev !== null && this.#situation.snapshot.indexOf(dev as LinkRef) !== from.index
  }

  /** Whether a link is made again, or would be removed anyway. */
  #isOurs(link: Link, going: ReadonlySet<number>): boolean {
    const { wanted, policy } = this.#situation
    if (!this.#owns(link)) return false
    return wanted.has(link.name ?? '') || (policy.prune && going.has(link.index))
  }

  /** The other end of a veth that nobody has claimed cannot be had alone. */
  #isBarePeer(link: Link, of: Link): boolean {
    const { snapshot, wanted } = this.#situation
    if (snapshot.peerOf(of)?.index !== link.index || wanted.has(link.name ?? '')) return false
    return this.#owns(link) || (!link.alias && !link.group)
  }
}

function takesAlong(link: Link, other: Link, how: string): LinkwrightError {
  return notOwned(other, `${link.name} cannot be removed: ${other.name}, which is not for this list to remove, ${how}`)
}

function notOwned(link: Link, message: string, path?: string): LinkwrightError {
  return new LinkwrightError(message, { code: 'ERR_NOT_OWNED', link: link.name, path })
}
