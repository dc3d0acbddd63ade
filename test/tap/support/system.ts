/** Second sources: what other programs and the kernel's own files say. */
import { execFile, spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { promisify } from 'node:util'

/** Debian's own: a shim of pyenv takes ten times as long to start. */
export const PYTHON = '/usr/bin/python3'

const execFileAsync = promisify(execFile)

/** Runs a program and gives its output; its standard error is in the exception. */
export function run(command: string, ...args: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8' })
  if (error) throw error
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: status ${status}: ${stderr}${stdout}`)
  return stdout
}

/** The same beside this program, which goes on answering frames. */
export async function runBeside(command: string, ...args: string[]): Promise<string> {
  return (await execFileAsync(command, args, { encoding: 'utf8' })).stdout
}

export interface IpLink {
  ifindex: number
  ifname: string
  flags: string[]
  mtu: number
  master?: string
  link?: string
  operstate: string
  group: string
  txqlen: number
  address: string
  ifalias?: string
  altnames?: string[]
  linkinfo?: { info_kind?: string; info_data?: Record<string, unknown>; info_slave_data?: Record<string, unknown> }
}

/** `ip netns exec` in front of a command, for a namespace that is not ours. */
export function inside(netns: string | undefined, command: string, ...args: string[]): [string, ...string[]] {
  return netns === undefined ? [command, ...args] : ['ip', 'netns', 'exec', netns, command, ...args]
}

export function ip(netns: string | undefined, ...args: string[]): string {
  return run('ip', ...(netns === undefined ? [] : ['-n', netns]), ...args)
}

/** All links as `ip -d -j link` shows them. */
export function ipLinks(netns?: string): IpLink[] {
  return JSON.parse(ip(netns, '-d', '-j', 'link'))
}

/** One of them, or `undefined` when there is none of that name. */
export function ipLink(name: string, netns?: string): IpLink | undefined {
  return ipLinks(netns).find(link => link.ifname === name)
}

/** A file of /sys/class/net/NAME, without its line end. */
export function sysfs(name: string, file: string): string {
  return readFileSync(`/sys/class/net/${name}/${file}`, 'utf8').trim()
}

/** IFF_* as sysfs has them. */
export function tunFlags(name: string): number {
  return Number(sysfs(name, 'tun_flags'))
}

/** What the descriptors of this process are, in no particular order. */
export function openFiles(): string[] {
  const files: string[] = []
  for (const fd of readdirSync('/proc/self/fd')) {
    try {
      files.push(readlinkSync(`/proc/self/fd/${fd}`))
    } catch {}
  }
  return files
}

/** Those that were not open before. What is gone since does not count: closing takes a while. */
export function newFiles(before: string[]): string[] {
  const old = [...before]
  return openFiles().filter(file => {
    const at = old.indexOf(file)
    if (at >= 0) old.splice(at, 1)
    return at < 0
  })
}

/** `iff:` of /proc/self/fdinfo: the device that a descriptor of /dev/net/tun is attached to. */
export function fdInfoName(fd: number): string | undefined {
  return /^iff:\s*(\S+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1]
}

/** What `ethtool -k` says: feature to `on` or `off`. */
export function features(name: string): Record<string, boolean> {
  const lines = run('ethtool', '-k', name).matchAll(/^\s*([\w-]+): (on|off)/gm)
  return Object.fromEntries([...lines].map(([, feature, state]) => [feature, state === 'on']))
}

/** A number that no other test of this machine takes for an ifindex at the same time, hence for a /dev/tapN. */
export function freshIndex(): number {
  return 100_000 + Math.floor(Math.random() * 800_000_000)
}
