/** Who has a port that dnsmasq wants. */
import { readdir, readFile } from 'node:fs/promises'
import type { Holder } from '../../link/holders.js'
import { boundSockets, namespaceOf, socketsOf } from './proc.js'

/**
 * Processes with a UDP or TCP socket on the port in a namespace, where they may be looked at: some process must live in
 * the namespace for its sockets to be seen.
 *
 * @param namespace as `/proc/PID/ns/net` reads
 */
export async function holdersOfPort(namespace: string, port: number): Promise<Holder[]> {
  const pids = (await readdir('/proc')).filter(name => /^\d+$/.test(name)).map(Number)
  const inodes = new Set<string>()
  for (const pid of pids) {
    if ((await namespaceOf(pid)) !== namespace) continue
    const bound = await boundSockets(pid, ['udp', 'udp6', 'tcp', 'tcp6'])
    for (const socket of bound) if (socket.port === port) inodes.add(socket.inode)
    break
  }
  const holders: Holder[] = []
  for (const pid of inodes.size > 0 ? pids : []) {
    const sockets = await socketsOf(pid)
    if (![...(sockets ?? [])].some(inode => inodes.has(inode))) continue
    const command = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')
    holders.push({ pid, command: command.trim() })
  }
  return holders
}
