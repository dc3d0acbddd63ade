/** Text and raw bytes. */
import { type Codec, refuse } from './codec.js'

const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

/**
 * Text, with or without the closing NUL that most of rtnetlink sends along.
 *
 * @param options.max longest text in bytes, the NUL not counted
 * @param options.without bytes that may not be in it
 * @param options.expects what it has to look like, with `pattern` and `without`
 */
export function string(
  options: { nul?: boolean; max?: number; pattern?: RegExp; without?: ReadonlySet<number>; expects?: string } = {}
): Codec<string> {
  const { nul = true, max = 0xfff0, pattern, without, expects = `text of at most ${max} bytes` } = options
  return {
    expects,
    write(writer, value) {
      if (typeof value !== 'string' || (pattern && !pattern.test(value))) refuse(this, value)
      const start = writer.length
      writer.text(value)
      if (writer.length - start > max) refuse(this, value)
      for (let at = start; at < writer.length; at++) {
        const byte = writer.byteAt(at)
        if (byte === 0 || without?.has(byte)) refuse(this, value)
      }
      if (nul) writer.u8(0)
    },
    read(data, offset, length) {
      let end = offset
      while (end < offset + length && data.getUint8(end) !== 0) end++
      return (
        latin(data, offset, end) ?? decoder.decode(new Uint8Array(data.buffer, data.byteOffset + offset, end - offset))
      )
    }
  }
}

/** Short ASCII text without a trip through TextDecoder, which costs more than the names it decodes. */
function latin(data: DataView, start: number, end: number): string | undefined {
  if (end - start > 16) return undefined
  let text = ''
  for (let at = start; at < end; at++) {
    const byte = data.getUint8(at)
    if (byte > 0x7f) return undefined
    text += String.fromCharCode(byte)
  }
  return text
}

/** "/", ":" and what the kernel's isspace() says of a byte; 0xa0 is the second half of some letters (à). */
const notInNames: ReadonlySet<number> = new Set([9, 10, 11, 12, 13, 32, 0x2f, 0x3a, 0xa0])

/** The name of a link (IFNAMSIZ): what the kernel's dev_valid_name() takes. */
export const interfaceName = string({
  max: 15,
  pattern: /^(?!\.{1,2}$)./s,
  without: notInNames,
  expects: 'a link name of 1 to 15 bytes without white space, "/" and ":"'
})

/** An alternative name of a link (ALTIFNAMSIZ). */
export const alternativeName = string({
  max: 127,
  pattern: /^(?!\.{1,2}$)./s,
  without: notInNames,
  expects: 'an alternative link name of 1 to 127 bytes without white space, "/" and ":"'
})

/** Bytes as they are. Reading gives a view, not a copy. */
export function bytes(options: { size?: number; max?: number } = {}): Codec<Uint8Array> {
  const { size, max = 0xfff0 } = options
  return {
    expects: size === undefined ? `at most ${max} bytes (Uint8Array)` : `${size} bytes (Uint8Array)`,
    ...(size === undefined ? {} : { size }),
    write(writer, value) {
      if (!(value instanceof Uint8Array) || value.length > max || (size !== undefined && value.length !== size)) {
        refuse(this, value)
      }
      writer.raw(value)
    },
    read: (data, offset, length) => new Uint8Array(data.buffer, data.byteOffset + offset, length)
  }
}
