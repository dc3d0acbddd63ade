/** Options objects that come from people. */
import { invalidArgument } from './errors.js'

/** Refuses what is no object, and properties that do not exist: a misspelt option must not be ignored. */
export function checkKeys(options: unknown, allowed: ReadonlySet<string>): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw invalidArgument('options', 'an object', options)
  }
  for (const key of Object.keys(options)) {
    if (!allowed.has(key)) throw invalidArgument(key, `one of the options ${[...allowed].join(', ')}`, key)
  }
}
