/** TCP and UDP between two hosts, which are namespaces. */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { inside, PYTHON, runBeside } from '../../tap/support/system.js'

const SCRIPT = fileURLToPath(new URL('streams.py', import.meta.url))

export interface Host {
  netns: string
  address: string
}

async function between(receive: string[], send: string[], from: Host, to: Host): Promise<[string, string]> {
  const [verb, ...more] = receive as [string, ...string[]]
  const [command, ...args] = inside(to.netns, PYTHON, SCRIPT, verb, to.address, ...more)
  const receiver = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const lines = createInterface(receiver.stdout)[Symbol.asyncIterator]()
  await lines.next()
  const [sending, ...rest] = send as [string, ...string[]]
  const sent = await runBeside(...inside(from.netns, PYTHON, SCRIPT, sending, to.address, ...rest))
  const { value } = await lines.next()
  return [value ?? '', sent]
}

/** Whether all that was sent came whole. */
export async function tcp(from: Host, to: Host, bytes: number): Promise<boolean> {
  const [received, sent] = await between(['tcp-receive'], ['tcp-send', String(bytes)], from, to)
  const { bytes: came, digest } = JSON.parse(received)
  return came === bytes && digest === JSON.parse(sent).digest
}

/** Datagrams that came, and how many of them wrong or twice. */
export async function udp(
  from: Host,
  to: Host,
  count: number,
  size: number
): Promise<{ datagrams: number; wrong: number }> {
  const [received] = await between(['udp-receive', String(count)], ['udp-send', String(count), String(size)], from, to)
  return JSON.parse(received)
}
