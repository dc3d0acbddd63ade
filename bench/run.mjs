// node bench/run.mjs <suite> [--json FILE] [--markdown] [--quick] [--rounds N] [--only a,b] [--subjects a,b]
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { drawPlots } from './plots.mjs'
import { killAll } from './process.mjs'
import { endProgress, progress } from './progress.mjs'
import { runSuite } from './runner.mjs'
import { report } from './table.mjs'

const USAGE = `usage: node bench/run.mjs <suite> [options]
  suites: links, frames
  --json FILE       write the rows as JSON
  --markdown        print Markdown tables
  --quick           smaller workloads
  --plots DIR       draw the rows as SVG files
  --rounds N        alternating rounds (5; fewer are for trying things out, not for quoting)
  --only a,b        these workloads, by name or without the size
  --subjects a,b    these subjects, by name or short name; the limit always takes part`

const ROUNDS = 5
const ABANDON_MS = 120_000

const suites = { links: () => import('./links/index.mjs'), frames: () => import('./frames/index.mjs') }

function fail(message) {
  console.error(message)
  process.exit(2)
}

function parse() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        json: { type: 'string' },
        markdown: { type: 'boolean', default: false },
        quick: { type: 'boolean', default: false },
        plots: { type: 'string' },
        rounds: { type: 'string' },
        only: { type: 'string' },
        subjects: { type: 'string' },
        help: { type: 'boolean', short: 'h', default: false }
      }
    })
  } catch (error) {
    return fail(`${error.message}\n${USAGE}`)
  }
}

// The members of a list that were asked for by name, id or group; an unknown one ends the program.
function choose(list, text, what) {
  if (text === undefined) return list
  const wanted = text.split(',').map(name => name.trim())
  const namesOf = ({ id, name, group }) => [id, name, group].filter(Boolean)
  const unknown = wanted.filter(name => !list.some(member => namesOf(member).includes(name)))
  if (unknown.length) {
    fail(`no such ${what}: ${unknown.join(', ')}; there are ${list.map(({ id, name }) => id ?? name).join(', ')}`)
  }
  return list.filter(member => member.isLimit || namesOf(member).some(name => wanted.includes(name)))
}

const { values: options, positionals } = parse()
if (options.help) {
  console.log(USAGE)
  process.exit(0)
}
const [name, ...rest] = positionals
if (!Object.hasOwn(suites, name ?? '') || rest.length) fail(USAGE)
if (process.getuid() !== 0) fail('the benchmarks need root, for network namespaces of their own')

const { suite } = await suites[name]()
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143]
]) {
  process.once(signal, async () => {
    progress('clearing up (once more to leave it)')
    await Promise.race([suite.abandon?.(), setTimeout(ABANDON_MS)])
    killAll()
    process.exit(code)
  })
}

const rounds = Number(options.rounds ?? ((options.quick && suite.quickRounds) || ROUNDS))
if (!Number.isInteger(rounds) || rounds < 1) fail('--rounds takes a whole number from 1')
const workloads = choose(suite.workloads, options.only, 'workload')
const subjects = choose(suite.subjects, options.subjects, 'subject')

try {
  const rows = await runSuite(suite, { workloads, subjects, rounds, quick: options.quick, progress })
  endProgress()
  console.log(report(suite, rows, { rounds, quick: options.quick, asMarkdown: options.markdown }))
  if (options.json) {
    const file = resolve(options.json)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, `${JSON.stringify(rows, null, 2)}\n`)
  }
  if (options.plots) drawPlots(suite, rows, { directory: resolve(options.plots) })
  // A peer may fail and the report says so; the limit and linkwright have to work.
  const vital = subjects.filter(subject => subject.isLimit || subject.isOurs).map(subject => subject.name)
  if (rows.some(row => row.error !== undefined && vital.includes(row.subject))) process.exitCode = 1
} catch (error) {
  endProgress()
  killAll()
  fail(error.message)
}
