/** UDP echo between namespaces, 4,000 packets a second, by a C program. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'

export interface Count {
  sent: number
  received: number
  errors: number
  error: string
  missing: number[]
}

/** Microseconds. */
const EVERY = 250

const SOURCE = fileURLToPath(new URL('udp-echo.c', import.meta.url))
let program: string | undefined

function built(): string {
  if (!program) {
    program = join(mkdtempSync(join(tmpdir(), 'lw-echo-')), 'udp-echo')
    execFileSync('gcc', ['-O2', '-Wall', '-Werror', '-o', program, SOURCE], { env: { ...process.env, LD_PRELOAD: '' } })
    const folder = join(program, '..')
    process.once('exit', () => execFileSync('rm', ['-r', folder]))
  }
  return program
}

function start(namespace: string, ...args: string[]): ChildProcess {
  const child = spawn('ip', ['netns', 'exec', namespace, built(), ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, LD_PRELOAD: '' }
  })
  onTestFinished(() => {
    child.kill('SIGKILL')
  })
  return child
}

export async function serve(namespace: string, port: number, addresses: string[]): Promise<void> {
  const child = start(namespace, 'serve', String(port), ...addresses)
  await once(child.stdout as NodeJS.ReadableStream, 'data')
}

/** Sends until it is told to stop: what was lost. */
export async function sendTo(namespace: string, port: number, addresses: string[]): Promise<() => Promise<Count>> {
  const child = start(namespace, 'send', String(port), String(EVERY), ...addresses)
  const stdout = child.stdout as NodeJS.ReadableStream
  let text = ''
  stdout.on('data', chunk => {
    text += chunk
  })
  await once(stdout, 'data')
  return async () => {
    child.stdin?.end()
    await once(child, 'close')
    return JSON.parse(text.slice(text.indexOf('{'))) as Count
  }
}
