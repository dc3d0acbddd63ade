/** The native threads under ThreadSanitizer, and under AddressSanitizer with UBSan, without Node around them. */
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { tempFolder } from '../tap/support/needs.js'

const root = fileURLToPath(new URL('../../', import.meta.url))
/** All that a forwarder is made of: what knows nothing of JavaScript. */
const OF_JAVASCRIPT = ['forward', 'forwarder_object', 'port_object', 'socket_ports']
const SOURCES = [
  ...readdirSync(join(root, 'native/forward'))
    .filter(name => name.endsWith('.cc') && !OF_JAVASCRIPT.includes(name.slice(0, -3)))
    .map(name => `native/forward/${name}`),
  ...['checksum', 'coalescer', 'packet', 'segmenter'].map(name => `native/offload/${name}.cc`),
  ...['thread', 'tun_ioctl', 'unix_address', 'worker'].map(name => `native/${name}.cc`),
  'test/forward/stress/forwarder.cc'
]
const SECONDS = '6'

test.for(['thread', 'address,undefined'])('%s: nothing is found', { timeout: 300_000 }, (sanitizer, { skip }) => {
  const program = join(tempFolder(), 'stress')
  const flags = ['-std=c++17', '-O1', '-g', '-fno-exceptions', '-Inative', `-fsanitize=${sanitizer}`]
  const tried = spawnSync('g++', [...flags, '-x', 'c++', '-', '-o', program], { input: 'int main() {}' })
  if (tried.status !== 0) skip(`no compiler with -fsanitize=${sanitizer}: ${tried.error ?? tried.stderr}`)
  const built = spawnSync('g++', [...flags, ...SOURCES, '-pthread', '-o', program], { cwd: root, encoding: 'utf8' })
  expect(built.status, built.stderr).toBe(0)
  const env = { ...process.env, LD_PRELOAD: '', TSAN_OPTIONS: 'halt_on_error=1', UBSAN_OPTIONS: 'halt_on_error=1' }
  const { status, stdout, stderr } = spawnSync(program, [SECONDS], { encoding: 'utf8', env, timeout: 120_000 })
  expect(status, stdout + stderr).toBe(0)
  expect(stdout).toContain('done')
})
