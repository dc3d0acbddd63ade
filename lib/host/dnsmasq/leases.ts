/** dnsmasq's file of leases: its lines, and reading them while it writes. */
import { type FileHandle, open } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { LinkwrightError } from '../../errors.js'
import { processState } from './proc.js'

/** An address that a guest has. */
export interface Lease {
  readonly family: 'inet' | 'inet6'
  readonly address: string
  /** When it ends; `null` never. */
  readonly expires: Date | null
  /** As the guest says or its reservation has it. */
  readonly hostname: string | undefined
  /** Of IPv4 leases. */
  readonly mac: string | undefined
  /** Client identifier of DHCPv4, if the guest has one, or DUID of DHCPv6: bytes in hexadecimal, `01:52:54:…`. */
  readonly clientId: string | undefined
  /** Identity association of DHCPv6, and whether it is one of temporary addresses. */
  readonly iaid: number | undefined
  readonly temporary: boolean
}

/** Lines of other sorts, such as the server's own DUID, are passed over. */
export function parseLeases(text: string): Lease[] {
  return text.split('\n').flatMap(line => parseLease(line) ?? [])
}

function parseLease(line: string): Lease | undefined {
  const [seconds = '', who = '', address, hostname, clientId] = line.split(' ')
  if (!/^\d+$/.test(seconds) || address === undefined || hostname === undefined || clientId === undefined)
    return undefined
  const common = {
    address,
    expires: seconds === '0' ? null : new Date(Number(seconds) * 1000),
    hostname: hostname === '*' ? undefined : hostname,
    clientId: clientId === '*' ? undefined : clientId
  }
  if (!address.includes(':')) {
    // Hardware types other than Ethernet's stand before the address, `06-`.
    return { ...common, family: 'inet', mac: who.replace(/^[0-9a-f]{2}-/i, ''), iaid: undefined, temporary: false }
  }
  const temporary = who.startsWith('T')
  return { ...common, family: 'inet6', mac: undefined, iaid: Number(temporary ? who.slice(1) : who), temporary }
}

/** Milliseconds that the coarsest file systems keep one time of modification: a kernel's tick, at most. */
const TICK = 10
/** Looks before it is given up: a server that never rests is not to be expected. */
const LOOKS = 500

/**
 * All leases, as dnsmasq has written them. It writes them in place, truncating first, so what is read counts only if the
 * file did not change meanwhile and dnsmasq slept at that time: it does not sleep while it writes.
 *
 * @param pid of dnsmasq; `undefined` while there is none, when nobody writes
 * @throws LinkwrightError `ERR_NOT_SETTLED` when it never rested
 */
export async function readLeases(path: string, pid: () => number | undefined): Promise<Lease[]> {
  for (let look = 0; look < LOOKS; look++) {
    const text = await readAtRest(path, pid())
    if (text !== undefined) return parseLeases(text)
    await delay(TICK)
  }
  throw new LinkwrightError(`${path} changes all the time`, { code: 'ERR_NOT_SETTLED', link: path })
}

async function readAtRest(path: string, pid: number | undefined): Promise<string | undefined> {
  const file = await open(path).catch(error => {
    // It is made at the first start.
    if ((error as { code?: string }).code === 'ENOENT') return undefined
    throw error
  })
  if (!file) return ''
  try {
    const before = await stamp(file)
    const bytes = await file.readFile()
    const state = pid === undefined ? undefined : await processState(pid)
    const after = await stamp(file)
    const rests = state === 'S' || state === undefined || state === 'Z'
    const unchanged = before.time === after.time && before.size === after.size && bytes.length === Number(after.size)
    // Two changes within a tick look like one.
    const settled = Math.abs(Date.now() - Number(after.time / 1_000_000n)) > TICK
    return rests && unchanged && settled ? bytes.toString('utf8') : undefined
  } finally {
    await file.close()
  }
}

async function stamp(file: FileHandle): Promise<{ time: bigint; size: bigint }> {
  const { mtimeNs, size } = await file.stat({ bigint: true })
  return { time: mtimeNs, size }
}
