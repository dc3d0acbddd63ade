/** Guards ports, limits them, and waits to be killed. */
import { GuestPorts, Netlink } from '../../../dist/index.js'

const [netns, ...names] = process.argv.slice(2)
const net = await Netlink.open({ netns })
const ports = new GuestPorts(net)
for (const name of names) {
  await ports.set(name, {
    antiSpoofing: { mac: '52:54:00:00:00:01', ips: ['192.0.2.7'] },
    bandwidth: { outbound: { rate: 1_000_000 } }
  })
}
console.log('ready')
setInterval(() => {}, 1000)
