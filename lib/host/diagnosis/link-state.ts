/** Links that are down, or without a carrier. */
import type { Diagnosis } from './diagnosis.js'
import type { Situation } from './situation.js'
import { isHeld } from './tap-holder.js'

export async function linkState(situation: Situation): Promise<Diagnosis[]> {
  const { link, bridge, lower } = situation
  const found: Diagnosis[] = []
  for (const each of [link, bridge]) {
    if (!each || each.up) continue
    found.push({
      code: each === link ? 'link-down' : 'bridge-down',
      message: `${each.name} is down`,
      about: each.name ?? '',
      evidence: { flags: each.flags, operstate: each.operstate },
      remedy: `ip link set dev ${each.name} up`
    })
  }
  // That of the lower device, and that nobody holds a TAP, are findings of their own.
  const explained = lower && (!lower.up || lower.carrier === false)
  if (link.up && link.carrier === false && !explained && (await isHeld(situation)) !== false) {
    found.push({
      code: 'no-carrier',
      message: `${link.name} has no carrier`,
      about: link.name ?? '',
      evidence: { carrier: false, carrierDownCount: link.carrierDownCount },
      remedy: link.is('tun')
        ? `ip link set dev ${link.name} carrier on`
        : 'plug the cable in, or bring the other end up'
    })
  }
  return found
}
