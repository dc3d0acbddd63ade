/** clang-format and clang-tidy over the addon, clang-format over the benchmarks' C. */
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../', import.meta.url))
const sources = (folder, pattern) =>
  readdirSync(join(root, folder), { recursive: true })
    .filter(file => pattern.test(file))
    .map(file => join(folder, file))

// clang-tidy counts the warnings of other people's headers on standard error.
function run(command, args, quiet = false) {
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', 'inherit', quiet ? 'ignore' : 'inherit']
  })
  if (error) console.error(`${command}: ${error.message}`)
  if (error || status !== 0) process.exit(1)
}

const addonApi = dirname(createRequire(import.meta.url).resolve('node-addon-api/package.json'))
// Headers of Node beside its binary: /usr/bin/node has them in /usr/include/node.
const nodeHeaders = join(dirname(process.execPath), '../include/node')
run('clang-format', ['--dry-run', '--Werror', ...sources('native', /\.(cc|h)$/), ...sources('bench/limit', /\.(c|h)$/)])
run(
  'clang-tidy',
  [
    '--quiet',
    ...sources('native', /\.cc$/),
    '--',
    '-std=c++17',
    '-Inative',
    `-isystem${addonApi}`,
    `-isystem${nodeHeaders}`,
    '-DNAPI_VERSION=9',
    '-DNAPI_DISABLE_CPP_EXCEPTIONS',
    '-DNODE_ADDON_API_DISABLE_DEPRECATED'
  ],
  true
)
