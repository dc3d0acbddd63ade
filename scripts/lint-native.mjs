/** clang-format and clang-tidy over the addon, clang-format over the benchmarks' C. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../', import.meta.url))
const sources = (folder, pattern) =>
  readdirSync(join(root, folder), { recursive: true })
    .filter(file => pattern.test(file))
    .map(file => join(folder, file))

/** Whether a program found nothing. clang-tidy counts the warnings of other people's headers on standard error. */
async function passes(command, args, { quiet = false } = {}) {
  const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'inherit', quiet ? 'ignore' : 'inherit'] })
  try {
    const [status] = await once(child, 'close')
    return status === 0
  } catch (error) {
    console.error(`${command}: ${error.message}`)
    return false
  }
}

/** One list for each processor. */
function shares(files) {
  const lists = Array.from({ length: Math.min(availableParallelism(), files.length) }, () => [])
  for (const [at, file] of files.entries()) lists[at % lists.length].push(file)
  return lists
}

const addonApi = dirname(createRequire(import.meta.url).resolve('node-addon-api/package.json'))
// Headers of Node beside its binary: /usr/bin/node has them in /usr/include/node.
const nodeHeaders = join(dirname(process.execPath), '../include/node')
const formatted = [...sources('native', /\.(cc|h)$/), ...sources('bench/limit', /\.(c|h)$/)]
const flags = [
  '-std=c++17',
  '-Inative',
  `-isystem${addonApi}`,
  `-isystem${nodeHeaders}`,
  '-DNAPI_VERSION=9',
  '-DNAPI_DISABLE_CPP_EXCEPTIONS',
  '-DNODE_ADDON_API_DISABLE_DEPRECATED'
]
const passed = await Promise.all([
  passes('clang-format', ['--dry-run', '--Werror', ...formatted]),
  ...shares(sources('native', /\.cc$/)).map(files =>
    passes('clang-tidy', ['--quiet', ...files, '--', ...flags], { quiet: true })
  )
])
process.exitCode = passed.every(Boolean) ? 0 : 1
