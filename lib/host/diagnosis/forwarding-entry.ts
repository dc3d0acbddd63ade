/** Guests that their bridge cannot know. */
import type { Diagnosis } from './diagnosis.js'
import { guestMacs, type Situation } from './situation.js'

export function forwardingEntry(situation: Situation): Diagnosis[] {
  const { link, bridge, fdb, options } = situation
  if (!bridge || link.port?.learning !== false) return []
  const known = fdb.filter(({ index, state, flags }) => index === link.index && !state.permanent && !flags.self)
  const wanted = options.mac?.toLowerCase()
  if (wanted === undefined ? known.length > 0 : known.some(({ lladdr }) => lladdr === wanted)) return []
  const mac = wanted ?? guestMacs(situation)[0] ?? 'MAC'
  const { flood } = link.port
  return [
    {
      code: 'no-forwarding-entry',
      message: `${bridge.name} learns nothing from ${link.name} and has no entry for the guest: ${
        flood === false ? 'what is for it is dropped' : 'what is for it goes to all ports'
      }`,
      about: link.name ?? '',
      evidence: { learning: false, flood, entries: known.map(({ lladdr }) => lladdr) },
      remedy: `bridge fdb replace ${mac} dev ${link.name} master static sticky, or: bridge link set dev ${link.name} learning on`
    }
  ]
}
