/** UDP datagrams between namespaces, and how many of them come back. */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Namespace } from '../../support/namespace.js'

const PORT = 7

const SERVER = `
  const socket = require('node:dgram').createSocket('udp4')
  socket.on('message', (bytes, from) => socket.send(bytes, from.port, from.address))
  socket.bind(${PORT}, () => console.log('ready'))`

const CLIENT = `
  const [to, count, source] = process.argv.slice(1)
  const socket = require('node:dgram').createSocket('udp4')
  const back = new Set()
  const end = () => { console.log(back.size); process.exit() }
  socket.on('message', bytes => back.add(String(bytes)).size === Number(count) && end())
  socket.on('error', () => {})
  socket.bind(0, source, () => {
    for (let i = 0; i < count; i++) setTimeout(() => socket.send(String(i), ${PORT}, to, () => {}), 20 * i)
    setTimeout(end, 20 * count + 600)
  })`

/** Sends back what it gets, in a namespace, until it is disposed of. */
export async function echo(ns: Namespace): Promise<AsyncDisposable> {
  const child = spawn('ip', ['netns', 'exec', ns.name, process.execPath, '-e', SERVER], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  await once(child.stdout, 'data')
  return {
    async [Symbol.asyncDispose]() {
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      await ended
    }
  }
}

/** How many of some datagrams come back from an echo. */
export function answered(from: Namespace, to: string, count = 2, source = '0.0.0.0'): number {
  const command = ['netns', 'exec', from.name, process.execPath, '-e', CLIENT, to, String(count), source]
  return Number(execFileSync('ip', command, { encoding: 'utf8' }))
}
