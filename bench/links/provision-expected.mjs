// What the kernel must show after links were provisioned: every link of the namespace, by all that was asked for.
import { bridges, macvtaps, portsBeside, taps, veths } from './provision-names.mjs'

/** Links from number `from` to `count`, of this side and of the other namespace; the rest of the namespace is set up. */
const expected = {
  taps: (from, count) => ({
    here: taps(count)
      .slice(from)
      .map(spec => ({ ...spec, kind: 'tun', up: true }))
  }),
  macvtaps: (from, count) => ({
    here: macvtaps(count)
      .slice(from)
      .map(spec => ({ ...spec, kind: 'macvtap', up: true }))
  }),
  veth: (from, count) => ({
    here: veths(count)
      .slice(from)
      .map(({ name }) => ({ name, kind: 'veth', up: true })),
    there: veths(count)
      .slice(from)
      .map(({ peer }) => ({ name: peer, kind: 'veth' }))
  }),
  bridges: (from, count) => {
    const first = portsBeside(from).length
    return {
      here: [
        ...bridges(count)
          .slice(from)
          .map(spec => ({ ...spec, kind: 'bridge', up: true })),
        ...portsBeside(count)
          .slice(first)
          .map(spec => ({ ...spec, kind: 'ifb', up: true }))
      ]
    }
  }
}

export const expectedLinks = (workload, from, count) => expected[workload](from, count)

/** The lines of `list` as objects, with masters and lower devices by name. */
export function parseLinks(text) {
  const links = text
    .split('\n')
    .filter(Boolean)
    .map(line => {
      const [name, kind, index, mtu, up, master, link, address] = line.split(' ')
      return { name, kind, index, mtu: Number(mtu), up: up === 'up', master, link, address }
    })
  const names = new Map(links.map(({ index, name }) => [index, name]))
  return links.map(({ index, ...each }) => ({ ...each, master: names.get(each.master), link: names.get(each.link) }))
}

/** Throws unless there are exactly these links beside those that were set up, each with all that is given here. */
export function assertLinks(links, wanted, wereThere) {
  const there = new Map(links.map(link => [link.name, link]))
  for (const name of wereThere) if (!there.delete(name)) throw new Error(`${name} is gone, which was set up`)
  if (there.size !== wanted.length) throw new Error(`${there.size} links instead of ${wanted.length}`)
  for (const spec of wanted) {
    const link = there.get(spec.name)
    if (!link) throw new Error(`no link ${spec.name}`)
    for (const [key, value] of Object.entries(spec)) {
      if (link[key] !== value) throw new Error(`${spec.name} has ${key} ${link[key]} instead of ${value}`)
    }
  }
}
