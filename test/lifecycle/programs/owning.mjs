/**
 * Works on an owner's links until it is killed, or ends: `node owning.mjs NETNS OWNER GROUP WORK`. All of its links have
 * names that begin with `own`. It prints a line when the work begins.
 */
import { Netlink, Tap } from '../../../dist/index.js'

const [netns, owner, group, work] = process.argv.slice(2)
const net = await Netlink.open({ netns })
const each = (count, make) => Array.from({ length: count }, (_, i) => make(i))

/** Links of many kinds, in an order in which they can be made. */
const bridges = each(3, i => ({ kind: 'bridge', name: `own-br${i}`, owner, up: true }))
const lower = [
  ...each(60, i => ({ kind: 'ifb', name: `own-i${i}`, owner, master: `own-br${i % 3}`, up: true })),
  ...each(20, i => ({ kind: 'ifb', name: `own-b${i}`, group: Number(group) })),
  ...each(40, i => ({ kind: 'veth', name: `own-v${i}`, owner, alias: `guest ${i}`, peer: { name: `own-p${i}` } })),
  ...each(20, i => ({
    kind: 'veth',
    name: `own-w${i}`,
    owner,
    up: true,
    peer: { name: `own-q${i}`, owner, up: true }
  })),
  ...each(10, i => ({ kind: 'vxlan', name: `own-x${i}`, owner, id: i + 1, dstPort: 4789 }))
]
const macvtaps = each(40, i => ({ kind: 'macvtap', name: `own-m${i}`, owner, link: `own-v${i}`, mode: 'bridge' }))
const taps = each(4, i => ({ name: `own-t${i}`, netns, owner, persist: true, master: 'own-br0', ipv6: false }))

function done(results) {
  for (const { reason } of results) if (reason) throw reason
}

async function makeAll() {
  done(await net.links.createMany(bridges))
  const opened = Promise.all(taps.map(options => Tap.open(options)))
  done(await net.links.createMany(lower))
  done(await net.links.createMany(macvtaps))
  return await opened
}

/** A list for ensure, of whose links some are to be changed, replaced, removed or made anew in the second. */
function wanted(second) {
  const links = [{ kind: 'bridge', name: 'own-kept' }, ...bridges, ...lower.filter(link => link.owner), ...macvtaps]
  const specs = links.map(({ owner: _, ...link }) => (link.peer ? { ...link, peer: { name: link.peer.name } } : link))
  if (!second) return specs.filter((_, i) => i % 7 !== 5)
  return specs.flatMap((link, i) => {
    if (i > 10 && i % 5 === 0 && link.kind !== 'veth') return []
    if (link.kind === 'vxlan') return { ...link, id: link.id + 100 }
    if (link.kind === 'macvtap') return { ...link, mode: 'private' }
    return i % 3 ? link : { ...link, txqlen: 500 }
  })
}

const begin = () => console.log('working')
const names = [...bridges, ...lower, ...macvtaps, ...taps].map(({ name }) => name)

/** What may be killed at any moment after it has begun. */
const works = {
  async createMany() {
    begin()
    await makeAll()
  },
  async undo() {
    done(await net.links.createMany(bridges))
    begin()
    await net.links.createMany([...lower, ...bridges], { onError: 'undo' })
  },
  async deleteMany() {
    for (const tap of await makeAll()) await tap.close()
    begin()
    done(await net.links.deleteMany(names))
  },
  async ensure() {
    await net.links.ensure(wanted(false), { owner })
    begin()
    await net.links.ensure(wanted(true), { owner })
  },
  async removeOwned() {
    for (const tap of await makeAll()) await tap.close()
    begin()
    await net.links.removeOwned(owner)
  }
}

await works[work]()
net.close()
