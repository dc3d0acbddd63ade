/** Whether a dnsmasq serves already, by the kernel's tables of its namespace. */
import { readFile } from 'node:fs/promises'
import { endianness } from 'node:os'
import type { Subnets } from './check-options.js'
import type { DnsmasqOptions } from './options.js'
import { type BoundSocket, boundSockets, processState, socketsOf } from './proc.js'
import { addressNumber } from './subnet.js'

const PORT = { dns: 53, dhcp4: 67, dhcp6: 547 } as const
const ICMPV6 = 58

/** Something that must be open, and how to say it. */
interface Awaited {
  readonly what: string
  readonly found: (socket: BoundSocket) => boolean
}

/** What is open when it serves. */
export function awaitedSockets(options: DnsmasqOptions, subnets: Subnets): Awaited[] {
  const awaited: Awaited[] = []
  if (options.dns !== false) {
    for (const { address, family } of [...subnets.inet, ...subnets.inet6]) {
      const [text, protocol] = [hexadecimal(address), family === 'inet' ? 'udp' : 'udp6']
      awaited.push({
        what: `DNS on ${address}`,
        found: socket => socket.protocol === protocol && socket.port === PORT.dns && socket.address === text
      })
    }
  }
  if (options.dhcp4)
    awaited.push({ what: 'DHCP', found: ({ protocol, port }) => protocol === 'udp' && port === PORT.dhcp4 })
  if (options.dhcp6 && options.dhcp6.mode !== 'ra-only') {
    awaited.push({ what: 'DHCPv6', found: ({ protocol, port }) => protocol === 'udp6' && port === PORT.dhcp6 })
  }
  if (options.dhcp6) {
    awaited.push({
      what: 'router advertisements',
      found: ({ protocol, port }) => protocol === 'raw6' && port === ICMPV6
    })
  }
  return awaited
}

/** What it does not serve yet; nothing is left when it is ready and has gone to sleep until somebody asks. */
export async function missingOf(pid: number, pidFile: string, awaited: readonly Awaited[]): Promise<string[]> {
  const sockets = await socketsOf(pid)
  if (!sockets) return ['its sockets, which may not be looked at']
  const bound = await boundSockets(pid, ['udp', 'udp6', 'raw6'])
  const own = bound.filter(({ inode }) => sockets.has(inode))
  const missing = awaited.filter(({ found }) => !own.some(found)).map(({ what }) => what)
  if (missing.length > 0) return missing
  const written = await readFile(pidFile, 'utf8').catch(() => '')
  if (Number(written) !== pid) return ['its pid file']
  return (await processState(pid)) === 'S' ? [] : ['its start']
}

/** As /proc/net/udp has an address: 32-bit words of the machine's byte order. */
function hexadecimal(address: string): string {
  const digits = addressNumber(address)
    .toString(16)
    .padStart(address.includes(':') ? 32 : 8, '0')
  const words = digits.match(/.{8}/g) ?? []
  const turned = endianness() === 'LE' ? words.map(word => (word.match(/../g) ?? []).reverse().join('')) : words
  return turned.join('').toUpperCase()
}
