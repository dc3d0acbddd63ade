/** Bytes that are read, and may be written, as text in hexadecimal too: what nf_tables compares and loads. */
import { type Codec, refuse } from '../codec/codec.js'

export const blob: Codec<Uint8Array | string, Uint8Array> = {
  expects: 'bytes (Uint8Array, or text in hexadecimal)',
  write(writer, value) {
    if (typeof value === 'string' && /^([0-9a-f]{2})*$/i.test(value)) writer.raw(Buffer.from(value, 'hex'))
    else if (value instanceof Uint8Array) writer.raw(value)
    else refuse(this, value)
  },
  read: (data, offset, length) => new Uint8Array(data.buffer, data.byteOffset + offset, length)
}
