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

/** More ifindexes than this are for the listener to sort out. */
const INDEXES = 500

type Instruction = [code: number, jumpIfTrue: number, jumpIfFalse: number, k: number]

/** A program of `struct sock_filter`. */
export function announcementFilter(rules: readonly Rule[]): Uint8Array {
  const program: Instruction[] = []
  for (const rule of rules) for (const type of rule.types) program.push(...ruleOf(type, rule))
  program.push([RETURN, 0, 0, 0])
  const bytes = new DataView(new ArrayBuffer(program.length * 8))
  for (const [at, [code, jumpIfTrue, jumpIfFalse, k]] of program.entries()) {
    bytes.setUint16(at * 8, code, hostLittleEndian)
    bytes.setUint8(at * 8 + 2, jumpIfTrue)
    bytes.setUint8(at * 8 + 3, jumpIfFalse)
    bytes.setUint32(at * 8 + 4, k, hostLittleEndian)
  }
  return new Uint8Array(bytes.buffer)
}

/** Returns where it holds, falls through to what follows where not. */
function ruleOf(type: number, { family, notFamily, index }: Rule): Instruction[] {
  const conditions: Instruction[] = []
  if (family !== undefined) conditions.push([LOAD_BYTE, 0, 0, FAMILY], [JUMP_IF_EQUAL, 1, 0, family])
  if (notFamily !== undefined) conditions.push([LOAD_BYTE, 0, 0, FAMILY], [JUMP_IF_EQUAL, 0, 1, notFamily])
  const accept: Instruction[] = []
  if (index && index.length <= INDEXES) {
    accept.push([LOAD_WORD, 0, 0, INDEX])
    for (const one of index) accept.push([JUMP_IF_EQUAL, 0, 1, inNetworkOrder(one, 4)], [RETURN, 0, 0, ALL])
  } else accept.push([RETURN, 0, 0, ALL])
  // The short jumps skip the long one that follows them, which leads past the rule.
  const body: Instruction[] = [[LOAD_HALF, 0, 0, TYPE], [JUMP_IF_EQUAL, 1, 0, inNetworkOrder(type, 2)], ...conditions]
  const jumps = body.filter(([code]) => code === JUMP_IF_EQUAL).length
  const length = body.length + jumps + accept.length
  const program: Instruction[] = []
  for (const instruction of body) {
    program.push(instruction)
    if (instruction[0] === JUMP_IF_EQUAL) program.push([JUMP, 0, 0, length - program.length - 1])
  }
  return [...program, ...accept]
}

/** BPF loads as if all were in network order; netlink is in the machine's. */
function inNetworkOrder(value: number, size: 2 | 4): number {
  const bytes = new DataView(new ArrayBuffer(size))
  if (size === 2) bytes.setUint16(0, value, hostLittleEndian)
  else bytes.setUint32(0, value, hostLittleEndian)
  return size === 2 ? bytes.getUint16(0) : bytes.getUint32(0)
}
