/**
 * The native tests under AddressSanitizer, LeakSanitizer and UndefinedBehaviorSanitizer: `npm run test:sanitize [paths]`.
 *
 * Builds an instrumented addon in a copy of the checkout, so that the ordinary build stays, and runs the tests there.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ensureSystem } from '../scripts/system.mjs'

const root = fileURLToPath(new URL('../', import.meta.url))
const COPIED = [
  'native',
  'lib',
  'dist',
  'test',
  'scripts',
  'binding.gyp',
  'package.json',
  'tsconfig.json',
  'vitest.config.ts'
]
/**
 * What goes through the addon. Guests, other kernels, and hundreds of attributes that all take the same way through it
 * would only add time.
 */
const TESTS = [
  'test/lifecycle',
  'test/unit/socket',
  'test/tap',
  'test/frames',
  'test/forward',
  'test/capture',
  'test/kernel',
  'test/host/guard',
  '--exclude=test/kernel/*-attributes.test.ts'
]

/**
 * Makes a Node with the sanitizers' libraries and settings in the copy: a shell script. With LINKWRIGHT_LEAKS=1 it looks
 * for leaks when it ends by itself, if it may; otherwise Node keeps memory of its own.
 */
function makeNode(copy) {
  const path = join(copy, 'node')
  const libraries = ['libasan.so', 'libubsan.so'].map(name =>
    execFileSync('gcc', [`-print-file-name=${name}`], { encoding: 'utf8' }).trim()
  )
  const script = leaks => `#!/bin/sh
export LD_PRELOAD='${libraries.join(':')}' LINKWRIGHT_SANITIZE=1
export ASAN_OPTIONS=detect_leaks=${leaks}:halt_on_error=1:exitcode=99
export LSAN_OPTIONS=max_leaks=10
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
unset LINKWRIGHT_LEAKS
exec '${process.execPath}' --require '${join(copy, 'test/support/sanitized.cjs')}' "$@"
`
  // The other users that some tests run as start it, too.
  writeFileSync(path, script('$((LINKWRIGHT_LEAKS))'), { mode: 0o755 })
  const nothing = { encoding: 'utf8', env: { ...process.env, LINKWRIGHT_LEAKS: '1' } }
  const { status, stderr } = spawnSync(path, ['--eval', '0'], nothing)
  if (status !== 0) {
    console.log(`leaks are not looked for, there are some without us: ${stderr}`)
    writeFileSync(path, script('0'))
  }
  return path
}

const { sanitize: missing } = await ensureSystem(['sanitize'])
if (missing) {
  console.log(`sanitizers skipped: ${missing}`)
  process.exit(0)
}
const copy = mkdtempSync(join(tmpdir(), 'linkwright-sanitize-'))
// Some tests run as another user.
chmodSync(copy, 0o755)
try {
  for (const path of COPIED) cpSync(join(root, path), join(copy, path), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
  const build = ['--no-install', 'node-gyp', 'rebuild', '--jobs=max', '--sanitize=address,undefined']
  execFileSync('npx', build, { cwd: copy, stdio: ['ignore', 'ignore', 'inherit'] })
  const node = makeNode(copy)
  const tests = process.argv.length > 2 ? process.argv.slice(2) : TESTS
  const slow = ['--testTimeout=120000', '--hookTimeout=120000']
  const { status } = spawnSync(node, ['test/run.mjs', ...slow, ...tests], { cwd: copy, stdio: 'inherit' })
  process.exitCode = status ?? 1
} finally {
  rmSync(copy, { recursive: true, force: true })
}
