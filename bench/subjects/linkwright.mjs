// linkwright itself in the `links` suite. [API] marks what has to follow the library's public face.
import { GET_LINKS, measure } from '../links/measure.mjs'

await measure({
  async open() {
    const { Netlink } = await import('../../dist/index.js') // [API]
    return Netlink.open() // [API]
  },

  close: net => net[Symbol.asyncDispose](), // [API]

  async 'create-delete'(net, count, kind) {
    for (let i = 0; i < count; i++) {
      await net.links.create({ kind, name: 'one' }) // [API]
      await net.links.delete('one') // [API]
    }
  },

  async get(net, count) {
    const indexes = []
    for (let i = 0; i < count; i++) {
      const link = await net.links.get(`get${i % GET_LINKS}`) // [API]
      indexes.push(link.index)
    }
    return indexes
  },

  async 'create-batch'(net, count, kind) {
    await net.links.createMany(Array.from({ length: count }, (_, i) => ({ kind, name: `batch${i}` }))) // [API]
  },

  async dump(net, count) {
    let rows = []
    for (let i = 0; i < count; i++) {
      rows = []
      for (const link of await net.links.list()) {
        // [API] master: an index or undefined; address: text or bytes; operstate: a name or a number
        const { name, index, operstate: state, master, address: mac } = link
        rows.push({ name, index, state, master, mac })
      }
    }
    return rows
  }
})
