/**
 * `npm run test:vm [-- arguments]`: the tests that deal with a kernel, on the distribution's full kernel.
 *
 * Arguments go to vitest; after a `--` of their own they are a command to run instead.
 *
 * A takeover under load (`test/host/takeover`) takes LINKWRIGHT_ACCEL=tcg,thread=single: a chain at ingress is a static branch,
 * and an emulator with a thread for each processor may run on in code that the kernel has patched (soft lockup at a jump).
 */
import { runInVm, whyNoVm } from './vm.mjs'

const MINUTES = Number(process.env.LINKWRIGHT_VM_MINUTES ?? 15)

/**
 * What this machine's kernel may lack: bridge VLAN filtering, vlan and dummy links, vhost-net; and what an older one does
 * otherwise. More takes long under software emulation: give `test/kernel` or `test/tap` for all.
 */
const PATHS = ['bridge-attributes', 'bridge-port-attributes', 'vlan-attributes', 'create', 'differential', 'probe'].map(
  name => `test/kernel/${name}`
)

/** Everything is an order of magnitude slower there, and a process per test file costs 2 s each. */
const DEFAULTS = ['--isolate=false', '--testTimeout=120000', '--hookTimeout=120000']

function vitest(given) {
  // vitest refuses an option that is given twice.
  const isGiven = option =>
    given.some(argument => argument.replace(/^--no-/, '--').split('=')[0] === option.split('=')[0])
  const paths = given.some(argument => !argument.startsWith('-')) ? [] : [...PATHS, 'test/tap/vhost']
  return [process.execPath, 'test/run.mjs', ...DEFAULTS.filter(option => !isGiven(option)), ...given, ...paths]
}

const given = process.argv.slice(2)
const command = given[0] === '--' ? given.slice(1) : vitest(given)

const reason = await whyNoVm()
if (reason) {
  console.error(`No VM here: ${reason}`)
  process.exit(1)
}
const began = Date.now()
const { status, log } = await runInVm(command, {
  timeout: MINUTES * 60_000,
  onOutput: text => process.stdout.write(text)
})
if (log.trim()) console.error(`The VM's kernel said:\n${log.trim()}`)
if (status === 124) console.error(`The VM was stopped after ${MINUTES} minutes.`)
console.error(`VM: status ${status} after ${((Date.now() - began) / 1000).toFixed(1)} s`)
process.exitCode = status
