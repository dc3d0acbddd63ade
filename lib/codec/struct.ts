/** C structs: fields at fixed places. */
import { type AnyCodec, type Codec, type InOf, type OutOf, prefixPath, refuse, within } from './codec.js'
import { zeroExtended } from './short.js'
import type { Writer } from './writer.js'

type Fields = Record<string, AnyCodec & { readonly size: number }>
export type StructIn<F extends Fields> = {
  [K in keyof F as K extends `_${string}` ? never : K]?: InOf<F[K]> | undefined
}
export type StructOut<F extends Fields> = { [K in keyof F as K extends `_${string}` ? never : K]: OutOf<F[K]> }

export interface StructCodec<F extends Fields> extends Codec<StructIn<F>, StructOut<F>> {
  readonly size: number
  readonly fields: F
  /** Where each field begins. */
  readonly offsets: { readonly [K in keyof F]: number }
  /** Writes the fields that `value` has, whatever else it has. */
  writeFields(writer: Writer, value: object): void
  /** Reads one field. */
  field<K extends keyof F>(data: DataView, offset: number, name: K): OutOf<F[K]>
}

/** `size` bytes of padding; name the field with a leading underscore. */
export function padding(size: number): Codec<never, undefined> & { size: number } {
  return {
    expects: 'nothing',
    size,
    write(writer) {
      writer.reserve(size)
    },
    read: () => undefined
  }
}

/**
 * A struct with the natural alignment written out: fields follow each other without gaps, `_pad` fields fill them.
 * Fields that are not given are zero. A kernel that knows fewer fields sends a shorter struct: the missing ones read 0.
 */
export function struct<F extends Fields>(name: string, fields: F): StructCodec<F> {
  const offsets: Record<string, number> = {}
  let size = 0
  for (const [field, codec] of Object.entries(fields)) {
    offsets[field] = size
    size += codec.size
  }
  const entries = Object.entries(fields)
  const visible = entries.filter(([field]) => !field.startsWith('_'))
  return {
    expects: `an object with ${visible.map(([field]) => field).join(', ')} (struct ${name})`,
    size,
    fields,
    offsets: offsets as { [K in keyof F]: number },
    write(writer, value) {
      if (typeof value !== 'object' || value === null) refuse(this, value)
      for (const key of Object.keys(value)) {
        if (!Object.hasOwn(fields, key) || key.startsWith('_')) within(key, () => refuse(this, key))
      }
      this.writeFields(writer, value)
    },
    writeFields(writer, value) {
      for (const [field, codec] of entries) {
        const given = (value as Record<string, unknown>)[field]
        try {
          if (given === undefined) writer.reserve(codec.size)
          else codec.write(writer, given)
        } catch (error) {
          throw prefixPath(error, field)
        }
      }
    },
    read(data, offset, length) {
      const full = length >= size ? data : zeroExtended(data, offset, length, size)
      const base = length >= size ? offset : 0
      const object: Record<string, unknown> = {}
      for (const [field, codec] of visible) {
        object[field] = codec.read(full, base + (offsets[field] as number), codec.size)
      }
      return object as StructOut<F>
    },
    field(data, offset, key) {
      const codec = fields[key] as AnyCodec & { size: number }
      return codec.read(data, offset + (offsets[key as string] as number), codec.size)
    }
  }
}

/** An array of structs or scalars of one size, back to back. */
export function arrayOf<In, Out>(element: Codec<In, Out> & { readonly size: number }): Codec<In[], Out[]> {
  return {
    expects: `an array of: ${element.expects}`,
    write(writer, values) {
      if (!Array.isArray(values)) refuse(this, values)
      for (const [index, value] of values.entries()) within(index, () => element.write(writer, value))
    },
    read(data, offset, length) {
      const values: Out[] = []
      for (let at = 0; at + element.size <= length; at += element.size) {
        values.push(element.read(data, offset + at, element.size))
      }
      return values
    }
  }
}
