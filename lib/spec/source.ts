/** A text of YAML, and where in it a path of the value is. JSON is YAML, too. */
import { type Document, isAlias, isMap, isScalar, isSeq, Lexer, LineCounter, type Pair, parseDocument } from 'yaml'

/** From 1. */
export interface Place {
  readonly line: number
  readonly column: number
}

/** Aliases may be resolved as often: a few lines could stand for gigabytes. */
const ALIASES = 100

/** The parser calls itself for what is inside of something: further in, there is no stack left. */
const DEEPEST = 200

export class Source {
  /** What it says; of no meaning if there are errors. */
  readonly value: unknown
  /** Of the text as YAML. */
  readonly errors: readonly (Place & { readonly path: string; readonly message: string })[]
  readonly #document: Document.Parsed
  readonly #lines = new LineCounter()

  constructor(given: string) {
    const isDeep = depthOf(given) > DEEPEST
    const text = isDeep ? '' : given
    this.#document = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false })
    const { errors } = this.#document
    this.errors = errors.map(({ pos, message }) => ({ ...this.#place(pos[0]), path: '', message }))
    if (isDeep)
      this.errors = [{ line: 1, column: 1, path: '', message: `more than ${DEEPEST} levels within each other` }]
    if (this.errors.length > 0) return
    try {
      this.value = this.#document.toJS({ maxAliasCount: ALIASES })
    } catch (error) {
      this.errors = [{ line: 1, column: 1, path: '', message: (error as Error).message }]
    }
  }

  /**
   * Where a path begins, or what would have it.
   *
   * @param what whether its key is meant rather than its value
   */
  at(path: string, what: 'key' | 'value' = 'value'): Place {
    let node: unknown = this.#document.contents
    let offset = offsetOf(node) ?? 0
    for (let rest = path; rest !== ''; ) {
      if (isAlias(node)) node = node.resolve(this.#document)
      const step = isMap(node) ? inMap(node.items as Pair[], rest) : isSeq(node) ? inSeq(node.items, rest) : undefined
      if (!step) break
      node = step.value
      rest = step.rest
      offset = (rest === '' && what === 'key' ? step.key : offsetOf(node)) ?? step.key ?? offset
    }
    return this.#place(offset)
  }

  #place(offset: number): Place {
    const { line, col } = this.#lines.linePos(offset)
    return { line: Math.max(line, 1), column: Math.max(col, 1) }
  }
}

/** At most as many levels, by brackets, indentation and dashes: found without going in. */
function depthOf(text: string): number {
  let deepest = 0
  let brackets = 0
  let dashes = 0
  let indentation = 0
  let begins = true
  for (const token of new Lexer().lex(text)) {
    if (/^[[{]$/.test(token)) brackets++
    else if (/^[\]}]$/.test(token)) brackets--
    else if (/^[-?]$/.test(token)) dashes++
    else if (begins && /^ +$/.test(token)) indentation = token.length
    begins = token.endsWith('\n')
    if (begins) [dashes, indentation] = [0, 0]
    deepest = Math.max(deepest, brackets + dashes + indentation)
  }
  return deepest
}

interface Step {
  readonly value: unknown
  readonly key: number | undefined
  readonly rest: string
}

/** Names may have dots in them: the longest key that fits is meant. */
function inMap(items: readonly Pair[], rest: string): Step | undefined {
  const fitting = items.flatMap(({ key, value }) => {
    const name = isScalar(key) ? String(key.value) : undefined
    if (name === undefined || !rest.startsWith(name)) return []
    const after = rest.slice(name.length)
    return after === '' || after.startsWith('.') || after.startsWith('[') ? [{ name, key, value }] : []
  })
  const best = fitting.sort((a, b) => b.name.length - a.name.length)[0]
  if (!best) return undefined
  return { value: best.value, key: offsetOf(best.key), rest: rest.slice(best.name.length).replace(/^\./, '') }
}

function inSeq(items: readonly unknown[], rest: string): Step | undefined {
  const [whole, index] = /^\[(\d+)\]\.?/.exec(rest) ?? []
  if (whole === undefined || items[Number(index)] === undefined) return undefined
  return { value: items[Number(index)], key: undefined, rest: rest.slice(whole.length) }
}

/** A key without a value has none that is anywhere. */
function offsetOf(node: unknown): number | undefined {
  return (node as { range?: readonly number[] | null } | null)?.range?.[0]
}
