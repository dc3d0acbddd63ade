/** Where there is no ping: sends UDP datagrams to the echo port and prints how long the answers took. */
import { createSocket } from 'node:dgram'

const [count, target] = process.argv.slice(2)
const socket = createSocket('udp4')
for (let at = 0; at < Number(count); at++) {
  const began = performance.now()
  const time = await new Promise(resolve => {
    const timer = setTimeout(resolve, 2000)
    socket.once('message', () => {
      clearTimeout(timer)
      resolve(performance.now() - began)
    })
    socket.send('echo', 7, target)
  })
  if (time !== undefined) console.log(`echo from ${target}: time=${time.toFixed(3)} ms`)
}
socket.close()
