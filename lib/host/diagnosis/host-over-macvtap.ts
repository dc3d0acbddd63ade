/** Guest and host, which cannot speak to each other over a macvtap. */
import type { Diagnosis } from './diagnosis.js'
import type { Situation } from './situation.js'

export function hostOverMacvtap({ link, lower, addresses, options }: Situation): Diagnosis[] {
  if (!lower || (link.kind !== 'macvtap' && link.kind !== 'macvlan')) return []
  const own = addresses.find(
    ({ address, local, index }) => (local ?? address) === options.peer && index === lower.index
  )
  if (!own) return []
  const mode = (link.data as { mode?: unknown } | undefined)?.mode
  return [
    {
      code: 'host-over-macvtap',
      message: `${options.peer} is the address of ${lower.name} itself, which no ${link.kind} on it reaches`,
      about: link.name ?? '',
      evidence: { mode, lower: lower.name, address: options.peer },
      remedy: `give the address to a macvlan on ${lower.name} (mode bridge), as the host's side`
    }
  ]
}
