/** Folders for sockets and logs that do not outlive the process, however it ends. */
import { existsSync, readdirSync, readlinkSync, rmSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

// A process id tells who is dead only within its own namespace, which several containers may share a /tmp across.
const PREFIX = `linkwright-vm-${/\d+/.exec(readlinkSync('/proc/self/ns/pid'))[0]}-`
const mine = new Set()

process.on('exit', () => {
  for (const path of mine) rmSync(path, { recursive: true, force: true })
})

/** A process that was killed could not clean up: the next one does. */
function sweep() {
  for (const name of readdirSync(tmpdir())) {
    if (!name.startsWith(PREFIX)) continue
    const owner = name.slice(PREFIX.length).split('-')[0]
    if (!existsSync(`/proc/${owner}`)) rmSync(join(tmpdir(), name), { recursive: true, force: true })
  }
}

/** @returns {Promise<{ path: string, remove(): Promise<void> }>} */
export async function tempFolder() {
  sweep()
  const path = await mkdtemp(join(tmpdir(), `${PREFIX}${process.pid}-`))
  mine.add(path)
  return {
    path,
    async remove() {
      await rm(path, { recursive: true, force: true })
      mine.delete(path)
    }
  }
}
