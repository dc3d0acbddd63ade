/** tcpdump on a link while a test runs: a second opinion on what went through it. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { tempFolder } from '../../tap/support/needs.js'
import { countSoFar } from './packets.js'
import { type DumpedFrame, tcpdump } from './tools.js'

export interface LiveCapture {
  path: string
  /** Ends it and reads it, when so many frames have come or nothing has for a while. */
  finish(frames: number): Promise<DumpedFrame[]>
}

/** Begins to capture on a link of this namespace. */
export async function watchLink(name: string, ...filter: string[]): Promise<LiveCapture> {
  const path = join(tempFolder(), 'live.pcap')
  // Room for thousands of frames: each takes as much of the buffer as the longest may be.
  const buffer = ['-s', '2048', '-B', '16384']
  const options = ['-i', name, '-w', path, '-U', '--immediate-mode', ...buffer, '-j', 'host', '--nano', ...filter]
  const dump = spawn('tcpdump', options, { stdio: ['ignore', 'ignore', 'pipe'] })
  const closed = once(dump, 'close')
  let said = ''
  dump.stderr.setEncoding('utf8')
  for await (const text of dump.stderr.iterator({ destroyOnReturn: false })) {
    said += text
    if (said.includes('listening on')) break
  }
  if (!said.includes('listening on')) throw new Error(`tcpdump says: ${said}`)
  dump.stderr.resume()
  return {
    path,
    async finish(frames) {
      for (const end = Date.now() + 5000; Date.now() < end; await new Promise(wake => setTimeout(wake, 20))) {
        if ((await countSoFar(path)) >= frames) break
      }
      dump.kill('SIGINT')
      await closed
      return tcpdump(path)
    }
  }
}
