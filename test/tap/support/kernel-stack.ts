/** Frames that come from the kernel's own stack, not from us. */
import { existsSync } from 'node:fs'
import { inside, PYTHON, runBeside } from './system.js'

const PING = existsSync('/usr/bin/ping') || existsSync('/bin/ping') ? ['ping'] : ['busybox', 'ping']

/** Pings an address from a namespace; how many of the pings were answered. */
export async function ping(target: string, options: { netns?: string; count?: number } = {}): Promise<number> {
  const { netns, count = 3 } = options
  const [command, ...args] = inside(netns, ...(PING as [string]), '-c', String(count), '-i', '0.1', '-W', '2', target)
  const output = await runBeside(command, ...args).catch(error => String(error.stdout))
  const answered = /(\d+) (?:packets )?received/.exec(output)?.[1]
  if (answered === undefined) throw new Error(`ping says: ${output}`)
  return Number(answered)
}

const SEND_RAW = `
import socket, sys
sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
sender.bind((sys.argv[1], 0))
for frame in sys.argv[2:]: sender.send(bytes.fromhex(frame))
`

/** Sends frames out of a link by a raw socket, as a host's program would. */
export async function sendRaw(link: string, frames: Buffer[], netns?: string): Promise<void> {
  const hex = frames.map(frame => frame.toString('hex'))
  const [command, ...args] = inside(netns, PYTHON, '-c', SEND_RAW, link, ...hex)
  await runBeside(command, ...args)
}
