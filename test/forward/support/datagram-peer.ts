/** A UDP socket in another namespace, by another program. */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { inside, PYTHON } from '../../tap/support/system.js'

const PROGRAM = fileURLToPath(new URL('datagram-peer.py', import.meta.url))

export interface ReceivedDatagram {
  data: Buffer
  /** That it came from. */
  port: number
}

export class DatagramPeer {
  readonly port: number
  readonly received: ReceivedDatagram[]
  readonly #child: ChildProcessByStdio<Writable, Readable, null>

  private constructor(
    child: ChildProcessByStdio<Writable, Readable, null>,
    port: number,
    received: ReceivedDatagram[]
  ) {
    this.#child = child
    this.port = port
    this.received = received
  }

  /** Ended with the test. */
  static async open(netns: string, address: string, port = 0): Promise<DatagramPeer> {
    const [command, ...args] = inside(netns, PYTHON, PROGRAM, address, String(port))
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] })
    const exited = once(child, 'exit')
    onTestFinished(async () => {
      child.kill('SIGKILL')
      await exited
    })
    const received: ReceivedDatagram[] = []
    const lines = createInterface(child.stdout)
    const [first] = await once(lines, 'line')
    lines.on('line', line => {
      const { data, port: from } = JSON.parse(line)
      received.push({ data: Buffer.from(data, 'hex'), port: from })
    })
    return new DatagramPeer(child, JSON.parse(first).port, received)
  }

  /** @param segment bytes of each datagram; without it, all is one */
  send(to: { address: string; port: number }, data: Uint8Array, segment?: number): void {
    const command = { data: Buffer.from(data).toString('hex'), ...to, segment }
    this.#child.stdin.write(`${JSON.stringify(command)}\n`)
  }

  /** Waits until so many datagrams came, or for some time. */
  async receives(count: number, milliseconds = 3000): Promise<ReceivedDatagram[]> {
    for (const end = Date.now() + milliseconds; this.received.length < count && Date.now() < end; ) await delay(10)
    return this.received
  }

  async close(): Promise<void> {
    const exited = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await exited
  }
}
