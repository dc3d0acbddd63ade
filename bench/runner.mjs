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
function extras(samples) {
  const names = Object.keys(samples[0]).filter(name => name !== 'value' && typeof samples[0][name] === 'number')
  return Object.fromEntries(names.map(name => [name, tidy(median(samples.map(sample => sample[name])))]))
}

function row(workload, subject, result, limit) {
  const identity = { workload: workload.name, subject: subject.name, unit: workload.unit }
  const nothing = { median: null, spread: null, rounds: 0, ratioToLimit: null }
  if (result.skipped !== undefined) return { ...identity, ...nothing, skipped: result.skipped }
  if (result.error !== undefined) return { ...identity, ...nothing, error: result.error }
  const values = result.samples.map(sample => sample.value)
  const middle = median(values)
  const ratio = workload.better === 'higher' ? middle / limit : limit / middle
  return {
    ...identity,
    median: tidy(middle),
    spread: tidy(interquartileRange(values)),
    rounds: values.length,
    ratioToLimit: Number.isFinite(ratio) ? tidy(ratio) : null,
    better: workload.better,
    min: tidy(Math.min(...values)),
    max: tidy(Math.max(...values)),
    ...extras(result.samples)
  }
}

/** Measures the chosen workloads and subjects of a suite; returns the rows of the report. */
export async function runSuite(suite, { workloads, subjects, rounds, quick, progress }) {
  progress('preparing the subjects')
  const prepared = await prepareAll(subjects)
  const entrants = [...prepared].filter(([, { command }]) => command)
  const rows = []
  for (const workload of workloads) {
    const results = await measureWorkload({ suite, workload, entrants, rounds, quick, progress })
    const limitResult = results.get(subjects.find(subject => subject.isLimit))
    const limit = limitResult?.error ? Number.NaN : median(limitResult.samples.map(sample => sample.value))
    for (const subject of subjects) {
      rows.push(row(workload, subject, results.get(subject) ?? prepared.get(subject), limit))
    }
  }
  return rows
}
