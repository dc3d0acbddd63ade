/** Root file systems for guests: static busybox, kernel modules, an init script, and whatever else a test wants inside. */
import { execFile } from 'node:child_process'
import { createHash, randomUUID } from 'node:crypto'
import { access, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { cpio } from './cpio.mjs'
import { readModules } from './modules.mjs'

const run = promisify(execFile)
const CACHE = join(dirname(fileURLToPath(import.meta.url)), '../../.cache/initramfs')

/** What the init script itself calls before it can install the other applets. */
const APPLETS = ['sh', 'mount', 'mkdir', 'insmod', 'cat']

/** A program of the host and the libraries that its loader would map, each under the path it has there. */
async function withLibraries(program) {
  const found = program.includes('/')
    ? program
    : (await run('sh', ['-c', 'PATH=$PATH:/usr/sbin:/sbin; command -v "$0"', program])).stdout.trim()
  // ldd fails for a static program, which then needs nothing else.
  const { stdout } = await run('ldd', [found]).catch(() => ({ stdout: '' }))
  return [found, ...[...stdout.matchAll(/(\/\S+) \(0x/g)].map(match => match[1])]
}

/**
 * Builds an initramfs, or finds the one with the same content.
 *
 * @param {{ root: string, release: string }} kernel
 * @param {object} content
 * @param {string} content.init path of the init script
 * @param {string[]} content.modules inserted in this order, after what they depend on
 * @param {string[]} [content.programs] of the host, by name or path, with their libraries; found in /bin
 * @param {Record<string, string>} [content.files] text by path in the guest
 * @returns {Promise<string>} its path
 */
export async function buildInitramfs(kernel, { init, modules, programs = [], files = {} }) {
  const tree = new Map([['init', { data: await readFile(init), executable: true }]])
  for (const folder of ['dev', 'proc', 'sys', 'tmp', 'run', 'etc', 'root']) tree.set(folder, 'folder')
  tree.set('bin/busybox', { data: await readFile('/bin/busybox'), executable: true })
  for (const applet of APPLETS) tree.set(`bin/${applet}`, { link: 'busybox' })
  const inserted = await readModules(kernel, modules)
  for (const { name, data } of inserted) tree.set(`modules/${name}`, { data })
  tree.set('modules/order', { data: inserted.map(({ name }) => `${name}\n`).join('') })
  for (const program of programs) {
    const [path, ...libraries] = await withLibraries(program)
    for (const library of libraries) tree.set(library.slice(1), { data: await readFile(library), executable: true })
    tree.set(`bin/${basename(path)}`, { data: await readFile(path), executable: true })
  }
  for (const [path, data] of Object.entries(files))
    tree.set(path.replace(/^\/+/, ''), { data, executable: data.startsWith('#!') })
  return store(cpio(tree))
}

async function store(archive) {
  const path = join(CACHE, `${createHash('sha256').update(archive).digest('hex').slice(0, 16)}.cpio`)
  if (
    await access(path).then(
      () => true,
      () => false
    )
  )
    return path
  await mkdir(CACHE, { recursive: true })
  // Guests boot side by side, in one process too.
  const partial = `${path}.${process.pid}-${randomUUID()}`
  try {
    await writeFile(partial, archive)
    await rename(partial, path)
  } finally {
    await rm(partial, { force: true })
  }
  return path
}
