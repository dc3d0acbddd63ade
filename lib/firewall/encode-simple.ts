/** Statements that are expressions of their own: what is done with a packet, and how often. */
import { invalidArgument } from '../errors.js'
import { types } from './data-types.js'
import type { Family } from './dependencies.js'
import { type Expression, isVerdict, registerOf, value, verdictData } from './expressions.js'
import { bounds, operandOf } from './operands.js'
import type { AddressNat, Limit, Log, PortsNat, RejectWith, Statement } from './statements.js'

/** Seconds. */
export const UNITS = { second: 1, minute: 60, hour: 3600, day: 86_400, week: 604_800 } as const
export const PACKET_BURST = 5
/** The levels of the kernel's log by nft's names. */
export const LOG_LEVELS = {
  emerg: 'emerg',
  alert: 'alert',
  crit: 'crit',
  err: 'err',
  warn: 'warning',
  notice: 'notice',
  info: 'info',
  debug: 'debug',
  audit: 'audit'
} as const

/** Names of codes, as nft has them for each type of refusal. */
export const REJECT_CODES = {
  icmp: {
    'net-unreachable': 0,
    'host-unreachable': 1,
    'prot-unreachable': 2,
    'port-unreachable': 3,
    'net-prohibited': 9,
    'host-prohibited': 10,
    'admin-prohibited': 13
  },
  icmpv6: {
    'no-route': 0,
    'admin-prohibited': 1,
    'addr-unreachable': 3,
    'port-unreachable': 4,
    'policy-fail': 5,
    'reject-route': 6
  },
  icmpx: { 'no-route': 0, 'port-unreachable': 1, 'host-unreachable': 2, 'admin-prohibited': 3 }
} as const

/** What tells a refusal in tables of a family by default. */
export function rejectKind(family: Family): keyof typeof REJECT_CODES {
  return family === 'ip' ? 'icmp' : family === 'ip6' ? 'icmpv6' : 'icmpx'
}

export function simpleExpressions(statement: Statement, family: Family, path: string): Expression[] {
  if ('verdict' in statement) {
    if (!isVerdict(statement.verdict)) throw invalidArgument(`${path}.verdict`, 'a verdict', statement.verdict)
    return [{ name: 'immediate', data: { dreg: 0, data: verdictData(statement.verdict) } }]
  }
  if ('counter' in statement) {
    const { packets = 0, bytes = 0 } = statement.counter
    return [{ name: 'counter', data: { packets, bytes } }]
  }
  if ('quota' in statement) {
    const { bytes, over } = statement.quota
    return [{ name: 'quota', data: { bytes, flags: { inv: over ?? false } } }]
  }
  if ('limit' in statement) return [limitExpression(statement, path)]
  if ('log' in statement) return [logExpression(statement, path)]
  if ('reject' in statement) return [rejectExpression(statement.reject.with, family, path)]
  if ('masquerade' in statement) return portsExpressions('masq', statement.masquerade, `${path}.masquerade`)
  if ('redirect' in statement) return portsExpressions('redir', statement.redirect, `${path}.redirect`)
  if ('snat' in statement) return natExpressions('snat', statement.snat, family, `${path}.snat`)
  if ('dnat' in statement) return natExpressions('dnat', statement.dnat, family, `${path}.dnat`)
  if ('set' in statement) return setExpressions(statement, path)
  if ('raw' in statement) return [statement.raw]
  throw invalidArgument(path, 'a statement', Object.keys(statement).join(', '))
}

function limitExpression({ limit }: Limit, path: string): Expression {
  const { rate, per, bytes = false, burst = bytes ? 0 : PACKET_BURST, over = false } = limit
  if (!Number.isSafeInteger(rate) || rate < 1) throw invalidArgument(`${path}.limit.rate`, 'an integer from 1', rate)
  if (!Object.hasOwn(UNITS, per)) throw invalidArgument(`${path}.limit.per`, Object.keys(UNITS).join(' | '), per)
  const type = bytes ? 'pktBytes' : 'pkts'
  return { name: 'limit', data: { rate, unit: UNITS[per], burst, type, flags: { inv: over } } }
}

function logExpression({ log }: Log, path: string): Expression {
  const { prefix, level, group, snaplen, queueThreshold } = log
  if (level !== undefined && !Object.hasOwn(LOG_LEVELS, level)) {
    throw invalidArgument(`${path}.log.level`, Object.keys(LOG_LEVELS).join(' | '), level)
  }
  if (group !== undefined && level !== undefined)
    throw invalidArgument(`${path}.log.level`, 'no level with a group', level)
  const data = {
    prefix,
    level: level && LOG_LEVELS[level],
    group,
    // The kernel takes them only with a group.
    snaplen,
    qthreshold: queueThreshold
  }
  return { name: 'log', data: Object.fromEntries(Object.entries(data).filter(([, given]) => given !== undefined)) }
}

function rejectExpression(given: RejectWith | undefined, family: Family, path: string): Expression {
  const [kind, code] = (given ?? `${rejectKind(family)} port-unreachable`).split(' ') as [string, string]
  if (kind === 'tcp' && code === 'reset') return { name: 'reject', data: { type: 'tcpRst', icmpCode: 0 } }
  const codes: Record<string, number> | undefined = REJECT_CODES[kind as keyof typeof REJECT_CODES]
  const number = codes?.[code]
  if (number === undefined) throw invalidArgument(`${path}.reject.with`, 'one of the refusals of nft', given)
  return { name: 'reject', data: { type: kind === 'icmpx' ? 'icmpxUnreach' : 'icmpUnreach', icmpCode: number } }
}

function immediate(word: number, bytes: Buffer): Expression {
  return { name: 'immediate', data: { dreg: registerOf(word), data: value(bytes) } }
}

/** First and last port, each with the register that it goes to. */
function portRegisters(given: number | string | undefined, word: number, path: string) {
  if (given === undefined) return { loads: [], registers: {} }
  const operand = operandOf(types.service, given, `${path}.toPorts`)
  const [from, to] = bounds(operand)
  const single = operand.kind === 'exact'
  return {
    loads: [immediate(word, from), ...(single ? [] : [immediate(word + 4, to)])],
    registers: { regProtoMin: registerOf(word), ...(single ? {} : { regProtoMax: registerOf(word + 4) }) }
  }
}

function flagsOf(nat: PortsNat, ports: boolean): Record<string, unknown> {
  const { random = false, fullyRandom = false, persistent = false } = nat
  const flags = { protoSpecified: ports, protoRandom: random, persistent, protoRandomFully: fullyRandom }
  return Object.values(flags).some(Boolean) ? { flags } : {}
}

function portsExpressions(name: 'masq' | 'redir', nat: PortsNat, path: string): Expression[] {
  const { loads, registers } = portRegisters(nat.toPorts, 0, path)
  return [...loads, { name, data: { ...registers, ...flagsOf(nat, loads.length > 0) } }]
}

function natExpressions(type: 'snat' | 'dnat', nat: AddressNat, family: Family, path: string): Expression[] {
  const { to, toPorts } = nat
  if (to === undefined && toPorts === undefined) throw invalidArgument(`${path}.to`, 'an address', to)
  const six = to === undefined ? family === 'ip6' : to.includes(':')
  const natFamily = six ? 'ip6' : 'ip'
  if (family !== 'inet' && family !== natFamily) throw invalidArgument(`${path}.to`, `an address of ${family}`, to)
  const loads: Expression[] = []
  const registers: Record<string, number> = {}
  if (to !== undefined) {
    const operand = operandOf(six ? types.ipv6 : types.ipv4, to, `${path}.to`)
    if (operand.kind === 'prefix') throw invalidArgument(`${path}.to`, 'an address or a range', to)
    const [first, last] = bounds(operand)
    loads.push(immediate(0, first))
    registers['regAddrMin'] = registerOf(0)
    if (operand.kind === 'range') {
      loads.push(immediate(4, last))
      registers['regAddrMax'] = registerOf(4)
    }
  }
  const ports = portRegisters(toPorts, 4 * loads.length, path)
  const data = { type, family: natFamily, ...registers, ...ports.registers, ...flagsOf(nat, ports.loads.length > 0) }
  return [...loads, ...ports.loads, { name: 'nat', data }]
}

function setExpressions({ set, to }: Extract<Statement, { set: unknown }>, path: string): Expression[] {
  if (set === 'tcp option maxseg size') {
    const write = { sreg: 1, type: 2, offset: 2, len: 2, op: 'tcpopt' }
    if (to !== 'rt mtu') return [immediate(0, number(types.integer16, to, path)), { name: 'exthdr', data: write }]
    return [
      { name: 'rt', data: { dreg: 1, key: 'tcpmss' } },
      { name: 'byteorder', data: { sreg: 1, dreg: 1, op: 'hton', len: 2, size: 2 } },
      { name: 'exthdr', data: write }
    ]
  }
  if (set === 'meta mark' || set === 'ct mark') {
    const data = { key: 'mark', sreg: 1 }
    return [immediate(0, number(types.mark, to, path)), { name: set === 'ct mark' ? 'ct' : 'meta', data }]
  }
  if (set !== 'udp checksum') throw invalidArgument(`${path}.set`, 'something that can be set', set)
  const data = { base: 'transport', offset: 6, len: 2, sreg: 1, csumType: 'inet', csumOffset: 6, csumFlags: {} }
  return [immediate(0, number(types.integer16, to, path)), { name: 'payload', data }]
}

function number(type: typeof types.mark, given: unknown, path: string): Buffer {
  const bytes = typeof given === 'number' ? type.encode(given) : undefined
  if (!bytes) throw invalidArgument(`${path}.to`, type.expects, given)
  return bytes
}
