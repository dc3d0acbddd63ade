// The report for people: a plain table or a Markdown one per workload.
import { readFileSync } from 'node:fs'
import { cpus, release } from 'node:os'

const HEAD = ['subject', 'median', 'IQR', 'unit', 'of the limit', 'loop p99']

const digits = number => (number >= 100 ? 0 : number >= 10 ? 1 : 2)

const figure = number =>
  number.toLocaleString('en', { minimumFractionDigits: digits(number), maximumFractionDigits: digits(number) })

// Small ratios keep two digits: 0.0075x, not 0.01x.
const multiple = ratio => `${ratio < 0.1 ? Number(ratio.toPrecision(2)) : ratio.toFixed(2)}x`

function cells(row) {
  const reason = row.skipped !== undefined ? `skipped: ${row.skipped}` : row.error && `error: ${row.error}`
  if (reason) return [row.subject, reason]
  const ratio = row.ratioToLimit === null ? '-' : multiple(row.ratioToLimit)
  const delay = row.eventLoopDelayP99Ms === undefined ? '' : `${figure(row.eventLoopDelayP99Ms)} ms`
  return [row.subject, figure(row.median), figure(row.spread), row.unit, ratio, delay]
}

const isText = column => column === 0 || column === 3

function plain(lines) {
  const whole = lines.filter(line => line.length === HEAD.length)
  const widths = HEAD.map((_, column) => Math.max(...whole.map(line => line[column].length)))
  widths[0] = Math.max(...lines.map(line => line[0].length))
  const pad = (text, column) => (isText(column) ? text.padEnd(widths[column]) : text.padStart(widths[column]))
  const print = line => (line.length === HEAD.length ? line.map(pad) : [pad(line[0], 0), line[1]]).join('  ').trimEnd()
  return lines.map(print)
}

function markdown([head, ...body]) {
  const rule = head.map((_, column) => (isText(column) ? '---' : '---:'))
  const escaped = text => text.replaceAll('|', '\\|')
  const full = line => [...line, ...Array(HEAD.length - line.length).fill('')]
  return [head, rule, ...body].map(line => `| ${full(line).map(escaped).join(' | ')} |`)
}

function machine() {
  const model = readFileSync('/proc/cpuinfo', 'utf8').match(/^model name\s*:\s*(.+)$/m)?.[1] ?? 'unknown CPU'
  return `Linux ${release()}, Node ${process.version}, ${cpus().length} x ${model}`
}

export function report(suite, rows, { rounds, quick, asMarkdown }) {
  const lines = [`${suite.name}: ${rounds} alternating rounds${quick ? ' (quick)' : ''}; ${machine()}`]
  const format = asMarkdown ? markdown : plain
  for (const workload of suite.workloads) {
    const own = rows.filter(row => row.workload === workload.name)
    if (!own.length) continue
    const title = `${workload.name} (${workload.better} is better)`
    lines.push('', asMarkdown ? `### ${title}\n` : title, ...format([HEAD, ...own.map(cells)]))
  }
  return lines.join('\n')
}
