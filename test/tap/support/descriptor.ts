/** What a descriptor says of itself to another program that it is handed to. */
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

export function askDescriptor(fd: number): Told {
  const script = fileURLToPath(new URL('descriptor.py', import.meta.url))
  const { stdout, stderr } = spawnSync(PYTHON, [script], { stdio: ['ignore', 'pipe', 'pipe', fd], encoding: 'utf8' })
  if (!stdout) throw new Error(stderr)
  return JSON.parse(stdout)
}
