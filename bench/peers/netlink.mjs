// The `links` suite by the npm package `netlink` (mildsunrise/node_netlink).
import netlink from 'netlink'
import { GET_LINKS, measure } from '../links/measure.mjs'

const { createRtNetlink, FlagsNew, formatAttribute, putU32 } = netlink
const INFO_KIND = 1
const WINDOW = 100 // more requests in flight would overflow the receive buffer with ACKs
const SKIP_STATISTICS = putU32(8)

const create = (socket, name, kind) =>
  socket.newLink(
    {},
    { ifname: name, linkinfo: Buffer.concat(formatAttribute({ type: INFO_KIND, data: Buffer.from(kind) })) },
    { flags: FlagsNew.CREATE | FlagsNew.EXCL }
  )

await measure({
  open: () => createRtNetlink(),
  close: socket => socket.socket.close(),

  async 'create-delete'(socket, count, kind) {
    for (let i = 0; i < count; i++) {
      await create(socket, 'one', kind)
      await socket.delLink({}, { ifname: 'one' })
    }
  },

  async get(socket, count) {
    const indexes = []
    for (let i = 0; i < count; i++) {
      const [found] = await socket.getLink({}, { ifname: `get${i % GET_LINKS}`, extMask: SKIP_STATISTICS })
      indexes.push(found.data.index)
    }
    return indexes
  },

  async 'create-batch'(socket, count, kind) {
    for (let first = 0; first < count; first += WINDOW) {
      const window = Math.min(WINDOW, count - first)
      await Promise.all(Array.from({ length: window }, (_, i) => create(socket, `batch${first + i}`, kind)))
    }
  },

  async dump(socket, count) {
    let rows = []
    for (let i = 0; i < count; i++) {
      const links = await socket.getLinks({}, { extMask: SKIP_STATISTICS })
      rows = links.map(({ data, attrs }) => ({
        name: attrs.ifname,
        index: data.index,
        state: attrs.operstate,
        master: attrs.master,
        mac: attrs.address
      }))
    }
    return rows
  }
})
