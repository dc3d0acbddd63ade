/** iproute2 and sysfs in a namespace: the second source that our own answers are judged by. */
import { execFileSync } from 'node:child_process'

// biome-ignore lint/suspicious/noExplicitAny: what another program prints
export type Parsed = any

function run(command: string, args: string[]): string {
  try {
    return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  } catch (error) {
    const { stderr = '', stdout = '' } = error as { stderr?: string; stdout?: string }
    throw new Error(`${command} ${args.join(' ')}: ${stderr}${stdout}`)
  }
}

function parse(text: string): Parsed[] {
  const found: Parsed[] = text.trim() === '' ? [] : JSON.parse(text)
  // `ip -j` prints an empty object where a filter left something out.
  return found.filter(item => Object.keys(item).length > 0)
}

/** Words of a command line, separated by blanks. */
const words = (text: string) => text.trim().split(/\s+/)

export class Tools {
  constructor(readonly name: string) {}

  /** `ip.ip('link set dev eth0 up')`; throws what it prints on failure. */
  ip(command: string): string {
    return run('ip', ['-n', this.name, ...words(command)])
  }

  bridge(command: string): string {
    return run('bridge', ['-n', this.name, ...words(command)])
  }

  /** Like {@link ip}, with details and parsed. */
  ipJson(command: string): Parsed[] {
    return parse(run('ip', ['-n', this.name, '-d', '-j', ...words(command)]))
  }

  bridgeJson(command: string): Parsed[] {
    return parse(run('bridge', ['-n', this.name, '-d', '-j', ...words(command)]))
  }

  tc(command: string): string {
    return run('tc', ['-n', this.name, ...words(command)])
  }

  /** With details and statistics, and parsed. */
  tcJson(command: string): Parsed[] {
    return parse(run('tc', ['-n', this.name, '-d', '-s', '-j', ...words(command)]))
  }

  /** One link as `ip -d -j link` shows it; `undefined` if there is none. */
  link(name: string): Parsed {
    return this.ipJson('link show').find(link => link.ifname === name)
  }

  linkNames(): string[] {
    return this.ipJson('link show').map(link => link.ifname as string)
  }

  /** Whether iproute2 and the kernel take a command. */
  can(command: string): boolean {
    try {
      this.ip(command)
      return true
    } catch {
      return false
    }
  }

  /** Whether a command of tc works here. */
  canTc(command: string): boolean {
    try {
      this.tc(command)
      return true
    } catch {
      return false
    }
  }

  /** Runs a program with the namespace's own /sys. */
  exec(...command: string[]): string {
    return run('ip', ['netns', 'exec', this.name, ...command])
  }

  /** A file below /sys/class/net. */
  sysfs(path: string): string {
    return this.exec('cat', `/sys/class/net/${path}`).trim()
  }
}
