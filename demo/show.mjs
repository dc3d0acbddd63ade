/** What exists, for people: a tree of the links, and a table of the descriptors. */
import Table from 'cli-table3'

const colours = process.stdout.isTTY
const paint = code => text => (colours ? `\u001b[${code}m${text}\u001b[0m` : String(text))
export const bold = paint(1)
const dim = paint(2)
const green = paint(32)
const red = paint(31)
const yellow = paint(33)

export const heading = text => console.log(`\n${bold(text)}`)
export const passed = text => console.log(`  ${green('✓')} ${text}`)
export const failed = text => console.log(`  ${red('✗')} ${text}`)
export const leftOut = text => console.log(`  ${yellow('–')} ${wrap(text, 96, '    ')}`)

/** Breaks a text at spaces, into lines of at most `width`. */
export function wrap(text, width, indent = '') {
  const lines = ['']
  for (const word of text.split(' ')) {
    if (`${indent}${lines.at(-1)} ${word}`.length > width) lines.push(word)
    else lines[lines.length - 1] += `${lines.at(-1) ? ' ' : ''}${word}`
  }
  return lines.join(`\n${indent}`)
}

/** @param {string[]} head @param {(string | number)[][]} rows */
export function showTable(head, rows) {
  const table = new Table({ head: head.map(bold), style: { head: [], border: [] } })
  table.push(...rows)
  console.log(table.toString())
}

function describe(link) {
  const said = [link.kind]
  if (link.is('macvtap')) said[0] += ` ${link.data.mode}`
  if (link.is('tun')) {
    said[0] = link.data.type
    if (link.data.multiQueue) said.push(`${link.data.numQueues} queues`)
    if (link.data.vnetHeader) said.push('virtio-net header')
  }
  if (link.mtu !== 1500) said.push(`MTU ${link.mtu}`)
  said.push(link.operstate === 'up' || (link.up && link.operstate === 'unknown') ? 'up' : link.operstate)
  return said.join(', ')
}

/** Ports below their bridge, macvtap links below their lower device. */
export async function showTree(here, outside) {
  const links = (await here.links.list()).filter(link => !link.flags.loopback)
  const peers = await outside.links.list()
  const parentOf = link => link.master || (link.is('macvtap') ? link.link : 0)
  const print = (parent, indent) => {
    const children = links.filter(link => (parentOf(link) || 0) === parent)
    for (const [at, link] of children.entries()) {
      const last = at === children.length - 1
      const peer = link.is('veth') && peers.find(({ index }) => index === link.link)
      const cable = peer ? dim(` ══ ${peer.name} (outside)`) : ''
      console.log(`  ${indent}${last ? '└─' : '├─'} ${bold(link.name)}  ${describe(link)}${cable}`)
      print(link.index, `${indent}${last ? '   ' : '│  '}`)
    }
  }
  console.log('  this namespace')
  print(0, '')
}
