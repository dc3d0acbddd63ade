// What the plots are written with: elements, text, a page that is readable on a light and on a dark one.
const STYLE = `
  text { font: 12px system-ui, sans-serif; fill: #24292f }
  .title { font-size: 15px; font-weight: 600 } .panel { font-weight: 600 } .note { fill: #656d76; font-size: 11px }
  .other { fill: #b6bec8 } .ours { fill: #1f6feb } .limit { fill: #57606a }
  .spread { stroke: #d1242f; stroke-width: 1.5 } .line { stroke: #57606a; stroke-dasharray: 3 3 }
  .grid { stroke: #d0d7de; stroke-width: 0.5 }
  .curve { fill: none; stroke-width: 1.5 } .curve.ours { stroke-width: 2.5 }
  .curve.other { stroke: #b6bec8 } .curve.ours { stroke: #1f6feb } .curve.limit { stroke: #57606a }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .note { fill: #8d96a0 } .other { fill: #484f58 } .ours { fill: #388bfd }
    .limit { fill: #8d96a0 } .line { stroke: #8d96a0 } .grid { stroke: #30363d }
    .curve { fill: none } .curve.other { stroke: #484f58 } .curve.ours { stroke: #388bfd } .curve.limit { stroke: #8d96a0 }
  }`

const escapeXml = text => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')

export const element = (name, attributes, content = '') => {
  const list = Object.entries(attributes).map(([key, value]) => ` ${key}="${escapeXml(`${value}`)}"`)
  return `<${name}${list.join('')}>${content}</${name}>`
}

export const text = (x, y, content, kind, anchor = 'start') =>
  element('text', { x, y, class: kind, 'text-anchor': anchor }, escapeXml(content))

export const round = number => Number(number.toFixed(1))

/** A whole file: the title at the top, the note at the bottom, both at `left`. */
export function page({ width, height, left, title, note }, drawn) {
  const size = {
    xmlns: 'http://www.w3.org/2000/svg',
    width,
    height,
    viewBox: `0 0 ${width} ${height}`,
    role: 'img'
  }
  const content = [
    element('title', {}, escapeXml(title)),
    element('style', {}, STYLE),
    text(left, 26, title, 'title'),
    ...drawn,
    text(left, height - 8, note, 'note')
  ]
  return `${element('svg', size, content.join('\n'))}\n`
}
