// Bar charts as SVG, drawn from the rows: a file for each figure of a suite, with a panel for each frame size.
// Drawn here and not by a library: vega with vega-lite brings 79 packages, echarts 67 MB, for bars and lines.
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus, release } from 'node:os'
import { join } from 'node:path'
import { metricsOf } from './runner.mjs'
import { figure, multiple } from './table.mjs'

const WIDTH = 890
const LABELS = 190
const FIGURES = 200
const BARS = WIDTH - LABELS - FIGURES
const ROW = 24
const BAR = 14
const PANEL_HEAD = 30
const TOP = 46
const BOTTOM = 26
const MANIFOLD = 30 // times that differ so much: a linear scale would show one bar only

// Readable on a light page and on a dark one, also as an <img>.
const STYLE = `
  text { font: 12px system-ui, sans-serif; fill: #24292f }
  .title { font-size: 15px; font-weight: 600 } .panel { font-weight: 600 } .note { fill: #656d76; font-size: 11px }
  .other { fill: #b6bec8 } .ours { fill: #1f6feb } .limit { fill: #57606a }
  .spread { stroke: #d1242f; stroke-width: 1.5 } .line { stroke: #57606a; stroke-dasharray: 3 3 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .note { fill: #8d96a0 } .other { fill: #484f58 } .ours { fill: #388bfd }
    .limit { fill: #8d96a0 } .line { stroke: #8d96a0 }
  }`

const escapeXml = text => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')

const element = (name, attributes, content = '') => {
  const list = Object.entries(attributes).map(([key, value]) => ` ${key}="${escapeXml(`${value}`)}"`)
  return `<${name}${list.join('')}>${content}</${name}>`
}

const text = (x, y, content, kind, anchor = 'start') =>
  element('text', { x, y, class: kind, 'text-anchor': anchor }, escapeXml(content))

const round = number => Number(number.toFixed(1))

/** Where a value is, from 0 to the width of the bars. */
function scaleOf(rows, better) {
  const values = rows.map(row => row.median).filter(value => value > 0)
  const [least, most] = [Math.min(...values), Math.max(...values)]
  const isLogarithmic = better === 'lower' && most / least > MANIFOLD
  const at = isLogarithmic
    ? value => Math.log(Math.max(value, least / 2) / (least / 2)) / Math.log(most / (least / 2))
    : value => value / most
  return { isLogarithmic, at: value => round(Math.min(1, Math.max(0, at(value))) * BARS) }
}

function bar(row, y, scale, kind) {
  const middle = y + ROW / 2
  const label = text(LABELS - 8, middle + 4, row.subject, kind === 'other' ? '' : 'panel', 'end')
  if (row.median === null) {
    return label + text(LABELS, middle + 4, row.error ? `error: ${row.error}` : `skipped: ${row.skipped}`, 'note')
  }
  const length = scale.at(row.median)
  const [from, to] = [-0.5, 0.5].map(half => LABELS + scale.at(row.median + half * row.spread))
  const ratio = row.ratioToLimit === null ? '' : ` (${multiple(row.ratioToLimit)})`
  return [
    label,
    element('rect', { x: LABELS, y: middle - BAR / 2, width: length, height: BAR, class: kind }),
    element('line', { x1: from, x2: to, y1: middle, y2: middle, class: 'spread' }),
    text(LABELS + BARS + 10, middle + 4, `${figure(row.median)} ${row.unit}${ratio}`)
  ].join('')
}

// One metric: a bar for each subject, and a line down from the limit.
function panel({ metric, rows }, top, kindOf) {
  const scale = scaleOf(rows, metric.better)
  const better = `${metric.better} is better${scale.isLogarithmic ? ', logarithmic' : ''}`
  const limit = rows.find(row => kindOf(row) === 'limit' && row.median !== null)
  const first = top + PANEL_HEAD
  const x = limit && LABELS + scale.at(limit.median)
  return [
    text(LABELS, top + 20, metric.panel ?? metric.name, 'panel'),
    text(LABELS + BARS, top + 20, better, 'note', 'end'),
    limit ? element('line', { x1: x, x2: x, y1: first, y2: first + rows.length * ROW, class: 'line' }) : '',
    ...rows.map((row, i) => bar(row, first + i * ROW, scale, kindOf(row)))
  ].join('\n')
}

function chart(title, panels, kindOf, note) {
  let top = TOP
  const drawn = panels.map(each => {
    const svg = panel(each, top, kindOf)
    top += PANEL_HEAD + each.rows.length * ROW
    return svg
  })
  const height = top + BOTTOM
  const size = {
    xmlns: 'http://www.w3.org/2000/svg',
    width: WIDTH,
    height,
    viewBox: `0 0 ${WIDTH} ${height}`,
    role: 'img'
  }
  const content = [
    element('title', {}, escapeXml(title)),
    element('style', {}, STYLE),
    text(LABELS, 26, title, 'title'),
    ...drawn,
    text(LABELS, height - 8, note, 'note')
  ]
  return `${element('svg', size, content.join('\n'))}\n`
}

/** Writes `<suite>-<figure>.svg` for each figure that has rows; returns the files' names. */
export function drawPlots(suite, rows, { directory, rounds }) {
  mkdirSync(directory, { recursive: true })
  const of = what => new Set(suite.subjects.filter(subject => subject[what]).map(subject => subject.name))
  const [limits, ours] = [of('isLimit'), of('isOurs')]
  const kindOf = ({ subject }) => (limits.has(subject) ? 'limit' : ours.has(subject) ? 'ours' : 'other')
  const figures = new Map()
  for (const metric of suite.workloads.flatMap(metricsOf)) {
    const own = rows.filter(row => row.workload === metric.name)
    if (!own.length) continue
    const panels = figures.get(metric.figure) ?? []
    figures.set(metric.figure, [...panels, { metric, rows: own }])
  }
  const [kernel, node] = [release(), process.versions.node].map(version => version.match(/^\d+\.\d+/)[0])
  const machine = `Linux ${kernel}, Node ${node}, ${cpus().length} processors`
  const note = `${machine}; medians of ${rounds} rounds, red: interquartile range`
  return [...figures].map(([name, panels]) => {
    const file = join(directory, `${suite.name}-${name}.svg`)
    writeFileSync(file, chart(panels[0].metric.title, panels, kindOf, note))
    return file
  })
}
