/** Ports of a bridge that is made again, where the list does not say whose ports they shall be: they stay its ports. */
import type { Link } from '../link.js'
import type { ResolvedOptions } from '../link-requests.js'
import { portSettings } from './changes.js'
import type { Losses } from './losses.js'
import type { Situation } from './situation.js'
import type { Snapshot } from './snapshot.js'
import type { Wanted } from './wanted.js'
import { type Difference, wholeWish, wishesOf } from './wishes.js'

/** The bridge that a link is a port of and has to become one of again. */
export function remadeMaster({ name, options }: Wanted, situation: Situation, losses: Losses): Wanted | undefined {
  const existing = situation.snapshot.named(name)
  if (!existing?.master || losses.has(existing.index) || options['master'] !== undefined) return undefined
  if (!losses.has(existing.master)) return undefined
  return situation.wanted.get(situation.snapshot.at(existing.master)?.name ?? '')
}

/** What makes it a port again, as it was but for what the list says. */
export function portAgain({ name, wishes }: Wanted, master: Wanted, snapshot: Snapshot): Difference[] {
  const port = portSettings(snapshot.named(name) as Link)
  const asItWas = wishesOf({ master: master.name, port } as unknown as ResolvedOptions)
  return asItWas.filter(({ path }) => !wishes.some(wish => wish.path === path)).map(wish => wholeWish(wish, snapshot))
}
