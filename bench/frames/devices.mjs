// Devices of a sandbox: made quiet, set up, counted.
import { existsSync, readFileSync } from 'node:fs'

/** Links that come up take no IPv6 address and send nothing of their own. */
export const silence = sandbox =>
  sandbox.run('sh', [
    '-c',
    'for all in all default; do f=/proc/sys/net/ipv6/conf/$all/disable_ipv6; [ ! -e $f ] || echo 1 > $f; done'
  ])

/** Commands of `ip`, one after the other. */
export const ip = (sandbox, ...commands) =>
  sandbox.run('sh', ['-c', 'printf "%s\\n" "$@" | ip -batch -', 'ip', ...commands])

export const raise = (sandbox, names, settings) => ip(sandbox, ...names.map(name => `link set ${name} ${settings} up`))

export const names = count => Array.from({ length: count }, (_, i) => `lw${i}`)

const ALL = ['rx_packets', 'rx_dropped', 'tx_packets', 'tx_dropped']

/** Sums over devices. The network's side: what the subject reads is sent (tx), what it writes is received (rx). */
export function count(sandbox, devices) {
  const directory = sandbox.path('/sys/class/net')
  const read = (device, counter) => {
    const file = `${directory}/${device}/statistics/${counter}`
    return existsSync(file) ? Number(readFileSync(file, 'latin1')) : 0
  }
  const sum = counter => devices.reduce((total, device) => total + read(device, counter), 0)
  return Object.fromEntries(ALL.map(counter => [counter, sum(counter)]))
}
