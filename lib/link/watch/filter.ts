/** Classic BPF (linux/filter.h) that lets announcements through by what their headers say, before they wake anybody. */
import { hostLittleEndian } from '../../codec/endian.js'

/** An announcement gets through if one of these holds for it. */
export interface Rule {
  /** RTM_* */
  types: readonly number[]
  /** AF_*: only this one. */
  family?: number | undefined
  /** AF_*: any but this one. */
  notFamily?: number | undefined
  /** Only these ifindexes, where the message has one in the fixed header: links, addresses, neighbours. */
  index?: readonly number[] | undefined
}

const LOAD_BYTE = 0x30
const LOAD_HALF = 0x28
const LOAD_WORD = 0x20
const JUMP = 0x05
const JUMP_IF_EQUAL = 0x15
const RETURN = 0x06

/** Places in an announcement: nlmsg_type; family and ifindex of ifinfomsg, ifaddrmsg and ndmsg alike. */
const [TYPE, FAMILY, INDEX] = [4, 16, 20]
const ALL = 0xffffffff

/**
 * Ifindexes are for the listener to sort out where they would make a program longer than this. The kernel keeps twice that
 * in instructions of its own, in memory of which a socket had 20 KiB before Linux 6.7 (net.core.optmem_max).
 */
const LONGEST = 1100

type Instruction = [code: number, jumpIfTrue: number, jumpIfFalse: number, k: number]

/** Stands for a jump to the end of the rule. */
const SKIP: Instruction = [JUMP, 0, 0, 0]

/** A program of `struct sock_filter`. */
export function announcementFilter(rules: readonly Rule[]): Uint8Array {
  const whole = programOf(rules)
  const program = whole.length <= LONGEST ? whole : programOf(rules.map(rule => ({ ...rule, index: undefined })))
  const bytes = new DataView(new ArrayBuffer(program.length * 8))
  for (const [at, [code, jumpIfTrue, jumpIfFalse, k]] of program.entries()) {
    bytes.setUint16(at * 8, code, hostLittleEndian)
    bytes.setUint8(at * 8 + 2, jumpIfTrue)
    bytes.setUint8(at * 8 + 3, jumpIfFalse)
    bytes.setUint32(at * 8 + 4, k, hostLittleEndian)
  }
  return new Uint8Array(bytes.buffer)
}

function programOf(rules: readonly Rule[]): Instruction[] {
  return [...rules.flatMap(ruleOf), [RETURN, 0, 0, 0]]
}

/** Returns where it holds, falls through to what follows where not. */
function ruleOf({ types, family, notFamily, index }: Rule): Instruction[] {
  const body: Instruction[] = [[LOAD_HALF, 0, 0, TYPE]]
  // Whichever of the types it is: past the others, and past the jump that follows them.
  for (const [at, type] of types.entries()) {
    body.push([JUMP_IF_EQUAL, types.length - at, 0, inNetworkOrder(type, 2)])
  }
  body.push(SKIP)
  if (family !== undefined) body.push([LOAD_BYTE, 0, 0, FAMILY], [JUMP_IF_EQUAL, 1, 0, family], SKIP)
  if (notFamily !== undefined) body.push([LOAD_BYTE, 0, 0, FAMILY], [JUMP_IF_EQUAL, 0, 1, notFamily], SKIP)
  if (index) {
    body.push([LOAD_WORD, 0, 0, INDEX])
    for (const one of index) body.push([JUMP_IF_EQUAL, 0, 1, inNetworkOrder(one, 4)], [RETURN, 0, 0, ALL])
  } else body.push([RETURN, 0, 0, ALL])
  // The short jumps reach no further than the long ones, which lead past the rule.
  return body.map((each, at) => (each === SKIP ? [JUMP, 0, 0, body.length - at - 1] : each))
}

/** BPF loads as if all were in network order; netlink is in the machine's. */
function inNetworkOrder(value: number, size: 2 | 4): number {
  const bytes = new DataView(new ArrayBuffer(size))
  if (size === 2) bytes.setUint16(0, value, hostLittleEndian)
  else bytes.setUint32(0, value, hostLittleEndian)
  return size === 2 ? bytes.getUint16(0) : bytes.getUint32(0)
}
