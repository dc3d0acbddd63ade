/** VLANs that a port of a filtering bridge lacks, or has for itself alone. */
import { readVlans } from '../port/vlans.js'
import type { Diagnosis } from './diagnosis.js'
import type { Situation } from './situation.js'

export async function vlanMissing({ net, link, bridge, others, options }: Situation): Promise<Diagnosis[]> {
  if (!bridge?.is('bridge') || !bridge.data.vlanFiltering) return []
  const all = await readVlans(net)
  const own = all.get(link.index) ?? new Map<number, { pvid: boolean }>()
  const pvid = [...own].find(([, flags]) => flags.pvid)?.[0]
  const vlan = options.vlan ?? pvid
  const about = link.name ?? ''
  const evidence = { vlans: [...own.keys()], pvid }
  if (vlan === undefined || !own.has(vlan)) {
    const what = vlan === undefined ? 'frames without a tag (it has no PVID)' : `VLAN ${vlan}`
    const flags = options.vlan === undefined ? ' pvid untagged' : ''
    const remedy = `bridge vlan add dev ${about} vid ${vlan ?? 1}${flags}`
    return [{ code: 'vlan-missing', message: `${bridge.name} drops ${what} on ${about}`, about, evidence, remedy }]
  }
  const shared = [...others, bridge].filter(({ index }) => all.get(index)?.has(vlan))
  if (shared.length > 0) return []
  return [
    {
      code: 'vlan-alone',
      message: `no other port of ${bridge.name} is in VLAN ${vlan}, nor is the bridge itself`,
      about,
      evidence: { ...evidence, vlan },
      remedy: `bridge vlan add dev ${others[0]?.name ?? 'PORT'} vid ${vlan}`
    }
  ]
}
