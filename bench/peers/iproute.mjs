// The `links` suite by the npm package `iproute`, which starts `ip` through a shell for each call.
import iproute from 'iproute'
import { rowsOfIpJson } from '../links/digest.mjs'
import { GET_LINKS, measure } from '../links/measure.mjs'

const { batch, link } = iproute

await measure({
  async 'create-delete'(_, count, kind) {
    for (let i = 0; i < count; i++) {
      await link.add({ name: 'one', type: { [kind]: true } })
      await link.del({ dev: 'one' })
    }
  },

  async get(_, count) {
    const indexes = []
    for (let i = 0; i < count; i++) {
      const [found] = await link.show({ dev: `get${i % GET_LINKS}` })
      indexes.push(found.ifindex)
    }
    return indexes
  },

  // The package's own batch, a here-document for `ip -batch -`.
  async 'create-batch'(_, count, kind) {
    const stdin = Array.from({ length: count }, (_, i) => `link add batch${i} type ${kind}`).join('\n')
    await batch.fromStdin({ stdin })
  },

  async dump(_, count) {
    let rows = []
    for (let i = 0; i < count; i++) rows = rowsOfIpJson(await link.show())
    return rows
  }
})
