// Programs compiled and packages installed on the spot; nothing is built twice.
import { existsSync, mkdirSync, readdirSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { bench, cache, peers } from './paths.mjs'
import { run } from './process.mjs'

const changed = path => (existsSync(path) ? statSync(path).mtimeMs : 0)
const isFresh = (target, sources) => sources.every(source => changed(source) < changed(target))

/** sources: the files to compile first, then headers marked by their suffix .h */
export async function compileC(name, sources, libraries) {
  const target = join(cache, name)
  const files = sources.map(source => join(bench, source))
  if (isFresh(target, files)) return target
  mkdirSync(cache, { recursive: true })
  const units = files.filter(file => file.endsWith('.c'))
  await run('cc', ['-O2', '-Wall', '-Wextra', '-o', target, ...units, ...libraries.map(library => `-l${library}`)])
  return target
}

/** A Node-API addon of one file in C, by the headers that come with this Node. */
export async function compileAddon(name, source) {
  const target = join(cache, name)
  const file = join(bench, source)
  if (isFresh(target, [file])) return target
  mkdirSync(cache, { recursive: true })
  const headers = join(dirname(process.execPath), '../include/node')
  await run('cc', ['-O2', '-Wall', '-Wextra', '-shared', '-fPIC', `-I${headers}`, '-o', target, file])
  return target
}

// Debian's Go packages are sources under /usr/share/gocode, for builds without modules.
export async function compileGo(name, directory) {
  const target = join(cache, name)
  const files = readdirSync(join(bench, directory)).map(file => join(bench, directory, file))
  if (isFresh(target, files)) return target
  mkdirSync(cache, { recursive: true })
  const go = { GO111MODULE: 'off', GOPATH: '/usr/share/gocode', GOFLAGS: '', GOCACHE: join(cache, 'go') }
  await run('go', ['build', '-o', target, '.'], { cwd: join(bench, directory), env: { ...process.env, ...go } })
  return target
}

const loads = name => run(process.execPath, ['-e', `require('${name}')`], { cwd: peers })

/** The peers' packages; without their install scripts, so an addon without a prebuild is built here. */
export async function installPackage(name) {
  const directory = join(peers, 'node_modules', name)
  if (!existsSync(directory)) await run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: peers })
  try {
    await loads(name)
  } catch (error) {
    if (!existsSync(join(directory, 'binding.gyp'))) throw error
    await run(join(bench, '../node_modules/.bin/node-gyp'), ['rebuild'], { cwd: directory, timeout: 300_000 })
    await loads(name)
  }
}
