/** Changes of a port's VLANs as commands of bridge(8). */
import type { VlanFlags, VlanMap } from '../../port/vlans.js'

export function vlanWords(name: string, from: VlanMap, to: VlanMap): string[] {
  const same = (vid: number, { pvid, untagged }: VlanFlags) => {
    const old = from.get(vid)
    return old?.pvid === pvid && old.untagged === untagged
  }
  const come = [...to].filter(([vid, flags]) => !same(vid, flags))
  const gone = [...from].filter(([vid]) => !to.has(vid)).map(([vid]): [number, VlanFlags] => [vid, NO_FLAGS])
  const command = (verb: string) => (range: string) => `bridge vlan ${verb} dev ${name} vid ${range}`
  return [...ranges(come).map(command('add')), ...ranges(gone).map(command('del'))]
}

const NO_FLAGS: VlanFlags = { pvid: false, untagged: false }

/** `10 pvid untagged`, `200-299` */
function ranges(all: readonly [number, VlanFlags][]): string[] {
  const sorted = all.toSorted(([a], [b]) => a - b)
  const found: { first: number; last: number; flags: string }[] = []
  for (const [vid, { pvid, untagged }] of sorted) {
    const flags = `${pvid ? ' pvid' : ''}${untagged ? ' untagged' : ''}`
    const previous = found.at(-1)
    if (previous && previous.last === vid - 1 && previous.flags === flags && !pvid) previous.last = vid
    else found.push({ first: vid, last: vid, flags })
  }
  return found.map(({ first, last, flags }) => `${first}${last === first ? '' : `-${last}`}${flags}`)
}
