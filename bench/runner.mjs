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
  for (let round = 0; round < rounds; round++) {
    const arena = await suite.open(workload, { quick })
    const checks = new Map()
    try {
      for (const [subject, { command }] of rotated(entrants, round)) {
        const result = results.get(subject)
        if (result.error) continue
        progress(`${workload.name}: round ${round + 1} of ${rounds}, ${subject.name}`)
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

// The other figures of the samples (eventLoopDelayP99Ms, ...), each as its median.
function extras(samples, isFigure) {
  const names = Object.keys(samples[0]).filter(name => !isFigure(name) && typeof samples[0][name] === 'number')
  return Object.fromEntries(names.map(name => [name, tidy(median(samples.map(sample => sample[name])))]))
}

/**
 * What a workload reports, a row a subject for each: most have one figure, the `value` of the sample. Metrics of one
 * `figure` are drawn together, each in a `panel`.
 */
export function metricsOf({ name, unit, better, figure = name, title = name, panel, metrics }) {
  return metrics ?? [{ name, key: 'value', unit, better, figure, title, panel }]
}

// To the limit of the same round, for a machine's speed drifts from one to the next; turned so that more is better.
function ratios({ better }, values, limits) {
  return values.flatMap((value, round) => {
    const limit = limits[round]
    const ratio = better === 'higher' ? value / limit : limit / value
    return Number.isFinite(ratio) ? [ratio] : []
  })
}

function row(metric, subject, result, limits, isFigure) {
  const identity = { workload: metric.name, subject: subject.name, unit: metric.unit }
  const nothing = { median: null, spread: null, rounds: 0, ratioToLimit: null }
  if (result.skipped !== undefined) return { ...identity, ...nothing, skipped: result.skipped }
  if (result.error !== undefined) return { ...identity, ...nothing, error: result.error }
  const values = result.samples.map(sample => sample[metric.key])
  const middle = median(values)
  const toLimit = ratios(metric, values, limits)
  return {
    ...identity,
    median: tidy(middle),
    spread: tidy(interquartileRange(values)),
    rounds: values.length,
    ratioToLimit: toLimit.length ? tidy(median(toLimit)) : null,
    better: metric.better,
    min: tidy(Math.min(...values)),
    max: tidy(Math.max(...values)),
    ...extras(result.samples, isFigure)
  }
}

// The rows of all metrics of one workload.
function rowsOf(workload, subjects, resultOf) {
  const metrics = metricsOf(workload)
  const isFigure = name => metrics.some(metric => metric.key === name)
  const limitResult = resultOf(subjects.find(subject => subject.isLimit))
  const limitSamples = limitResult?.error === undefined ? (limitResult?.samples ?? []) : []
  return metrics.flatMap(metric => {
    const limits = limitSamples.map(sample => sample[metric.key])
    return subjects.map(subject => row(metric, subject, resultOf(subject), limits, isFigure))
  })
}

/** Measures the chosen workloads and subjects of a suite; returns the rows of the report. */
export async function runSuite(suite, { workloads, subjects, rounds, quick, progress }) {
  progress('preparing the subjects')
  const prepared = await prepareAll(subjects.filter(subject => workloads.some(each => takesPart(suite, subject, each))))
  const rows = []
  for (const workload of workloads) {
    const present = subjects.filter(subject => takesPart(suite, subject, workload))
    const entrants = present.map(subject => [subject, prepared.get(subject)]).filter(([, { command }]) => command)
    const results = await measureWorkload({ suite, workload, entrants, rounds, quick, progress })
    rows.push(...rowsOf(workload, present, subject => results.get(subject) ?? prepared.get(subject)))
  }
  return rows
}

const takesPart = (suite, subject, workload) => suite.takesPart?.(subject, workload) ?? true
