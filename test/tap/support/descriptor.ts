/** What descriptors say of themselves to another program that they are handed to. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { PYTHON } from './system.js'

export interface Told {
  name?: string
  flags?: number
  mac?: string
  /** errno of TUNGETIFF */
  error?: number
  vnetHeaderSize: number | string
  littleEndian: number | string
  bigEndian: number | string
  sndbuf: number | string
  features: number | string
}

export function askDescriptors(fds: number[]): Told[] {
  const script = fileURLToPath(new URL('descriptor.py', import.meta.url))
  const { stdout, stderr } = spawnSync(PYTHON, [script, String(fds.length)], {
    stdio: ['ignore', 'pipe', 'pipe', ...fds],
    encoding: 'utf8'
  })
  if (!stdout) throw new Error(stderr)
  return JSON.parse(stdout)
}

export function askDescriptor(fd: number): Told {
  return askDescriptors([fd])[0] as Told
}
