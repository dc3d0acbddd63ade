// The `links` suite by iproute2: one `ip -batch` per run; its start is part of the time, that is how it works.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { rowsOfIpJson } from '../links/digest.mjs'
import { GET_LINKS, measure } from '../links/measure.mjs'

const exec = promisify(execFile)

async function ip(commands, ...options) {
  const running = exec('ip', [...options, '-batch', '-'], { maxBuffer: Number.POSITIVE_INFINITY })
  running.child.stdin.end(commands.join('\n'))
  return (await running).stdout
}

const lines = (count, line) => Array.from({ length: count }, (_, i) => line(i))

await measure({
  'create-delete': (_, count, kind) => ip(lines(count, () => `link add one type ${kind}\nlink del one`)),

  async get(_, count) {
    const output = await ip(lines(count, i => `link show dev get${i % GET_LINKS}`))
    return Array.from(output.matchAll(/^(\d+): /gm), match => Number(match[1]))
  },

  'create-batch': (_, count, kind) => ip(lines(count, i => `link add batch${i} type ${kind}`)),

  async dump(_, count) {
    let rows = []
    for (let i = 0; i < count; i++) rows = rowsOfIpJson(JSON.parse(await ip(['link show'], '-json')))
    return rows
  }
})
