// SVG files, drawn from the rows: bars for each figure of a suite, lines for how something grows.
// Drawn here and not by a library: vega with vega-lite brings 79 packages, echarts 67 MB, for bars and lines.
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus, release } from 'node:os'
import { join } from 'node:path'
import { barChart } from './bars.mjs'
import { lineChart } from './lines.mjs'
import { metricsOf } from './runner.mjs'

// Metrics that are drawn together, by the name of the file.
function collect(metrics, nameOf) {
  const files = new Map()
  for (const each of metrics) {
    const name = nameOf(each.metric)
    if (name) files.set(name, [...(files.get(name) ?? []), each])
  }
  return files
}

// A line for each subject that was measured at two counts or more.
function linesOf(panels, kindOf) {
  const lines = new Map()
  for (const row of panels.flatMap(({ rows }) => rows)) {
    if (row.median === null) continue
    const line = lines.get(row.subject) ?? { subject: row.subject, kind: kindOf(row), points: [] }
    line.points.push({ count: row.amount, rate: row.median })
    lines.set(row.subject, line)
  }
  for (const { points } of lines.values()) points.sort((a, b) => a.count - b.count)
  return [...lines.values()].filter(({ points }) => points.length > 1)
}

/** Writes `<suite>-<figure>.svg` for each figure that has rows; returns the files' names. */
export function drawPlots(suite, rows, { directory }) {
  mkdirSync(directory, { recursive: true })
  const of = what => new Set(suite.subjects.filter(subject => subject[what]).map(subject => subject.name))
  const [limits, ours] = [of('isLimit'), of('isOurs')]
  const kindOf = ({ subject }) => (limits.has(subject) ? 'limit' : ours.has(subject) ? 'ours' : 'other')
  const measured = suite.workloads
    .flatMap(metricsOf)
    .map(metric => ({ metric, rows: rows.filter(row => row.workload === metric.name) }))
    .filter(each => each.rows.length > 0)
  const [kernel, node] = [release(), process.versions.node].map(version => version.match(/^\d+\.\d+/)[0])
  const machine = `Linux ${kernel}, Node ${node}, ${cpus().length} processors`
  const noteOn = panels => {
    const counts = panels.flatMap(panel => panel.rows.map(row => row.rounds)).filter(Boolean)
    const [least, most] = [Math.min(...counts), Math.max(...counts)]
    return `${machine}; medians of ${least === most ? most : `${least} to ${most}`} rounds`
  }
  const write = (name, svg) => {
    const file = join(directory, `${suite.name}-${name}.svg`)
    writeFileSync(file, svg)
    return file
  }
  const bars = [...collect(measured, metric => metric.figure)].map(([name, panels]) =>
    write(name, barChart(panels[0].metric.title, panels, kindOf, `${noteOn(panels)}, red: interquartile range`))
  )
  const lines = [...collect(measured, metric => metric.line?.figure)].flatMap(([name, panels]) => {
    const drawn = linesOf(panels, kindOf)
    return drawn.length ? [write(name, lineChart(panels[0].metric.line.title, drawn, noteOn(panels)))] : []
  })
  return [...bars, ...lines]
}
