/** Ports that spanning tree or an administrator keeps from forwarding. */
import type { Diagnosis } from './diagnosis.js'
import type { Situation } from './situation.js'

export function portState({ link, bridge }: Situation): Diagnosis[] {
  const state = link.port?.state
  // One without a carrier, or of a bridge that is down, is disabled for that reason.
  const ready = link.up && link.carrier !== false && bridge?.up
  if (!bridge?.is('bridge') || !ready || state === undefined || state === 'forwarding') return []
  const waits = state === 'listening' || state === 'learning'
  const { stp, forwardDelay } = bridge.data
  return [
    {
      code: `port-${state}`,
      message: `${link.name} is ${state}: ${bridge.name} forwards nothing from and to it`,
      about: link.name ?? '',
      evidence: { state, stp, forwardDelay },
      remedy: waits
        ? `wait for twice the forward delay, or: ip link set dev ${bridge.name} type bridge stp_state 0`
        : `bridge link set dev ${link.name} state forwarding`
    }
  ]
}
