/** MAC addresses that two have. */
import type { Diagnosis } from './diagnosis.js'
import { guestMacs, type Situation } from './situation.js'

export function macClash(situation: Situation): Diagnosis[] {
  const { link, bridge, others, fdb, links } = situation
  if (!bridge) return []
  const found: Diagnosis[] = []
  const nameOf = (index: number) => links.get(index)?.name ?? String(index)
  const entries = fdb.filter(({ master, flags }) => master === bridge.index && !flags.self)
  for (const mac of guestMacs(situation)) {
    const local = entries.find(({ lladdr, state }) => lladdr === mac && state.permanent)
    const elsewhere = entries.find(
      ({ lladdr, state, index }) => lladdr === mac && !state.permanent && index !== link.index
    )
    const entry = local ?? elsewhere
    if (!entry) continue
    const at = nameOf(entry.index)
    found.push({
      code: 'mac-clash',
      message: local
        ? `${mac} is the address of ${at} on the host, too: ${bridge.name} keeps the guest's frames for itself`
        : `${bridge.name} knows ${mac} at ${at}: what is for the guest goes there`,
      about: at,
      evidence: { mac, entry: { link: at, state: entry.state } },
      remedy: local
        ? `ip link set dev ${at} address ${mac.startsWith('fe:') ? 'fa' : 'fe'}${mac.slice(2)}`
        : `give one of the guests another address, or: bridge fdb del ${mac} dev ${at} master`
    })
  }
  const twin = others.find(({ address }) => address === link.address)
  if (twin) {
    found.push({
      code: 'mac-clash',
      message: `${link.name} and ${twin.name} have the same address on the host, ${link.address}`,
      about: link.name ?? '',
      evidence: { mac: link.address, links: [link.name, twin.name] },
      remedy: `ip link set dev ${link.name} address …`
    })
  }
  return found
}
