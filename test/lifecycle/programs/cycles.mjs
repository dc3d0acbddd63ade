/** Opens and closes everything, 10,000 times in all, or a fraction of that: no descriptor, thread or link stays. */
import { readdirSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { FdSocket, Macvtap, Netlink, Tap, Tun } from '../../../dist/index.js'

const [scale = '1'] = process.argv.slice(2)
const times = count => Math.round(count * Number(scale))
const count = what => readdirSync(`/proc/self/${what}`).length
const net = await Netlink.open()
const names = async () => (await net.links.list()).map(link => link.name).sort()

/** Runs `cycle` `total` times, a few at a time. */
async function repeat(total, atOnce, cycle) {
  let next = 0
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      while (next < total) await cycle(next++)
    })
  )
  return total
}

await net.links.create({ kind: 'veth', name: 'c0', up: true, peer: { name: 'c1', up: true } })
await net.links.create({ kind: 'macvtap', name: 'cm', link: 'c0', mode: 'bridge', up: true })
// The first use starts threads and loads code.
await (await Tap.open()).close()
const before = { fds: count('fd'), names: await names() }
let done = 0
done += await repeat(times(4000), 16, async () => {
  const other = await Netlink.open()
  await other.links.get('lo')
  other.close()
})
done += await repeat(times(1000), 8, async () => (await Netlink.open({ netns: { new: true } })).close())
done += await repeat(times(2500), 16, async () => {
  const [one, other] = FdSocket.pair()
  await one.send('x')
  await other.receive()
  one.close()
  other.close()
})
done += await repeat(times(1000), 8, async () => (await Macvtap.open('cm', { net, queues: 2 })).close())
done += await repeat(times(1000), 64, async () => (await Tap.open({ name: 'ct%d', queues: 2, up: true })).close())
done += await repeat(times(500), 64, async () => (await Tun.open({ name: 'cu%d' })).close())
for (let tries = 0; count('fd') > before.fds && tries < 100; tries++) await delay(50)
const after = { fds: count('fd'), names: await names(), threads: count('task') }
console.log(JSON.stringify({ done, before, after, threadsAllowed: 32 }))
net.close()
