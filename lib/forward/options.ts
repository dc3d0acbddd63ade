/** Checks of options that all of forwarding shares. */
import { invalidArgument } from '../errors.js'
import type { Check } from '../tap/checks.js'

export function numberFrom(least: number, most: number, what: string): Check {
  return (value, path) => {
    if (typeof value !== 'number' || !(value >= least && value <= most)) {
      throw invalidArgument(path, `${what} from ${least} to ${most}`, value)
    }
  }
}

export function integerFrom(least: number, most: number, what = 'an integer'): Check {
  return (value, path) => {
    if (!Number.isInteger(value) || (value as number) < least || (value as number) > most) {
      throw invalidArgument(path, `${what} from ${least} to ${most}`, value)
    }
  }
}

export const text: Check = (value, path) => {
  if (typeof value !== 'string' || value === '') throw invalidArgument(path, 'a text', value)
}
