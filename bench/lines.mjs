// Line charts as SVG: how the time of one link grows with their number, both on logarithmic axes, a line for each subject.
import { element, page, round, text } from './svg.mjs'
import { figure } from './table.mjs'

const WIDTH = 890
const LEFT = 70
const RIGHT = 260 // the names, at the ends of the lines
const TOP = 50
const PLOT_HEIGHT = 340
const BOTTOM = 70
const NAME_HEIGHT = 15
const MICROSECONDS = 1e6

const logScale = (values, from, to) => {
  const [low, high] = [Math.log(Math.min(...values)), Math.log(Math.max(...values))]
  return value => round(from + ((Math.log(value) - low) / (high - low || 1)) * (to - from))
}

// 1, 2, 5, 10, 20, ... around the values, so that the axis begins and ends with a number.
function ticksAround(values) {
  const steps = Array.from({ length: 30 }, (_, i) => [1, 2, 5][i % 3] * 10 ** Math.floor(i / 3))
  const first = steps.findLastIndex(step => step <= Math.min(...values))
  const last = steps.findIndex(step => step >= Math.max(...values))
  return steps.slice(Math.max(0, first), last < 0 ? steps.length : last + 1)
}

// Names at the ends of lines that lie close together are moved apart.
function spread(ends) {
  let lowest = Number.NEGATIVE_INFINITY
  return ends
    .toSorted((a, b) => a.y - b.y)
    .map(end => {
      lowest = Math.max(end.y, lowest + NAME_HEIGHT)
      return { ...end, y: round(lowest) }
    })
}

/** lines: { subject, kind, points: [{ count, rate }] } each, the rate in links per second */
export function lineChart(title, lines, note) {
  const points = lines.flatMap(line => line.points)
  const costs = ticksAround(points.map(({ rate }) => MICROSECONDS / rate))
  const counts = [...new Set(points.map(({ count }) => count))].toSorted((a, b) => a - b)
  const right = WIDTH - RIGHT
  const bottom = TOP + PLOT_HEIGHT
  const x = logScale(counts, LEFT, right)
  const y = logScale(costs, bottom, TOP)
  const grid = [
    ...costs.flatMap(cost => [
      element('line', { x1: LEFT, x2: right, y1: y(cost), y2: y(cost), class: 'grid' }),
      text(LEFT - 8, y(cost) + 4, `${cost.toLocaleString('en')} us`, '', 'end')
    ]),
    ...counts.flatMap(count => [
      element('line', { x1: x(count), x2: x(count), y1: TOP, y2: bottom, class: 'grid' }),
      text(x(count), bottom + 18, count.toLocaleString('en'), '', 'middle')
    ])
  ]
  const curves = lines.map(({ kind, points: own }) => {
    const places = own.map(({ count, rate }) => `${x(count)},${y(MICROSECONDS / rate)}`)
    return element('polyline', { points: places.join(' '), class: `curve ${kind}` })
  })
  const ends = lines.map(({ subject, kind, points: own }) => {
    const { count, rate } = own.at(-1)
    return { subject, kind, count, rate, y: y(MICROSECONDS / rate) }
  })
  const names = spread(ends).map(end => {
    const total = figure(end.count / end.rate)
    return text(right + 10, end.y + 4, `${end.subject}: ${total} s`, end.kind === 'other' ? '' : 'panel')
  })
  const caption = text(LEFT, bottom + 38, 'number of links; at the ends the time of all of the largest number', 'note')
  return page({ width: WIDTH, height: bottom + BOTTOM, left: LEFT, title, note }, [
    ...grid,
    // Ours and the limit on top of the others.
    ...curves.toSorted((a, b) => Number(a.includes('other')) - Number(b.includes('other'))).reverse(),
    ...names,
    caption
  ])
}
