/** Kernel modules for an initramfs, which has no modprobe of its own to find out what they depend on. */
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const UNPACK = { '.ko': null, '.xz': 'xz', '.zst': 'zstd', '.gz': 'gzip' }

async function readModule(path) {
  const tool = UNPACK[/\.\w+$/.exec(path)[0]]
  if (!tool) return readFile(path)
  return (await run(tool, ['-dc', path], { encoding: 'buffer', maxBuffer: 1 << 27 })).stdout
}

/**
 * @param {{ root: string, release: string }} kernel
 * @param {string[]} names those that the kernel has built in are left out
 * @returns {Promise<{ name: string, data: Buffer }[]>} with what they depend on, in the order to insert them
 */
export async function readModules(kernel, names) {
  const paths = new Set()
  for (const name of names) {
    const { stdout } = await run('modprobe', ['-d', kernel.root, '-S', kernel.release, '--show-depends', name], {
      env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` }
    })
    for (const [, path] of stdout.matchAll(/^insmod (\S+)/gm)) paths.add(path)
  }
  return Promise.all(
    [...paths].map(async path => ({ name: basename(path).replace(/\.ko.*/, '.ko'), data: await readModule(path) }))
  )
}
