/** MTUs that differ along the way. */
import type { Diagnosis } from './diagnosis.js'
import type { Situation } from './situation.js'

export function mtuMismatch({ link, bridge, others }: Situation): Diagnosis[] {
  if (!bridge) return []
  const differing = [bridge, ...others].filter(({ mtu }) => mtu !== link.mtu)
  if (differing.length === 0) return []
  const all = [link, ...differing]
  const smallest = all.reduce((least, each) => ((each.mtu ?? 0) < (least.mtu ?? 0) ? each : least))
  const largest = Math.max(...all.map(({ mtu = 0 }) => mtu))
  return [
    {
      code: 'mtu-mismatch',
      message: `frames of more than ${smallest.mtu} bytes are lost at ${smallest.name}; others take up to ${largest}`,
      about: smallest.name ?? '',
      evidence: { mtu: Object.fromEntries(all.map(({ name, mtu }) => [name, mtu])) },
      remedy: `ip link set dev ${smallest.name} mtu ${largest}, and the same in the guest`
    }
  ]
}
