/**
 * Sends probes from its namespace, one after the other, and prints what became of each as JSON.
 *
 * node probes.mjs '[{ "tcp": "192.0.2.1", "port": 7000 }, { "udp": ..., "from": ADDRESS, "fromPort": N, "text": "..." },
 * { "all": ..., "text": "..." }, { "ping": ... }]'
 */
import { execFile } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { createConnection } from 'node:net'

const PATIENCE = 1000

const tcp = ({ tcp: host, port, from, fromPort }) =>
  new Promise(resolve => {
    const socket = createConnection({ host, port, localAddress: from, localPort: fromPort })
    let text = ''
    const timer = setTimeout(() => socket.destroy(new Error('silence')), PATIENCE)
    socket.on('data', data => {
      text += data
    })
    socket.on('error', error => {
      clearTimeout(timer)
      resolve(error.code ?? error.message)
    })
    socket.on('end', () => {
      clearTimeout(timer)
      resolve(JSON.parse(text))
    })
  })

const udp = ({ udp: host, port, from, fromPort, text }) =>
  new Promise(resolve => {
    const socket = createSocket('udp4')
    const end = result => {
      clearTimeout(timer)
      socket.close()
      resolve(result)
    }
    const timer = setTimeout(() => end('silence'), PATIENCE)
    socket.on('error', error => end(error.code))
    socket.on('message', data => end(JSON.parse(String(data))))
    // Connected, so that the errors of ICMP arrive.
    socket.bind({ address: from, port: fromPort }, () => socket.connect(port, host, () => socket.send(text)))
  })

const all = ({ all: host, port, from, text }) =>
  new Promise(resolve => {
    const socket = createSocket('udp4')
    socket.on('error', error => resolve(error.code))
    socket.bind({ address: from }, () => {
      socket.setBroadcast(true)
      if (from) socket.setMulticastInterface(from)
      socket.setMulticastTTL(8)
      socket.setMulticastLoopback(false)
      socket.send(text, port, host, error => {
        socket.close()
        resolve(error ? error.code : 'sent')
      })
    })
  })

const ping = ({ ping: host, from }) =>
  new Promise(resolve => {
    const source = from ? ['-I', from] : []
    execFile('ping', ['-n', '-c', '1', '-W', '1', ...source, host], (error, stdout) => {
      const unreachable = /Destination \w+ Unreachable/.exec(stdout)?.[0]
      resolve(error ? (unreachable ?? 'silence') : 'answered')
    })
  })

const results = []
for (const probe of JSON.parse(process.argv[2])) {
  results.push(await (probe.tcp ? tcp : probe.udp ? udp : probe.all ? all : ping)(probe))
}
console.log(JSON.stringify(results))
