// The `links` suite by iproute2: one `ip -batch` per run; its start is part of the time, that is how it works.
import { rowsOfIpJson } from '../links/digest.mjs'
import { GET_LINKS, measure } from '../links/measure.mjs'
import { ipBatch } from './ip-process.mjs'

const lines = (count, line) => Array.from({ length: count }, (_, i) => line(i))

await measure({
  'create-delete': (_, count, kind) => ipBatch(lines(count, () => `link add one type ${kind}\nlink del one`)),

  async get(_, count) {
    const output = await ipBatch(lines(count, i => `link show dev get${i % GET_LINKS}`))
    return Array.from(output.matchAll(/^(\d+): /gm), match => Number(match[1]))
  },

  'create-batch': (_, count, kind) => ipBatch(lines(count, i => `link add batch${i} type ${kind}`)),

  async dump(_, count) {
    let rows = []
    for (let i = 0; i < count; i++) rows = rowsOfIpJson(JSON.parse(await ipBatch(['link show'], '-json')))
    return rows
  }
})
