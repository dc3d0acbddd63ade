/** A NIC that guests use by macvtap: the host peer, where one is wanted, and what stands against it. */
import type { Finding } from '../finding.js'
import type { PlanParts } from '../plan.js'
import { takeoverParts } from '../takeover/takeover.js'
import { linkNamed, type Situation } from './situation.js'
import type { DirectNetwork } from './spec.js'

const FAMILY = new Set(['macvtap', 'macvlan'])

interface DirectPart extends Pick<PlanParts, 'steps' | 'conflicts' | 'warnings' | 'links' | 'made'> {
  readonly verifications: readonly PlanParts['verify'][]
}

export async function directOf(name: string, network: DirectNetwork, situation: Situation): Promise<DirectPart> {
  const { link: nic, mode, hostPeer } = network
  const link = linkNamed(situation, nic)
  const none = { steps: [], conflicts: [], warnings: [], links: [], made: [], verifications: [] }
  if (!link) return { ...none, conflicts: [{ code: 'no-such-link', message: `there is no link ${nic}`, about: nic }] }
  const conflicts: Finding[] = []
  const add = (code: string, message: string) => conflicts.push({ code, message, about: nic })
  if (link.master) add('already-a-port', `${nic} is a port, which can have no macvtap as well (EBUSY)`)
  const others = situation.links.filter(each => each.link === link.index && FAMILY.has(each.kind ?? ''))
  const modes = others.map(each => (each.data as { mode?: string } | undefined)?.mode)
  if (modes.includes('passthru') && mode !== 'passthru') add('upper-link', `${nic} is taken by a link in mode passthru`)
  if (hostPeer === undefined) return { ...none, conflicts, warnings: alone(name, network) }
  const parts = await takeoverParts(situation.net, { nic, hostPeer })
  return {
    steps: parts.steps,
    conflicts: [...conflicts, ...parts.conflicts],
    warnings: parts.warnings,
    links: parts.links,
    made: parts.made,
    verifications: [parts.verify]
  }
}

function alone(name: string, { mode, link }: DirectNetwork): Finding[] {
  if (mode !== 'bridge') return []
  const message = `guests of ${name} and the host do not reach each other on ${link} without a hostPeer`
  return [{ code: 'no-host-peer', message, about: link }]
}
