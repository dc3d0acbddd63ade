/** Captures as other programs read them. */
import { spawnSync } from 'node:child_process'
import type { TestContext } from 'vitest'
import { run } from '../../tap/support/system.js'

export interface DumpedFrame {
  /** Nanoseconds since 1970. */
  timestamp: bigint
  hex: string
  /** What tcpdump makes of it. */
  text: string
}

/** Frames of a file as tcpdump reads them. */
export function tcpdump(path: string, ...more: string[]): DumpedFrame[] {
  const output = run('tcpdump', '-r', path, '-n', '-tt', '--nano', '-xx', '-v', ...more)
  const frames: DumpedFrame[] = []
  for (const line of output.split('\n')) {
    const bytes = /^\s+0x[0-9a-f]+:\s+([0-9a-f ]+)$/.exec(line)?.[1]
    const head = /^(\d+)\.(\d{9}) (.*)$/.exec(line)
    const last = frames.at(-1)
    if (head) frames.push({ timestamp: BigInt(`${head[1]}${head[2]}`), hex: '', text: head[3] as string })
    else if (bytes && last) last.hex += bytes.replaceAll(' ', '')
    else if (last && line.trim() !== '') last.text += ` ${line.trim()}`
  }
  return frames
}

/** Skips a test where Wireshark's tools are missing. */
export function needsTshark(context: TestContext): void {
  const missing = ['tshark', 'capinfos'].filter(tool => spawnSync(tool, ['--version']).status !== 0)
  context.skip(missing.length > 0, `${missing.join(', ')} missing: apt-get install tshark`)
}

/** Fields of all frames of a file as Wireshark reads them. */
export function tshark(path: string, ...fields: string[]): string[][] {
  const output = run('tshark', '-r', path, '-n', '-T', 'fields', ...fields.flatMap(field => ['-e', field]))
  return output
    .split('\n')
    .slice(0, -1)
    .map(line => line.split('\t'))
}

/** What capinfos says of a file. */
export function capinfos(path: string): string {
  return run('capinfos', '-M', path)
}
