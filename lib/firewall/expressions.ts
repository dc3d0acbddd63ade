/** Expressions as plain objects: attributes by name, bytes in hexadecimal. One without a layout has its bytes as `data`. */

export interface Expression {
  name: string
  data?: Readonly<Record<string, unknown>> | string
}

/** The attributes of an expression; none for one without a layout. */
export function dataOf(expression: Expression): Readonly<Record<string, unknown>> {
  return typeof expression.data === 'object' ? expression.data : {}
}

export const value = (bytes: Buffer) => ({ value: bytes.toString('hex') })

/** The bytes of NFTA_DATA_VALUE. */
export function bytesIn(data: unknown): Buffer | undefined {
  const hex = (data as { value?: unknown } | undefined)?.value
  return typeof hex === 'string' ? Buffer.from(hex, 'hex') : undefined
}

/** Verdicts as they are written in rules and maps. */
export type Verdict = 'accept' | 'drop' | 'continue' | 'return' | { jump: string } | { goto: string }

export function verdictData(verdict: Verdict): Record<string, unknown> {
  if (typeof verdict === 'string') return { verdict: { code: verdict } }
  return 'jump' in verdict
    ? { verdict: { code: 'jump', chain: verdict.jump } }
    : { verdict: { code: 'goto', chain: verdict.goto } }
}

const PLAIN: ReadonlySet<unknown> = new Set(['accept', 'drop', 'continue', 'return'])

/** The verdict in NFTA_DATA_VERDICT; `undefined` for one that has no name here. */
export function verdictIn(data: unknown): Verdict | undefined {
  const { code, chain } = (data as { verdict?: { code?: unknown; chain?: unknown } } | undefined)?.verdict ?? {}
  if (PLAIN.has(code)) return code as Verdict
  if (typeof chain !== 'string') return undefined
  if (code === 'jump') return { jump: chain }
  return code === 'goto' ? { goto: chain } : undefined
}

export function isVerdict(value: unknown): value is Verdict {
  if (PLAIN.has(value)) return true
  if (typeof value !== 'object' || value === null || Object.keys(value).length !== 1) return false
  const { jump, goto } = value as { jump?: unknown; goto?: unknown }
  return typeof (jump ?? goto) === 'string'
}

/** `jump guests` */
export function verdictText(verdict: Verdict): string {
  if (typeof verdict === 'string') return verdict
  return 'jump' in verdict ? `jump ${verdict.jump}` : `goto ${verdict.goto}`
}

/** The number of the register for a word (4 bytes), by the names that every kernel understands. */
export function registerOf(word: number): number {
  return word % 4 === 0 ? 1 + word / 4 : 8 + word
}

/** The word that a register begins with; -1 for that of verdicts. */
export function wordOf(register: unknown): number {
  const number = Number(register)
  if (number >= 8) return number - 8
  return number === 0 ? -1 : 4 * (number - 1)
}
