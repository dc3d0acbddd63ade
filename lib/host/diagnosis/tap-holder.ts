/** Whether the process that should have a TAP open has it. */
import type { Diagnosis } from './diagnosis.js'
import type { Situation } from './situation.js'

const OPENABLE = new Set(['tun', 'macvtap', 'ipvtap'])

/** `undefined` where that cannot be known, or the link is no device that is opened. */
export async function isHeld({ net, link }: Situation): Promise<boolean | undefined> {
  if (!link.is('tun')) return undefined
  return (await net.links.holders([link.index]))[0]?.held
}

export async function tapHolder({ net, link, options }: Situation): Promise<Diagnosis[]> {
  if (!OPENABLE.has(link.kind ?? '')) return []
  const [state] = await net.links.holders([link.index])
  const about = link.name ?? ''
  if (state?.held === false) {
    return [
      {
        code: 'tap-not-held',
        message: `no process has ${about} open: nobody reads what it sends`,
        about,
        evidence: { holders: [] },
        remedy: 'start the guest, or hand it the descriptor'
      }
    ]
  }
  const { holder } = options
  const holders = state?.holders ?? []
  if (holder === undefined || holders.length === 0 || holders.some(({ pid }) => pid === holder)) return []
  const names = holders.map(({ pid, command }) => `${command} (${pid})`).join(', ')
  return [
    {
      code: 'tap-held-by-another',
      message: `${about} is held by ${names}, not by ${holder}: opening it fails with EBUSY`,
      about,
      evidence: { holders },
      remedy: 'end that process, or let it hand over its descriptor'
    }
  ]
}
