/** Expressions, NFTA_EXPR_*: what rules are made of. One that has no layout here stays readable as bytes. */
import { type AttributesCodec, attributes, choice, listOf } from '../codec/attributes.js'
import type { AnyCodec } from '../codec/codec.js'
import { string } from '../codec/strings.js'
import { blob } from './blob.js'
import { bitwise, byteorder, cmp, lookup, range } from './expressions/comparisons.js'
import { ct, exthdr, fib, meta, payload, rt } from './expressions/loads.js'
import { masq, nat, redir } from './expressions/nat.js'
import { counterData, last, limit, log, quota } from './expressions/stateful.js'
import { immediate, objref, queue, reject } from './expressions/verdicts.js'

/** Layouts of NFTA_EXPR_DATA by name. */
export const expressionLayouts = {
  bitwise,
  byteorder,
  cmp,
  counter: counterData,
  ct,
  exthdr,
  fib,
  immediate,
  last,
  limit,
  log,
  lookup,
  masq,
  meta,
  nat,
  objref,
  payload,
  queue,
  quota,
  range,
  redir,
  reject,
  rt
} as const

export type ExpressionName = keyof typeof expressionLayouts

// biome-ignore lint/suspicious/noExplicitAny: of whatever table
const layouts = new Map<string, AttributesCodec<any>>(Object.entries(expressionLayouts))

/** Of one without a layout: attributes as they came. */
const unknown: AnyCodec = { ...blob, nestedFlag: true }
const body = choice('name', name => layouts.get(name) ?? unknown)

export const expression = attributes({ name: [1, string({ max: 127 })], data: [2, body] }, { nestedFlag: true })

/** A row of them: NFTA_LIST_ELEM in NFTA_RULE_EXPRESSIONS. */
export const expressions = listOf([1, expression], { nestedFlag: true })
