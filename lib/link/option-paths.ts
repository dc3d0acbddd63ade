/** What the kernel refuses is an attribute; what the caller gave is an option. */
import type { Schema } from '../codec/message.js'

/**
 * A schema whose refusals name options of a verb. `options` has the option for each attribute that goes by another name,
 * those inside of others first; '' where what is inside stands beside the other options.
 */
export function withOptions(schema: Schema, options: Readonly<Record<string, string>>): Schema {
  const renamed = Object.entries(options)
  return {
    ...schema,
    optionOf(path) {
      const [attribute, option] = renamed.find(([attribute]) => isInside(path, attribute)) ?? ['', '']
      const rest = path.slice(attribute.length)
      return option === '' && rest.startsWith('.') ? rest.slice(1) : option + rest || path
    }
  }
}

function isInside(path: string, attribute: string): boolean {
  return path.startsWith(attribute) && ['', '.', '['].includes(path.charAt(attribute.length))
}
