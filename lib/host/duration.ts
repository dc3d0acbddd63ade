/** Times as people write them. */
import { invalidArgument } from '../errors.js'

const UNITS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, min: 60_000, h: 3_600_000 }

/** Milliseconds, or `500ms`, `30s`, `2m`, `1h`. */
export type Duration = number | `${number}${'ms' | 's' | 'm' | 'min' | 'h'}`

/** In milliseconds; refused are zero, what is no duration, and more than a day. */
export function milliseconds(value: Duration, path: string): number {
  const [, digits, unit = 'ms'] = /^(\d+(?:\.\d+)?)(ms|s|m|min|h)?$/.exec(String(value)) ?? []
  const result = digits === undefined ? Number.NaN : Number(digits) * (UNITS[unit] ?? Number.NaN)
  if (!(result >= 1 && result <= 86_400_000))
    throw invalidArgument(path, "milliseconds, or '500ms', '30s', '2m'", value)
  return result
}
