/** A dnsmasq that an earlier manager left running. */
import { readdir, readFile, readlink } from 'node:fs/promises'
import { basename } from 'node:path'
import { Child } from '../../child.js'
import type { Files } from './configuration.js'
import { processState } from './proc.js'

/** How dnsmasq is told of its configuration, which tells it from all others. */
export function configurationArgument(files: Files): string {
  return `--conf-file=${files.configuration}`
}

/**
 * The one that runs with this configuration: looked up by its pid file, or else among all processes, should it have been
 * left before it wrote one. What a pid stands for is compared while a pidfd holds it, so that it is no other by then.
 */
export async function findLeftover(files: Files): Promise<Child | undefined> {
  const written = Number(await readFile(files.pid, 'utf8').catch(() => ''))
  const first = Number.isInteger(written) && written > 0 ? await openOurs(written, files) : undefined
  if (first) return first
  const pids = (await readdir('/proc')).filter(name => /^\d+$/.test(name)).map(Number)
  const found: number[] = []
  for (const pid of pids) if (await isOurs(pid, files)) found.push(pid)
  for (const pid of found) {
    // It forks for queries over TCP.
    if (found.includes(await parentOf(pid))) continue
    const child = await openOurs(pid, files)
    if (child) return child
  }
  return undefined
}

/** What one that was killed had forked, for queries over TCP: they hold its ports, for minutes. */
export async function killOrphans(files: Files): Promise<void> {
  for (let orphan = await findLeftover(files); orphan; orphan = await findLeftover(files)) {
    orphan.kill('SIGKILL')
    await orphan.exited
  }
}

async function openOurs(pid: number, files: Files): Promise<Child | undefined> {
  let child: Child
  try {
    child = Child.open(pid)
  } catch {
    return undefined
  }
  if ((await isOurs(pid, files)) && child.kill(0)) return child
  child.leave()
  return undefined
}

async function isOurs(pid: number, files: Files): Promise<boolean> {
  const words = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0')
  if (!words.includes(configurationArgument(files))) return false
  // One that was upgraded meanwhile runs on from a file that is deleted.
  const program = (await readlink(`/proc/${pid}/exe`).catch(() => '')).replace(/ \(deleted\)$/, '')
  return basename(program) === 'dnsmasq' && (await processState(pid)) !== 'Z'
}

async function parentOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  return Number(/^PPid:\s*(\d+)/m.exec(status)?.[1] ?? 0)
}
