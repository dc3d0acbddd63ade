// A program that is handed a TAP descriptor and answers ARP on it. Uses the package as it is published.
import { readSync, writeSync } from 'node:fs'
import { FdSocket } from '../../../dist/index.js'

const [path, ip] = process.argv.slice(2)
const mac = Buffer.from('020000000002', 'hex')
const socket = await FdSocket.connect(path)
await socket.send('ready')
const { fds } = await socket.receive()
const address = Buffer.from(ip.split('.').map(Number))
const buffer = Buffer.alloc(2000)

for (const until = Date.now() + 20_000; Date.now() < until; await new Promise(resolve => setTimeout(resolve, 5))) {
  let length = 0
  try {
    length = readSync(fds[0], buffer)
  } catch (error) {
    if (error.code !== 'EAGAIN') throw error
  }
  const request = buffer.subarray(0, length)
  if (length < 42 || request.readUInt16BE(12) !== 0x0806 || !request.subarray(38, 42).equals(address)) continue
  const sender = request.subarray(22, 32)
  writeSync(
    fds[0],
    Buffer.concat([sender.subarray(0, 6), mac, request.subarray(12, 20), Buffer.of(0, 2), mac, address, sender])
  )
  await socket.send('answered')
  // The device lasts until the other side has looked at it.
  await socket.receive()
  break
}
socket.close()
