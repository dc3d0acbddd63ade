/** What iproute2 sends, caught by strace(1), and netlink messages taken apart without the package's own decoder. */
import { spawnSync } from 'node:child_process'

/** Why traffic cannot be caught here, or undefined. */
export function straceMissing(): string | undefined {
  for (const [command, argument] of [
    ['strace', '-V'],
    ['ip', '-V'],
    ['bridge', '-V']
  ] as const) {
    if (spawnSync(command, [argument]).error) return `${command} is not installed`
  }
  const probe = spawnSync('strace', ['-qq', '-e', 'trace=none', 'true'])
  return probe.status === 0 ? undefined : `strace does not work here: ${probe.stderr}`
}

/** struct nlmsghdr and what follows. */
export interface Captured {
  type: number
  flags: number
  payload: Buffer
}

/**
 * Runs a command and returns the netlink messages that it sent. The command may fail: what it asked for was sent.
 */
export function capture(command: string, ...args: string[]): Captured[] {
  const traced = spawnSync(
    'strace',
    ['-f', '-qq', '-s', '0', '-e', 'trace=sendmsg,sendto', '-e', 'write=all', '-e', 'signal=none', command, ...args],
    { encoding: 'utf8', timeout: 20_000 }
  )
  if (traced.error) throw traced.error
  const messages: Captured[] = []
  let datagram = ''
  const flush = () => {
    messages.push(...netlinkMessages(Buffer.from(datagram, 'hex')))
    datagram = ''
  }
  for (const line of traced.stderr.split('\n')) {
    // " | 00010  00 00 00 00 ...  00 00   ........ |": sixteen bytes in three columns each, and one more in the middle.
    const dump = /^ \| ([0-9a-f]{5,}) {2}(.{49})/.exec(line)
    if (!dump) flush()
    else datagram += (dump[2] as string).replaceAll(' ', '')
  }
  flush()
  return messages
}

/** The one message of the given type that the command sent; a lookup of a link before it does not count. */
export function captureOne(type: number, command: string, ...args: string[]): Captured {
  // iproute2 asks with an empty RTM_NEWLINK whether the kernel knows the type; it names no link.
  const found = capture(command, ...args).filter(
    message => message.type === type && message.payload.some(byte => byte !== 0)
  )
  if (found.length !== 1) throw new Error(`${command} ${args.join(' ')} sent ${found.length} messages of type ${type}`)
  return found[0] as Captured
}

export function netlinkMessages(bytes: Buffer): Captured[] {
  const messages: Captured[] = []
  for (let at = 0; at + 16 <= bytes.length; ) {
    const length = read(bytes, at, 4)
    if (length < 16) throw new Error(`a netlink message of ${length} bytes`)
    messages.push({
      type: read(bytes, at + 4, 2),
      flags: read(bytes, at + 6, 2),
      payload: bytes.subarray(at + 16, at + length)
    })
    at += (length + 3) & ~3
  }
  return messages
}

const little = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1

function read(bytes: Buffer, at: number, size: number): number {
  return little ? bytes.readUIntLE(at, size) : bytes.readUIntBE(at, size)
}

/** How the payload of an attribute is built: attributes, or a header of some bytes and attributes, or a row of such. */
export interface Nest {
  header?: number
  /** struct rtnexthop and attributes, back to back. */
  row?: boolean
  /** The list's order carries a meaning, or its elements are all of one type. */
  inside?: Record<number, Nest>
  /** Chooses by the text of a sibling attribute: IFLA_INFO_DATA by IFLA_INFO_KIND. */
  by?: { sibling: number; nests: Record<string, Nest> }
}

/** Attributes as text, one line each, sorted: comparable whatever their order was. */
export function outline(bytes: Buffer, nest: Nest): string[] {
  const lines: string[] = []
  const header = nest.header ?? 0
  if (header) lines.push(`header ${bytes.toString('hex', 0, header)}`)
  const found = attributes(bytes.subarray((header + 3) & ~3))
  const seen = new Map<number, number>()
  for (const { type, payload } of found) {
    const id = type & 0x3fff
    // Elements of a list keep their order by their number.
    const count = seen.get(id) ?? 0
    seen.set(id, count + 1)
    const name = `${id}${type & 0x8000 ? ' nested' : ''}${count ? `[${count}]` : ''}`
    const inner = innerNest(nest.inside?.[id], found)
    if (!inner) lines.push(`${name}: ${payload.toString('hex')}`)
    else if (inner.row) lines.push(...rows(payload).flatMap((row, at) => indent(`${name}#${at}`, outline(row, inner))))
    else lines.push(...indent(name, outline(payload, inner)))
  }
  return lines.sort()
}

function indent(name: string, lines: string[]): string[] {
  return lines.length === 0 ? [`${name} {}`] : lines.map(line => `${name} / ${line}`)
}

function innerNest(nest: Nest | undefined, siblings: Attribute[]): Nest | undefined {
  if (!nest?.by) return nest
  const { sibling, nests } = nest.by
  const selector = siblings.find(({ type }) => (type & 0x3fff) === sibling)?.payload.toString('latin1')
  return nests[selector?.replace(/\0.*/, '') ?? ''] ?? {}
}

interface Attribute {
  type: number
  payload: Buffer
}

function attributes(bytes: Buffer): Attribute[] {
  const found: Attribute[] = []
  for (let at = 0; at + 4 <= bytes.length; ) {
    const length = read(bytes, at, 2)
    if (length < 4 || at + length > bytes.length) throw new Error(`a malformed attribute: ${bytes.toString('hex')}`)
    found.push({ type: read(bytes, at + 2, 2), payload: bytes.subarray(at + 4, at + length) })
    at += (length + 3) & ~3
  }
  return found
}

function rows(bytes: Buffer): Buffer[] {
  const found: Buffer[] = []
  for (let at = 0; at + 2 <= bytes.length; ) {
    const length = read(bytes, at, 2)
    if (length < 8) throw new Error(`a malformed row: ${bytes.toString('hex')}`)
    found.push(bytes.subarray(at, at + length))
    at += (length + 3) & ~3
  }
  return found
}
