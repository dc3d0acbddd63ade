/** Named values and named bits. */
import { type Codec, refuse } from './codec.js'

type Scalar = Codec<number> & { readonly size: number }

/** What a named value is written as; `open` ones also as a number. */
export type EnumIn<Names extends string, Open extends boolean> = Open extends true ? Names | number : Names

/**
 * One of several named values.
 *
 * @param options.open whether numbers without a name may be written (routing protocols, tables). Reading gives the number
 * where there is no name, always.
 */
export function enumeration<const V extends Record<string, number>, Open extends boolean = false>(
  scalar: Scalar,
  values: V,
  options: { open?: Open } = {}
): Codec<EnumIn<keyof V & string, Open>, (keyof V & string) | number> & { size: number; values: V } {
  const byValue = new Map(Object.entries(values).map(([name, value]) => [value, name as keyof V & string]))
  const names = Object.keys(values)
    .map(name => `'${name}'`)
    .join(' | ')
  return {
    expects: options.open ? `${names} or a number` : names,
    size: scalar.size,
    values,
    write(writer, value) {
      if (typeof value === 'string' && Object.hasOwn(values, value)) scalar.write(writer, values[value] as number)
      else if (options.open && typeof value === 'number') scalar.write(writer, value)
      else refuse(this, value)
    },
    read(data, offset, length) {
      const value = scalar.read(data, offset, length)
      return byValue.get(value) ?? value
    }
  }
}

/**
 * Named bits of one integer. Written from an object of booleans (a bit that is not named is 0), read into an object that
 * names each bit, with what has no name in `unknown`.
 */
export function bitset<const V extends Record<string, number>>(
  scalar: Scalar,
  bits: V
): Codec<{ [K in keyof V]?: boolean | undefined }, { [K in keyof V]: boolean } & { unknown?: number }> & {
  size: number
  bits: V
  /** The value of the bits that are true, and the mask of those that were named at all. */
  toMask(value: { [K in keyof V]?: boolean | undefined }): { value: number; mask: number }
} {
  const entries = Object.entries(bits)
  const known = entries.reduce((mask, [, bit]) => mask | bit, 0)
  const expects = `an object of booleans out of ${entries.map(([name]) => name).join(', ')}`
  return {
    expects,
    size: scalar.size,
    bits,
    toMask(object) {
      if (typeof object !== 'object' || object === null) refuse({ expects }, object)
      let value = 0
      let mask = 0
      for (const [name, on] of Object.entries(object)) {
        if (on === undefined) continue
        if (name === 'unknown' && typeof on === 'number') {
          if (!Number.isInteger(on) || on < 0 || on > 0xffffffff) refuse({ expects }, on)
          value |= on
          continue
        }
        const bit = Object.hasOwn(bits, name) ? (bits[name] as number) : refuse({ expects }, name)
        if (typeof on !== 'boolean') refuse({ expects }, on)
        mask |= bit
        if (on) value |= bit
      }
      return { value: value >>> 0, mask: mask >>> 0 }
    },
    write(writer, object) {
      scalar.write(writer, this.toMask(object).value)
    },
    read(data, offset, length) {
      const value = scalar.read(data, offset, length)
      const object: Record<string, boolean | number> = {}
      for (const [name, bit] of entries) object[name] = (value & bit) !== 0
      const rest = (value & ~known) >>> 0
      if (rest) object['unknown'] = rest
      return object as { [K in keyof V]: boolean } & { unknown?: number }
    }
  }
}

/** Named bits with a mask of those that are meant: a pair of integers. Bits that are not named stay as they are. */
export function maskedBits<const V extends Record<string, number>>(
  scalar: Scalar,
  bits: V
): Codec<{ [K in keyof V]?: boolean | undefined }, { [K in keyof V]: boolean } & { unknown?: number }> & {
  size: number
} {
  const values = bitset(scalar, bits)
  return {
    expects: values.expects,
    size: 2 * scalar.size,
    write(writer, object) {
      const { value, mask } = values.toMask(object)
      scalar.write(writer, value)
      scalar.write(writer, mask)
    },
    read: (data, offset, length) => values.read(data, offset, Math.min(length, scalar.size)),
    readSent(data, offset) {
      const on = scalar.read(data, offset, scalar.size)
      const mask = scalar.read(data, offset + scalar.size, scalar.size)
      const meant = Object.entries(bits).filter(([, bit]) => (mask & bit) !== 0)
      return Object.fromEntries(meant.map(([name, bit]) => [name, (on & bit) !== 0]))
    }
  }
}
