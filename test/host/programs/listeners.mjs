/**
 * Listens in its namespace: TCP and UDP on a port tell who they hear. What comes by UDP, to one or to many, is told on
 * stdout as well, a line each.
 *
 * node listeners.mjs PORT ADDRESS GROUP...
 */
import { createSocket } from 'node:dgram'
import { createServer } from 'node:net'
import { networkInterfaces } from 'node:os'

const [port, address, ...groups] = process.argv.slice(2)

const seen = (host, from) => JSON.stringify({ from: host, port: from < 1024 ? 'below 1024' : 'from 1024' })

const listening = socket => new Promise(resolve => socket.once('listening', resolve))

// Bound to each address, so that answers come from the one that was asked; the other hears what is for many.
const own = Object.values(networkInterfaces()).flat()
for (const { address: at } of own.filter(({ family }) => family === 'IPv4')) {
  const udp = createSocket({ type: 'udp4', reuseAddr: true })
  udp.on('message', (text, { address: host, port: from }) => {
    console.log(String(text))
    udp.send(seen(host, from), from, host)
  })
  udp.bind(Number(port), at)
  await listening(udp)
}
const many = createSocket({ type: 'udp4', reuseAddr: true })
many.on('message', text => console.log(String(text)))
many.bind(Number(port))
await listening(many)
for (const group of groups) many.addMembership(group, address)
const server = createServer(socket => {
  socket.on('error', () => {})
  socket.end(seen(socket.remoteAddress, socket.remotePort))
})
server.listen(Number(port), '0.0.0.0')
await listening(server)
console.log('listening')
