/** Frames on links by raw sockets of another program. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface, type Interface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { inside, PYTHON, runBeside } from '../../tap/support/system.js'

const SCRIPT = fileURLToPath(new URL('frames.py', import.meta.url))
const ETHERTYPE = '88b5'

export const plainMac = (mac: string) => mac.replaceAll(':', '')

/** A frame of 60 bytes, told from others by a number. */
export function frameOf(to: string, from: string, number = 0): string {
  return plainMac(to) + plainMac(from) + ETHERTYPE + number.toString(16).padStart(8, '0') + '00'.repeat(42)
}

/** Sends and sees frames on links, as the hosts there would. */
export class Wire {
  readonly #child: ChildProcessWithoutNullStreams
  readonly #lines: AsyncIterator<string>

  private constructor(child: ChildProcessWithoutNullStreams, lines: Interface) {
    this.#child = child
    this.#lines = lines[Symbol.asyncIterator]()
  }

  /** Ends with the test. */
  static async open(links: string[], netns?: string): Promise<Wire> {
    const [command, ...args] = inside(netns, PYTHON, SCRIPT, 'wire')
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] })
    onTestFinished(async () => {
      child.stdin.end()
      if (child.exitCode === null) await once(child, 'exit')
    })
    const wire = new Wire(child, createInterface(child.stdout))
    for (const link of links) await wire.#ask('open', link)
    return wire
  }

  async open(link: string): Promise<void> {
    await this.#ask('open', link)
  }

  async send(link: string, ...frames: string[]): Promise<void> {
    await this.#ask('send', link, frames)
  }

  /** Sends a frame many times. */
  async repeat(link: string, frame: string, times: number): Promise<void> {
    await this.#ask('repeat', link, frame, times)
  }

  /** What came since the last time. */
  async take(link: string): Promise<string[]> {
    return (await this.#ask('take', link)) as string[]
  }

  async #ask(...command: unknown[]): Promise<unknown> {
    this.#child.stdin.write(`${JSON.stringify(command)}\n`)
    const { value } = await this.#lines.next()
    const { answer, error } = JSON.parse(value ?? '{"error":"the program ended"}')
    if (error) throw new Error(error)
    return answer
  }
}

export interface Received {
  frames: number
  /** Of those, how many were not as they were sent. */
  wrong: number
  inOrder: boolean
}

export interface End {
  link: string
  netns?: string | undefined
}

/** Sends different frames from one link to another, and tells what came there. */
export async function transfer(from: End, to: End, count: number): Promise<Received> {
  const [command, ...args] = inside(to.netns, PYTHON, SCRIPT, 'receive', to.link, String(count), '2')
  const receiver = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const lines = createInterface(receiver.stdout)[Symbol.asyncIterator]()
  await lines.next()
  const sending = inside(from.netns, PYTHON, SCRIPT, 'send', from.link, String(count), '020000000002', '020000000001')
  await runBeside(...sending)
  const { value } = await lines.next()
  return JSON.parse(value)
}

/** Waits until something holds, for five seconds at most. */
export async function until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (const end = performance.now() + 5000; performance.now() < end; ) {
    if (await holds()) return
    await new Promise(resolve => setTimeout(resolve, 2))
  }
  throw new Error(`it did not come to this: ${what}`)
}

export const someTime = (milliseconds: number) => new Promise<void>(resolve => setTimeout(resolve, milliseconds))
