/** Handles of traffic control, TC_H_* of linux/pkt_sched.h, in the words of tc: `1:`, `1:10`, `root`. */
import { type Codec, refuse } from '../codec/codec.js'
import { u32 } from '../codec/integers.js'

const TEXT = /^([0-9a-f]{0,4}):([0-9a-f]{0,4})$/i

/** Handles that have names; the first of a number is what it reads as. */
const QDISC_PARENTS = { root: 0xffffffff, ingress: 0xfffffff1, clsact: 0xfffffff1 } as const
const FILTER_PARENTS = { ingress: 0xfffffff2, egress: 0xfffffff3 } as const

/** A handle: as tc writes it, or its 32 bits. */
export type TcHandle = string | number

/** `major:minor`, both hexadecimal, with nothing for a minor of 0. */
export function handleText(handle: number): string {
  const major = handle >>> 16
  const minor = handle & 0xffff
  if (major === 0 && minor !== 0) return `:${minor.toString(16)}`
  return `${major.toString(16)}:${minor === 0 ? '' : minor.toString(16)}`
}

/** The 32 bits of what {@link handleText} writes; `undefined` for anything else. */
export function parseHandle(text: string): number | undefined {
  const [match, major, minor] = TEXT.exec(text) ?? []
  if (match === undefined || match === ':') return undefined
  return (Number.parseInt(major || '0', 16) * 0x10000 + Number.parseInt(minor || '0', 16)) >>> 0
}

function handleCodec(names: Readonly<Record<string, number>>): Codec<TcHandle, string> & { size: 4 } {
  const words = Object.keys(names).map(name => `'${name}', `)
  const byValue = new Map(Object.entries(names).map(([name, value]) => [value, name]))
  for (const [name, value] of Object.entries(names).reverse()) byValue.set(value, name)
  return {
    expects: `${words.join('')}a handle such as '1:' or '1:10' (hexadecimal)`,
    size: 4,
    write(writer, value) {
      if (typeof value === 'number') return u32.write(writer, value)
      const bits =
        typeof value === 'string' ? (Object.hasOwn(names, value) ? names[value] : parseHandle(value)) : undefined
      if (bits === undefined) refuse(this, value)
      writer.u32(bits)
    },
    read(data, offset, length) {
      const bits = u32.read(data, offset, length)
      return byValue.get(bits) ?? handleText(bits)
    }
  }
}

/** Of a qdisc or class. */
export const handle = handleCodec({})
/** Where a qdisc or class is attached. `clsact` is read as `ingress`: they are one number. */
export const qdiscParent = handleCodec(QDISC_PARENTS)
/** Where a filter is attached: a qdisc or class, or one of the hooks of clsact; `ingress` also that of ingress. */
export const filterParent = handleCodec(FILTER_PARENTS)

const U32_NODE = /^([0-9a-f]{1,3}):([0-9a-f]{0,2}):([0-9a-f]{1,3})$/i

/** The handle of a filter: a number, `0x1`, or of u32 table, bucket and item, `800::800`. It reads as a number. */
export const filterHandle: Codec<TcHandle, number> & { size: 4 } = {
  expects: "a number, or a handle of u32 such as '800::800'",
  size: 4,
  write(writer, value) {
    if (typeof value === 'number') return u32.write(writer, value)
    const [match, table = '', bucket = '', item = ''] = (typeof value === 'string' && U32_NODE.exec(value)) || []
    if (match !== undefined) {
      const [high, middle, low] = [table, bucket || '0', item].map(part => Number.parseInt(part, 16)) as [
        number,
        number,
        number
      ]
      return writer.u32(high * 0x100000 + middle * 0x1000 + low)
    }
    if (typeof value !== 'string' || !/^(0x[0-9a-f]{1,8}|\d{1,10})$/i.test(value)) refuse(this, value)
    u32.write(writer, Number(value))
  },
  read: (data, offset, length) => u32.read(data, offset, length)
}

/** The handle of a filter as tc writes it. */
export function filterHandleText(kind: string | undefined, handle: number): string {
  if (kind !== 'u32') return `0x${handle.toString(16)}`
  const bucket = (handle >>> 12) & 0xff
  const item = handle & 0xfff
  const table = (handle >>> 20).toString(16)
  return bucket === 0 && item === 0 ? `${table}:` : `${table}:${bucket ? bucket.toString(16) : ''}:${item.toString(16)}`
}
