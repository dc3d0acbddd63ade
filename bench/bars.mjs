// Bar charts as SVG: a panel for each metric of a figure, a bar for each subject.
import { element, page, round, text } from './svg.mjs'
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

/** panels: { metric, rows } each */
export function barChart(title, panels, kindOf, note) {
  let top = TOP
  const drawn = panels.map(each => {
    const svg = panel(each, top, kindOf)
    top += PANEL_HEAD + each.rows.length * ROW
    return svg
  })
  return page({ width: WIDTH, height: top + BOTTOM, left: LABELS, title, note }, drawn)
}
