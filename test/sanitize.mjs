/**
 * The native tests under AddressSanitizer and UndefinedBehaviorSanitizer: `npm run test:sanitize [paths]`.
 *
 * Builds an instrumented addon in a copy of the checkout, so that the ordinary build stays, and runs the tests there.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, cpSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
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
/** What goes through the addon; guests and other kernels would only add time. */
const TESTS = ['test/lifecycle', 'test/unit/socket', 'test/tap', 'test/kernel']

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
  const build = ['--no-install', 'node-gyp', 'rebuild', '--sanitize=address,undefined']
  execFileSync('npx', build, { cwd: copy, stdio: ['ignore', 'ignore', 'inherit'] })
  const libraries = ['libasan.so', 'libubsan.so'].map(name =>
    execFileSync('gcc', [`-print-file-name=${name}`], { encoding: 'utf8' }).trim()
  )
  const tests = process.argv.length > 2 ? process.argv.slice(2) : TESTS
  const slow = ['--testTimeout=120000', '--hookTimeout=120000']
  const { status } = spawnSync(process.execPath, ['test/run.mjs', ...slow, ...tests], {
    cwd: copy,
    stdio: 'inherit',
    env: {
      ...process.env,
      LD_PRELOAD: libraries.join(':'),
      LINKWRIGHT_SANITIZE: '1',
      // Node itself keeps memory until it ends, so leaks are looked for by counting descriptors instead.
      ASAN_OPTIONS: 'detect_leaks=0:halt_on_error=1:exitcode=99',
      UBSAN_OPTIONS: 'halt_on_error=1:print_stacktrace=1'
    }
  })
  process.exitCode = status ?? 1
} finally {
  rmSync(copy, { recursive: true, force: true })
}
