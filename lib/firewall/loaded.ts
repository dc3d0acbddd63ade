/** Which fields an expression loads, by what is known of the packet so far. */
import type { Known } from './dependencies.js'
import { dataOf, type Expression } from './expressions.js'
import { type Field, fieldOf, fields, rawName } from './fields.js'

/**
 * One field; or several that lie side by side; or none that is known.
 *
 * @param compared how many bytes it is compared with: a part of an address is still the address
 */
export function fieldsAt(load: Expression, known: Known, compared: number | undefined): Field[] {
  if (load.name !== 'payload') {
    const found = [...fields.values()].find(field => isSame(field.load, load))
    return found ? [found] : []
  }
  const { base, offset, len } = dataOf(load) as { base: string; offset: number; len: number }
  const candidates = [...fields.values()].filter(field => {
    return field.load.name === 'payload' && dataOf(field.load)['base'] === base && fits(field, known)
  })
  const whole = candidates.find(field => isAt(field, offset) && field.type.size === len)
  if (whole) return [whole]
  const part = candidates.find(field => isAt(field, offset) && field.type.prefixes && len < field.type.size)
  if (part && compared === len) return [part]
  const row = compared === len ? rowOf(candidates, offset, offset + len) : undefined
  if (row) return row
  const name = rawName(base, offset, len)
  const raw = name === undefined ? undefined : fieldOf(name)
  return raw ? [raw] : []
}

const isAt = (field: Field, offset: number) => dataOf(field.load)['offset'] === offset

/** Whether packets have the field, by all that is known. */
function fits({ header, name }: Field, known: Known): boolean {
  switch (header) {
    case 'ether':
      return known.ether
    case 'vlan':
      return known.vlan
    case 'arp':
    case 'ip':
    case 'ip6':
      return known.network === header
    case 'icmp':
      return known.transport === 'icmp' && known.network === 'ip'
    case 'icmpv6':
      return known.transport === 'ipv6-icmp' && known.network === 'ip6'
    case 'tcp':
    case 'udp':
    case 'sctp':
      return known.transport === header
    default:
      return name.startsWith('th ') && !['tcp', 'udp', 'sctp', 'icmp', 'ipv6-icmp'].includes(known.transport ?? '')
  }
}

function rowOf(candidates: readonly Field[], from: number, to: number): Field[] | undefined {
  const row: Field[] = []
  for (let at = from; at < to; ) {
    const next = candidates.find(field => isAt(field, at) && !field.mask && at + field.type.size <= to)
    if (!next) return undefined
    row.push(next)
    at += next.type.size
  }
  return row
}

/** Whether two loads differ in their register only. */
function isSame(ours: Expression, theirs: Expression): boolean {
  return ours.name === theirs.name && essence(ours) === essence(theirs)
}

function essence(load: Expression): string {
  const { dreg: _, flags, ...rest } = dataOf(load)
  const set = Object.entries(flags ?? {}).filter(([, on]) => on)
  return JSON.stringify([Object.entries(rest).sort(), set.map(([name]) => name).sort()])
}
