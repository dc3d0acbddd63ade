/** What /proc tells of a process and its sockets. */
import { readdir, readFile, readlink } from 'node:fs/promises'

/** `S` sleeps, `R` runs, `Z` has ended; `undefined` when there is none. */
export async function processState(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  // The name in parentheses may have any characters.
  return stat.slice(stat.lastIndexOf(')') + 2)[0]
}

/** Whether a signal was sent that the process has not begun to handle. */
export async function isSignalPending(pid: number, signal: number): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  const pending = BigInt(`0x${/^ShdPnd:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? '0'}`)
  return ((pending >> BigInt(signal - 1)) & 1n) === 1n
}

/** The namespace that a process is in, `net:[4026531840]`. */
export async function namespaceOf(pid: number | 'self'): Promise<string | undefined> {
  return await readlink(`/proc/${pid}/ns/net`).catch(() => undefined)
}

/** Inodes of the sockets that a process has open; `undefined` when it may not be looked at. */
export async function socketsOf(pid: number): Promise<Set<string> | undefined> {
  const folder = `/proc/${pid}/fd`
  const names = await readdir(folder).catch(() => undefined)
  if (!names) return undefined
  const links = await Promise.all(names.map(name => readlink(`${folder}/${name}`).catch(() => '')))
  return new Set(links.map(link => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? '').filter(Boolean))
}

export interface BoundSocket {
  readonly protocol: 'udp' | 'udp6' | 'tcp' | 'tcp6' | 'raw6'
  /** In hexadecimal as the kernel prints it: words of the machine's byte order. */
  readonly address: string
  /** Of a raw socket, its protocol. */
  readonly port: number
  readonly inode: string
}

/** All sockets of the namespace that a process is in. */
export async function boundSockets(pid: number, protocols: readonly BoundSocket['protocol'][]): Promise<BoundSocket[]> {
  const tables = protocols.map(async protocol => {
    // A kernel without IPv6 has no such file.
    const text = await readFile(`/proc/${pid}/net/${protocol}`, 'utf8').catch(() => '')
    return text
      .trim()
      .split('\n')
      .slice(1)
      .map(line => {
        const words = line.trim().split(/\s+/)
        const [address = '', port = ''] = (words[1] ?? '').split(':')
        return { protocol, address, port: Number.parseInt(port, 16), inode: words[9] ?? '' }
      })
  })
  return (await Promise.all(tables)).flat()
}
