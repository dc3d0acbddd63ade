// The report for people: a plain table or a Markdown one per workload.
import { readFileSync } from 'node:fs'
import { cpus, release } from 'node:os'
import { metricsOf } from './runner.mjs'

const HEAD = ['subject', 'median', 'IQR', 'unit', 'of the limit']

const digits = number => (number >= 100 ? 0 : number >= 10 ? 1 : 2)

export const figure = number =>
  number.toLocaleString('en', { minimumFractionDigits: digits(number), maximumFractionDigits: digits(number) })

// Small ratios keep two digits: 0.0075x, not 0.01x.
export const multiple = ratio => `${ratio < 0.1 ? Number(ratio.toPrecision(2)) : ratio.toFixed(2)}x`

function cells(row, columns) {
  const reason = row.skipped !== undefined ? `skipped: ${row.skipped}` : row.error && `error: ${row.error}`
  if (reason) return [row.subject, reason]
  const ratio = row.ratioToLimit === null ? '-' : multiple(row.ratioToLimit)
  const further = columns.map(({ cell }) => cell(row))
  return [row.subject, figure(row.median), figure(row.spread), row.unit, ratio, ...further]
}

const isText = column => column === 0 || column === 3

function plain(lines) {
  const [head] = lines
  const whole = lines.filter(line => line.length === head.length)
  const widths = head.map((_, column) => Math.max(...whole.map(line => line[column].length)))
  widths[0] = Math.max(...lines.map(line => line[0].length))
  const pad = (text, column) => (isText(column) ? text.padEnd(widths[column]) : text.padStart(widths[column]))
  const print = line => (line.length === head.length ? line.map(pad) : [pad(line[0], 0), line[1]]).join('  ').trimEnd()
  return lines.map(print)
}

function markdown([head, ...body]) {
  const rule = head.map((_, column) => (isText(column) ? '---' : '---:'))
  const escaped = text => text.replaceAll('|', '\\|')
  const full = line => [...line, ...Array(head.length - line.length).fill('')]
  return [head, rule, ...body].map(line => `| ${full(line).map(escaped).join(' | ')} |`)
}

// Whom linkwright is least ahead of.
function bestPeer(suite, rows) {
  const peers = new Set(suite.subjects.filter(subject => subject.isPeer).map(({ name }) => name))
  const measured = rows.filter(row => peers.has(row.subject) && row.oursToThis !== null)
  if (!measured.length) return []
  const best = measured.reduce((a, b) => (b.oursToThis < a.oursToThis ? b : a))
  return ['', `linkwright is ${multiple(best.oursToThis)} as fast as the best peer, ${best.subject}`]
}

function machine() {
  const model = readFileSync('/proc/cpuinfo', 'utf8').match(/^model name\s*:\s*(.+)$/m)?.[1] ?? 'unknown CPU'
  return `Linux ${release()}, Node ${process.version}, ${cpus().length} x ${model}`
}

export function report(suite, rows, { rounds, quick, asMarkdown }) {
  const lines = [`${suite.name}: ${rounds} alternating rounds${quick ? ' (quick)' : ''}; ${machine()}`]
  const format = asMarkdown ? markdown : plain
  const { columns } = suite
  const head = [...HEAD, ...columns.map(column => column.head)]
  for (const metric of suite.workloads.flatMap(metricsOf)) {
    const own = rows.filter(row => row.workload === metric.name)
    if (!own.length) continue
    const title = `${metric.name} (${metric.better} is better)`
    lines.push('', asMarkdown ? `### ${title}\n` : title, ...format([head, ...own.map(row => cells(row, columns))]))
    lines.push(...bestPeer(suite, own))
  }
  return lines.join('\n')
}
