/** Starts QEMU so that it cannot outlive whoever started it. */
import { spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'

const COMMON = ['-nodefaults', '-display', 'none', '-no-reboot', '-cpu', 'max']

/** Path of a namespace that is given as `ip netns` names it, or by its path. */
const netnsPath = netns => (netns.includes('/') ? netns : `/run/netns/${netns}`)

/**
 * The first serial port is the kernel's console and goes to a file, as it must not block on a reader.
 *
 * @param {string[]} args
 * @param {object} options
 * @param {string} options.consoleLog
 * @param {number[]} [options.fds] the child's 3, 4, ...
 * @param {string} [options.netns] name or path
 */
export function startQemu(args, { consoleLog, fds = [], netns }) {
  const qemu = [
    'qemu-system-x86_64',
    ...COMMON,
    '-accel',
    process.env.LINKWRIGHT_ACCEL ?? 'tcg',
    '-serial',
    `file:${consoleLog}`,
    ...args
  ]
  // Both replace themselves by what they start, so the child's pid is QEMU's, and no signal of ours goes astray.
  const command = ['setpriv', '--pdeathsig', 'KILL', ...qemu]
  if (netns) command.unshift('nsenter', `--net=${netnsPath(netns)}`)
  const child = spawn(command[0], command.slice(1), {
    stdio: ['pipe', 'pipe', 'pipe', ...fds],
    env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` }
  })
  child.stdin.on('error', () => {})
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', text => (errors += text))
  const exited = new Promise(resolve => {
    child.on('error', error => {
      errors += `${error.message}\n`
      resolve({ code: null, signal: null })
    })
    child.on('close', (code, signal) => resolve({ code, signal }))
  })
  return {
    child,
    /** Resolves when it has ended and its output is complete. */
    exited,
    /** The kernel's console, and what QEMU itself complained about. */
    async log() {
      return errors + (await readFile(consoleLog, 'utf8').catch(() => ''))
    },
    /** At once: nothing in it is worth saving, and the kernel closes its descriptors either way. */
    async kill() {
      child.kill('SIGKILL')
      await exited
    }
  }
}
