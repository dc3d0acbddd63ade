/** Packets whose sender the host would answer by another link (RFC 3704). */
import { isIPv4 } from 'node:net'
import type { Diagnosis } from './diagnosis.js'
import type { Situation } from './situation.js'

const STRICT = 1

export async function rpFilter({
  net,
  link,
  bridge,
  links,
  addresses,
  options,
  sysctl
}: Situation): Promise<Diagnosis[]> {
  const input = bridge ?? link
  const name = input.name ?? ''
  const ips = (options.ips ?? []).filter(isIPv4)
  // Without an address there the host takes nothing, whatever the way back.
  const isRouted = addresses.some(({ index, family }) => index === input.index && family === 'inet')
  if (ips.length === 0 || !isRouted) return []
  const read = ['all', name].map(each => sysctl(`net/ipv4/conf/${each}/rp_filter`))
  const [all = 0, own = 0] = (await Promise.all(read)).map(Number)
  const mode = Math.max(all, own)
  if (mode === 0) return []
  const found: Diagnosis[] = []
  for (const ip of ips) {
    const route = await net.routes.lookup(ip).catch(() => undefined)
    const way = route?.oif
    if (way === input.index || (mode !== STRICT && way !== undefined)) continue
    const other = way === undefined ? 'no link' : (links.get(way)?.name ?? String(way))
    found.push({
      code: 'rp-filter-drops',
      message: `packets from ${ip} by ${name} are dropped: the way back to it is by ${other} (rp_filter ${mode})`,
      about: name,
      evidence: { ip, rp_filter: { all, [name]: own, effective: mode }, route: other },
      remedy: `ip route add ${ip} dev ${name}, or: sysctl -w net.ipv4.conf.${name}.rp_filter=${way === undefined ? 0 : 2}`
    })
  }
  return found
}
