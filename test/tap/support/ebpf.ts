/** eBPF programs, loaded by another process that sends their descriptors. */
import { closeSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { FdServer } from '../../../lib/index.js'
import { tempFolder } from './needs.js'
import { PYTHON, runBeside } from './system.js'

/** A socket filter that returns a number; its descriptor is closed with the test. Rejects where bpf(2) is refused. */
export async function programReturning(value: number): Promise<number> {
  const path = join(tempFolder(), 'bpf')
  const server = FdServer.listen(path)
  try {
    const script = fileURLToPath(new URL('load-program.py', import.meta.url))
    const loading = runBeside(PYTHON, script, path, String(value))
    const failed = loading.then(() => undefined)
    const connection = await Promise.race([server.accept(), failed])
    const received = await connection?.receive()
    connection?.close()
    await loading
    const [fd] = received?.fds ?? []
    if (fd === undefined) throw new Error('no program came')
    onTestFinished(() => closeSync(fd))
    return fd
  } finally {
    server.close()
  }
}
