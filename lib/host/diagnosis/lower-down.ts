/** A macvtap, macvlan or VLAN on a device that does not carry anything. */
import type { Diagnosis } from './diagnosis.js'
import type { Situation } from './situation.js'

export function lowerDown({ link, lower }: Situation): Diagnosis[] {
  if (!lower || (lower.up && lower.carrier !== false)) return []
  const about = lower.name ?? ''
  return [
    {
      code: 'lower-down',
      message: `${about}, which ${link.name} is on, ${lower.up ? 'has no carrier' : 'is down'}`,
      about,
      evidence: { up: lower.up, carrier: lower.carrier, operstate: link.operstate },
      remedy: lower.up ? 'plug the cable in, or bring the other end up' : `ip link set dev ${about} up`
    }
  ]
}
