/** What iptables-nft leaves to modules of xtables, as statements that mean the same. */
import { endianness } from 'node:os'
import type { Statement } from './statements.js'

const NAME = 1
const INFO = 3

/** The statements of a rule, with those of xtables that are known here put into words. The others stay. */
export function withoutXtables(statements: readonly Statement[]): Statement[] {
  return statements.flatMap(statement => ('raw' in statement ? (inWords(statement.raw) ?? [statement]) : [statement]))
}

function inWords({ name, data }: { readonly name: string; readonly data?: unknown }): Statement[] | undefined {
  if ((name !== 'match' && name !== 'target') || typeof data !== 'string') return undefined
  const attributes = attributesOf(Buffer.from(data, 'hex'))
  const module = attributes.get(NAME)?.toString('latin1').replace(/\0.*$/s, '') ?? ''
  const info = attributes.get(INFO) ?? Buffer.alloc(0)
  const words = (name === 'match' ? MATCHES : TARGETS)[module]
  try {
    return words?.(info)
  } catch {
    // Shorter than it should be.
    return undefined
  }
}

const TARGETS: Record<string, () => Statement[]> = {
  REJECT: () => [{ reject: {} }],
  LOG: () => [{ log: {} }]
}

const MATCHES: Record<string, (info: Buffer) => Statement[] | undefined> = {
  comment: () => [],
  conntrack: states,
  multiport: ports,
  tcp: info => portRange('tcp', info, 11),
  udp: info => portRange('udp', info, 8)
}

/** XT_CONNTRACK_STATE, and that it was asked for by `-m state`. */
const STATE = 1
const STATE_ALIAS = 0x2000
/** XT_CONNTRACK_STATE_BIT, and of untracked packets. */
const STATES = { invalid: 1, established: 2, related: 4, new: 8, untracked: 64 }

/** struct xt_conntrack_mtinfo3, behind 8 addresses, 2 times and 5 ports */
function states(info: Buffer): Statement[] | undefined {
  const [flags, inverted, mask] = [u16(info, 146), u16(info, 148), u16(info, 150)]
  if ((flags & ~STATE_ALIAS) !== STATE) return undefined
  const value = Object.entries(STATES).flatMap(([state, bit]) => (mask & bit ? [state] : []))
  return [{ match: 'ct state', op: (inverted & STATE) === 0 ? '==' : '!', value }]
}

const DESTINATION = 1
const MOST = 15

/** struct xt_multiport_v1: flags, a count, ports, which of them begin a range, and whether it is inverted */
function ports(info: Buffer): Statement[] | undefined {
  const [flags, count] = [info.readUInt8(0), Math.min(info.readUInt8(1), MOST)]
  const value: string[] = []
  for (let at = 0; at < count; at++) {
    const port = u16(info, 2 + 2 * at)
    if (info.readUInt8(2 + 2 * MOST + at)) value.push(`${port}-${u16(info, 2 + 2 * ++at)}`)
    else value.push(`${port}`)
  }
  const inverted = info.readUInt8(2 + 3 * MOST) !== 0
  return flags === DESTINATION ? [{ match: 'th dport', op: inverted ? '!=' : '==', value }] : undefined
}

/** struct xt_tcp and xt_udp begin with the first and last of source and of destination ports. */
function portRange(protocol: 'tcp' | 'udp', info: Buffer, invertedAt: number): Statement[] | undefined {
  const [first, last] = [u16(info, 0), u16(info, 2)]
  const inverted = info.readUInt8(invertedAt)
  const isPlain = protocol === 'udp' || (info.readUInt8(8) === 0 && info.readUInt8(9) === 0)
  if (!isPlain || inverted !== 0) return undefined
  const match = (field: 'sport' | 'dport', from: number, to: number): Statement[] =>
    from === 0 && to === 65535 ? [] : [{ match: `${protocol} ${field}`, value: `${from}-${to}` }]
  return [...match('sport', first, last), ...match('dport', u16(info, 4), u16(info, 6))]
}

const u16 = (bytes: Buffer, at: number) => (endianness() === 'LE' ? bytes.readUInt16LE(at) : bytes.readUInt16BE(at))

/** struct nlattr: length and type, then the value, padded to four bytes */
function attributesOf(bytes: Buffer): Map<number, Buffer> {
  const found = new Map<number, Buffer>()
  for (let at = 0; at + 4 <= bytes.length; ) {
    const length = u16(bytes, at)
    if (length < 4) break
    found.set(u16(bytes, at + 2), bytes.subarray(at + 4, at + length))
    at += (length + 3) & ~3
  }
  return found
}
