/**
 * Makes a clean clone ready: npm packages, the addon, the library. With --system also what the tests need of the system,
 * with --system=lint what a part of the checks needs.
 * Does only what is missing or out of date.
 */
import { spawnSync } from 'node:child_process'
import { readdirSync, statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../', import.meta.url))
const at = path => `${root}${path}`

/** Newest change below some paths. */
function newest(...paths) {
  let latest = 0
  for (const path of paths) {
    const info = statSync(at(path), { throwIfNoEntry: false })
    if (!info) continue
    if (info.isDirectory()) {
      for (const entry of readdirSync(at(path))) latest = Math.max(latest, newest(`${path}/${entry}`))
    } else latest = Math.max(latest, info.mtimeMs)
  }
  return latest
}

function run(command, args) {
  console.error(`setup: ${command} ${args.join(' ')}`)
  // Standard output belongs to the program that is set up here.
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2] })
  if (error || status !== 0) {
    console.error(`setup: ${command} failed${error ? `: ${error.message}` : ` with status ${status}`}`)
    process.exit(1)
  }
}

// Not `npm ci`, which refuses a lock file that lacks the optional packages of other platforms.
const install = ['install', '--no-save', '--ignore-scripts', '--no-audit', '--no-fund']
if (newest('package-lock.json') > newest('node_modules/.package-lock.json')) run('npm', install)
const system = process.argv.find(argument => argument.startsWith('--system'))
if (system) {
  const { ensureSystem } = await import('./system.mjs')
  const [, features] = system.split('=')
  await ensureSystem(features?.split(','))
}
const binary = 'build/Release/linkwright.node'
if (newest('native', 'binding.gyp') > newest(binary))
  // Configured each time: the list of sources is part of that.
  run('npx', ['--no-install', 'node-gyp', 'configure', 'build', '--jobs=max'])
if (newest('lib', 'tsconfig.json', 'tsconfig.build.json', 'scripts/kinds.mjs') > newest('dist')) {
  run(process.execPath, ['scripts/kinds.mjs'])
  run('npx', ['--no-install', 'tsc', '-p', 'tsconfig.build.json'])
}
