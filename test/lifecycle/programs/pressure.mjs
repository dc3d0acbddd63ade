/** Collects garbage all the time while replies are read: views must keep their memory. */
import { Netlink } from '../../../dist/index.js'

const net = await Netlink.open()
await net.links.createMany(Array.from({ length: 300 }, (_, i) => ({ kind: 'ifb', name: `p${i}`, mtu: 1000 + i })))
const kept = []
for (let round = 0; round < 40; round++) {
  const [links, one] = await Promise.all([net.links.list({ kind: 'ifb' }), net.links.get(`p${round}`)])
  kept.push(one, links[round])
  global.gc()
  const wrong = links.filter(link => link.mtu !== 1000 + Number(link.name.slice(1)))
  if (wrong.length > 0 || links.length !== 300)
    throw new Error(`round ${round}: ${wrong.length} wrong of ${links.length}`)
}
if (kept.some(link => link.mtu !== 1000 + Number(link.name.slice(1)))) throw new Error('an old view changed')
console.log('whole')
net.close()
