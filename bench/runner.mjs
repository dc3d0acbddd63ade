// Alternating rounds: each subject once per round, in an order that rotates, all in the namespace of that round.
import { interquartileRange, median } from './statistics.mjs'

// A subject that cannot be prepared takes no part, and its rows say why.
async function prepareAll(subjects) {
  const prepared = new Map()
  for (const subject of subjects) {
    try {
      prepared.set(subject, { command: await subject.prepare() })
    } catch (error) {
      if (subject.isLimit) throw new Error(`${subject.name} cannot be built: ${error.message}`)
      prepared.set(subject, { skipped: error.message })
    }
  }
  return prepared
}

const rotated = (list, by) => [...list.slice(by % list.length), ...list.slice(0, by % list.length)]

/** All rounds of one workload: subject -> { samples } or { error }. */
async function measureWorkload({ suite, workload, entrants, rounds, quick, progress }) {
  const results = new Map(entrants.map(([subject]) => [subject, { samples: [] }]))
  const most = Math.min(rounds, workload.rounds ?? rounds)
  for (let round = 0; round < most; round++) {
    const arena = await suite.open(workload, { quick })
    const checks = new Map()
    try {
      for (const [subject, { command }] of rotated(entrants, round)) {
        const result = results.get(subject)
        if (result.error || round >= (suite.roundsOf?.(subject, workload) ?? most)) continue
        progress(`${workload.name}: round ${round + 1} of ${most}, ${subject.name}`)
        try {
          const sample = await arena.measure(subject, command)
          checks.set(subject, sample.check)
          result.samples.push(sample)
        } catch (error) {
          result.error = error.message
        }
      }
    } finally {
      await arena.close()
    }
    compareChecks(checks, results)
  }
  return results
}

// A subject that read or made something else than the limit did has not done the work.
function compareChecks(checks, results) {
  const [limit, expected] = [...checks].find(([subject]) => subject.isLimit) ?? []
  for (const [subject, check] of checks) {
    const result = results.get(subject)
    if (limit && check !== expected) result.error ??= `check ${check} instead of ${expected}`
  }
}

const tidy = number => Number(number.toPrecision(6))

// The other figures of the samples (eventLoopDelayP99Ms, ...), each as its median; `details` has those of one metric.
function extras(samples, isFigure, key) {
  const all = samples.map(({ details, ...sample }) => ({ ...sample, ...details?.[key] }))
  const names = Object.keys(all[0]).filter(name => !isFigure(name) && typeof all[0][name] === 'number')
  return Object.fromEntries(names.map(name => [name, tidy(median(all.map(sample => sample[name])))]))
}

/**
 * What a workload reports, a row a subject for each: most have one figure, the `value` of the sample. Metrics of one
 * `figure` are drawn together, each in a `panel`.
 */
export function metricsOf({ name, unit, better, figure = name, title = name, panel, metrics }) {
  return metrics ?? [{ name, key: 'value', unit, better, figure, title, panel }]
}

// To the others of the same rounds, for a machine's speed drifts from one to the next; turned so that more is better.
function ratio({ better }, values, others) {
  const ratios = values.flatMap((value, round) => {
    const each = better === 'higher' ? value / others[round] : others[round] / value
    return Number.isFinite(each) ? [each] : []
  })
  return ratios.length ? tidy(median(ratios)) : null
}

function row(metric, subject, result, { limits, ours }, isFigure) {
  const identity = { workload: metric.name, subject: subject.name, unit: metric.unit }
  const nothing = { median: null, spread: null, rounds: 0, ratioToLimit: null, oursToThis: null }
  if (result.skipped !== undefined) return { ...identity, ...nothing, skipped: result.skipped }
  if (result.error !== undefined) return { ...identity, ...nothing, error: result.error }
  const values = result.samples.map(sample => sample[metric.key])
  const middle = median(values)
  return {
    ...identity,
    median: tidy(middle),
    spread: tidy(interquartileRange(values)),
    rounds: values.length,
    ratioToLimit: ratio(metric, values, limits),
    oursToThis: subject.isOurs ? null : ratio(metric, ours, values),
    better: metric.better,
    min: tidy(Math.min(...values)),
    max: tidy(Math.max(...values)),
    ...extras(result.samples, isFigure, metric.key)
  }
}

// The rows of all metrics of one workload. A subject has none of a metric that it does not report.
function rowsOf(workload, subjects, resultOf) {
  const metrics = metricsOf(workload)
  const isFigure = name => metrics.some(metric => metric.key === name)
  const samplesOf = is => {
    const result = resultOf(subjects.find(subject => subject[is]))
    return result?.error === undefined ? (result?.samples ?? []) : []
  }
  const [limit, ours] = [samplesOf('isLimit'), samplesOf('isOurs')]
  return metrics.flatMap(metric => {
    const valuesOf = samples => samples.map(sample => sample[metric.key])
    const reports = ({ samples, error }) => error !== undefined || !samples?.length || metric.key in samples[0]
    return subjects
      .filter(subject => reports(resultOf(subject)))
      .map(subject =>
        row(metric, subject, resultOf(subject), { limits: valuesOf(limit), ours: valuesOf(ours) }, isFigure)
      )
  })
}

/** Measures the chosen workloads and subjects of a suite; returns the rows of the report. */
export async function runSuite(suite, { workloads, subjects, rounds, quick, progress }) {
  progress('preparing the subjects')
  const prepared = await prepareAll(subjects.filter(subject => workloads.some(each => takesPart(suite, subject, each))))
  const rows = []
  for (const workload of workloads) {
    const present = subjects.filter(subject => takesPart(suite, subject, workload))
    const standing = new Map(present.map(subject => [subject, standingOf(suite, subject, workload, prepared)]))
    const entrants = [...standing].filter(([, { command }]) => command)
    const results = await measureWorkload({ suite, workload, entrants, rounds, quick, progress })
    rows.push(...rowsOf(workload, present, subject => results.get(subject) ?? standing.get(subject)))
  }
  return rows
}

// A command to run, or why there is none.
function standingOf(suite, subject, workload, prepared) {
  const reason = suite.cannot?.(subject, workload)
  return reason === undefined ? prepared.get(subject) : { skipped: reason }
}

const takesPart = (suite, subject, workload) => suite.takesPart?.(subject, workload) ?? true
