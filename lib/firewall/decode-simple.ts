/** Expressions that are statements of their own. */
import { types } from './data-types.js'
import type { Family, Known } from './dependencies.js'
import { LOG_LEVELS, PACKET_BURST, REJECT_CODES, rejectKind, UNITS } from './encode-simple.js'
import { bytesIn, dataOf, type Expression, verdictIn, wordOf } from './expressions.js'
import type { AddressNat, Limit, Log, RejectWith, Statement } from './statements.js'

type Data = Readonly<Record<string, unknown>>

/** The statement of an expression and those that prepared registers for it; `undefined` if there is none. */
export function decodeSimple(
  prepared: readonly Expression[],
  expression: Expression,
  family: Family,
  known: Known
): Statement | undefined {
  const data = dataOf(expression)
  if (prepared.length > 0) return withRegisters(prepared, expression.name, data, known)
  switch (expression.name) {
    case 'immediate': {
      const verdict = wordOf(data['dreg']) === -1 ? verdictIn(data['data']) : undefined
      return verdict && { verdict }
    }
    case 'counter':
      return { counter: { packets: Number(data['packets'] ?? 0), bytes: Number(data['bytes'] ?? 0) } }
    case 'quota':
      return { quota: { bytes: Number(data['bytes']), ...(has(data, 'inv') ? { over: true } : {}) } }
    case 'limit':
      return limitOf(data)
    case 'log':
      return logOf(data)
    case 'reject':
      return rejectOf(data, family, known)
    case 'masq':
      return withoutRegisters(data) ? { masquerade: natFlags(data) } : undefined
    case 'redir':
      return withoutRegisters(data) ? { redirect: natFlags(data) } : undefined
    default:
      return undefined
  }
}

function has(data: Data, flag: string): boolean {
  return (data['flags'] as Record<string, unknown> | undefined)?.[flag] === true
}

function limitOf(data: Data): Limit | undefined {
  const per = Object.entries(UNITS).find(([, seconds]) => seconds === Number(data['unit']))?.[0]
  if (!per) return undefined
  const bytes = data['type'] === 'pktBytes'
  const burst = Number(data['burst'] ?? 0)
  return {
    limit: {
      rate: Number(data['rate']),
      per: per as Limit['limit']['per'],
      ...(bytes ? { bytes } : {}),
      ...(burst === (bytes ? 0 : PACKET_BURST) ? {} : { burst }),
      ...(has(data, 'inv') ? { over: true } : {})
    }
  }
}

/** What the kernel takes when no level is given. */
const DEFAULT_LEVEL = 'warning'

function logOf(data: Data): Log | undefined {
  const { prefix, level, group, snaplen, qthreshold, flags } = data
  if (flags) return undefined
  const name = Object.entries(LOG_LEVELS).find(([, kernel]) => kernel === level)?.[0] as Log['log']['level']
  return {
    log: {
      ...(prefix ? { prefix: String(prefix) } : {}),
      ...(level !== undefined && level !== DEFAULT_LEVEL ? { level: name } : {}),
      ...(group !== undefined ? { group: Number(group) } : {}),
      ...(snaplen ? { snaplen: Number(snaplen) } : {}),
      ...(qthreshold ? { queueThreshold: Number(qthreshold) } : {})
    }
  }
}

function rejectOf(data: Data, family: Family, known: Known): Statement | undefined {
  if (data['type'] === 'tcpRst') return { reject: { with: 'tcp reset' } }
  const six = known.network === 'ip6'
  const kind = data['type'] === 'icmpxUnreach' ? 'icmpx' : six ? 'icmpv6' : known.network === 'ip' ? 'icmp' : undefined
  const name = kind && Object.entries(REJECT_CODES[kind]).find(([, code]) => code === data['icmpCode'])?.[0]
  if (!name) return undefined
  const isDefault = kind === rejectKind(family) && name === 'port-unreachable'
  return { reject: isDefault ? {} : { with: `${kind} ${name}` as RejectWith } }
}

function withoutRegisters(data: Data): boolean {
  return data['regProtoMin'] === undefined && data['regProtoMax'] === undefined
}

function natFlags(data: Data) {
  return {
    ...(has(data, 'protoRandom') ? { random: true } : {}),
    ...(has(data, 'protoRandomFully') ? { fullyRandom: true } : {}),
    ...(has(data, 'persistent') ? { persistent: true } : {})
  }
}

function withRegisters(prepared: readonly Expression[], name: string, data: Data, known: Known): Statement | undefined {
  const [first, second, ...others] = prepared
  if (name === 'exthdr' && isMaxseg(data) && first?.name === 'rt' && second?.name === 'byteorder') {
    const isMtu = dataOf(first)['key'] === 'tcpmss' && others.length === 0
    return isMtu ? { set: 'tcp option maxseg size', to: 'rt mtu' } : undefined
  }
  if (!prepared.every(expression => expression.name === 'immediate')) return undefined
  const registers = new Map(
    prepared.map(({ data }) => [wordOf((data as Data)['dreg']), bytesIn((data as Data)['data'])])
  )
  if (name === 'masq' || name === 'redir' || name === 'nat') return natOf(name, data, registers)
  const bytes = registers.size === 1 && wordOf(data['sreg']) === 0 ? registers.get(0) : undefined
  if (!bytes) return undefined
  if (name === 'exthdr' && isMaxseg(data)) return numberOf('tcp option maxseg size', bytes, 2)
  if ((name === 'meta' || name === 'ct') && data['key'] === 'mark') return numberOf(`${name} mark`, bytes, 4)
  const { base, offset, len } = data
  const isChecksum = name === 'payload' && base === 'transport' && offset === 6 && len === 2
  return isChecksum && known.transport === 'udp' ? numberOf('udp checksum', bytes, 2) : undefined
}

function isMaxseg({ op, type, offset, len }: Data): boolean {
  return op === 'tcpopt' && type === 2 && offset === 2 && len === 2
}

function numberOf(
  set: 'meta mark' | 'ct mark' | 'udp checksum' | 'tcp option maxseg size',
  bytes: Buffer,
  size: number
) {
  const type = size === 4 ? types.mark : types.integer16
  return bytes.length === size ? { set, to: Number(type.decode(bytes)) } : undefined
}

function natOf(name: 'masq' | 'redir' | 'nat', data: Data, registers: Map<number, Buffer | undefined>) {
  const at = (register: string) => (data[register] === undefined ? undefined : registers.get(wordOf(data[register])))
  // The kernel says the upper bound, too, where there is none: the lower is meant.
  const used = new Set(['regAddrMin', 'regAddrMax', 'regProtoMin', 'regProtoMax'].map(key => data[key]).filter(Boolean))
  if (used.size !== registers.size || has(data, 'netmap') || has(data, 'protoOffset')) return undefined
  const ports = between(at('regProtoMin'), at('regProtoMax'), bytes => types.service.decode(bytes))
  const address = data['family'] === 'ip6' ? types.ipv6 : types.ipv4
  const to = between(at('regAddrMin'), at('regAddrMax'), bytes => address.decode(bytes))
  const nat: AddressNat = {
    ...(to === undefined ? {} : { to: String(to) }),
    ...(ports === undefined ? {} : { toPorts: ports }),
    ...natFlags(data)
  }
  if (name === 'masq') return { masquerade: nat }
  if (name === 'redir') return { redirect: nat }
  return data['type'] === 'dnat' ? { dnat: nat } : { snat: nat }
}

function between(
  from: Buffer | undefined,
  to: Buffer | undefined,
  decode: (bytes: Buffer) => string | number
): string | number | undefined {
  if (!from) return undefined
  return to && !to.equals(from) ? `${decode(from)}-${decode(to)}` : decode(from)
}
