/** Pings by the kernel's own stack, from another namespace. */
import { execFile, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
const COUNT = 3

/** The system's ping, that of busybox, or UDP datagrams to the echo port. */
const program = findProgram()
export const pingProgram = program.name
/** Whether the kernel answers it, too: nobody listens on its echo port. */
export const isIcmp = program.icmp

function findProgram() {
  const works = (command, ...args) => spawnSync(command, args, { stdio: 'ignore' }).error === undefined
  const flags = ['-c', String(COUNT), '-i', '0.05', '-W', '2']
  if (works('ping', '-V')) return { name: 'ping', icmp: true, command: ['ping', ...flags] }
  if (works('busybox', 'true')) return { name: 'busybox ping', icmp: true, command: ['busybox', 'ping', ...flags] }
  const probe = fileURLToPath(new URL('udp-echo.mjs', import.meta.url))
  return { name: 'UDP echo, as there is no ping', icmp: false, command: [process.execPath, probe, String(COUNT)] }
}

/**
 * @param {string} target
 * @param {number} netns descriptor of the namespace to ping from
 * @returns {Promise<{ sent: number, answered: number, median: number | undefined }>} times in ms
 */
export async function ping(target, netns) {
  const command = ['nsenter', `--net=/proc/${process.pid}/fd/${netns}`, ...program.command, target]
  const { stdout } = await run(command[0], command.slice(1)).catch(error => {
    if (error.stdout) return error
    throw error
  })
  const times = [...stdout.matchAll(/time=([\d.]+)/g)].map(([, time]) => Number(time)).sort((a, b) => a - b)
  return { sent: COUNT, answered: times.length, median: times[Math.floor(times.length / 2)] }
}
