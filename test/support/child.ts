/** Scripts against the built library in processes of their own, as whoever. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const LIBRARY = fileURLToPath(new URL('../../dist/index.js', import.meta.url))

/** Commands to put in front of a program. */
export const AS_NOBODY = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups']
export const IN_USER_NAMESPACE = [...AS_NOBODY, 'unshare', '--user', '--map-root-user', '--net']

export interface Run {
  status: number | null
  stdout: string
  stderr: string
}

/** Runs an ES module whose `lib` is our library. */
export function runScript(body: string, options: { before?: string[]; env?: Record<string, string> } = {}): Run {
  const script = `import * as lib from ${JSON.stringify(LIBRARY)}\n${body}`
  const [command = '', ...args] = [...(options.before ?? []), process.execPath, '--input-type=module', '--eval', script]
  const env = { PATH: process.env['PATH'] ?? '', ...options.env }
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', env })
  return { status, stdout, stderr }
}

export function canRun(command: string[]): boolean {
  const [program = '', ...args] = [...command, 'true']
  return spawnSync(program, args).status === 0
}
