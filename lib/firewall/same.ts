/** Whether a rule that was read is the rule that is wanted. */
import { decodeRule } from './decode.js'
import type { Family } from './dependencies.js'
import { encodeRule } from './encode.js'
import type { Rule } from './objects.js'
import type { Statement } from './statements.js'

/**
 * Statements as they read once the kernel has had them: values in one form, without what goes without saying.
 * Throws `ERR_INVALID_ARG_VALUE` as adding such a rule would.
 */
export function canonical(family: Family, statements: readonly Statement[]): Statement[] {
  const { expressions, sets } = encodeRule(family, statements)
  // By the numbers in the lookups, for none of them has a name yet.
  const named = expressions.map(({ name, data }) => {
    const id = typeof data === 'object' && name === 'lookup' ? data['setId'] : undefined
    return {
      name,
      ...(data === undefined ? {} : { data: id === undefined ? data : { ...(data as object), set: `%${id}` } })
    }
  })
  return decodeRule(family, named, set => sets.find(({ id }) => set === `%${id}`)?.elements)
}

/** Whether a rule has these statements and this comment; what counters say does not matter. */
export function isSameRule(
  rule: Pick<Rule, 'family' | 'statements' | 'comment'>,
  wanted: { statements: readonly Statement[]; comment?: string | undefined }
): boolean {
  if (rule.comment !== wanted.comment) return false
  return text(rule.statements) === text(canonical(rule.family, wanted.statements))
}

/** Keys in one order, and no figures of counters. */
function text(statements: readonly Statement[]): string {
  return JSON.stringify(statements, (key, value: unknown) => {
    if (key === 'counter') return {}
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
    return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
  })
}
