// The npm package `netlink` where links are provisioned. It cannot encode IFLA_LINKINFO, which is packed by hand here.
import netlink from 'netlink'
import { provision } from '../links/provision-frame.mjs'
import { bridges, macvtaps, portsBeside, veths } from '../links/provision-names.mjs'

const { createRtNetlink, FlagsNew, formatAttribute, putString, putU32 } = netlink
const WINDOW = 100 // more requests in flight would overflow the receive buffer with ACKs
const UP = { flags: { up: true }, change: { up: true } }
const [INFO_KIND, INFO_DATA, MACVLAN_MODE, VETH_PEER, IFNAME, NET_NS_PID] = [1, 2, 1, 1, 3, 19]
const MACVLAN_MODE_BRIDGE = 4
const LINK_HEADER = Buffer.alloc(16)

const padded = buffer => Buffer.concat([buffer, Buffer.alloc(-buffer.length & 3)])
const attribute = (type, data) => padded(Buffer.concat(formatAttribute({ type, data })))

const linkinfo = (kind, ...data) =>
  Buffer.concat([
    attribute(INFO_KIND, Buffer.from(kind)),
    ...(data.length ? [attribute(INFO_DATA, Buffer.concat(data))] : [])
  ])

async function inWindows(specs, request) {
  for (let first = 0; first < specs.length; first += WINDOW) {
    await Promise.all(specs.slice(first, first + WINDOW).map(request))
  }
}

async function indexesOf(socket, names) {
  const indexes = new Map()
  for (const ifname of new Set(names)) indexes.set(ifname, (await socket.getLink({}, { ifname }))[0].data.index)
  return indexes
}

const create = ({ socket }, attributes) => socket.newLink(UP, attributes, { flags: FlagsNew.CREATE | FlagsNew.EXCL })

const remove =
  specs =>
  ({ socket }, count) =>
    inWindows(specs(count), ({ name }) => socket.delLink({}, { ifname: name }))

await provision({
  open: peer => ({ socket: createRtNetlink(), peer }),
  close: ({ socket }) => socket.socket.close(),

  macvtaps: {
    async create(context, count) {
      const lowers = await indexesOf(
        context.socket,
        macvtaps(count).map(({ link }) => link)
      )
      const info = linkinfo('macvtap', attribute(MACVLAN_MODE, putU32(MACVLAN_MODE_BRIDGE)))
      await inWindows(macvtaps(count), ({ name, link }) =>
        create(context, { ifname: name, link: putU32(lowers.get(link)), linkinfo: info })
      )
    },
    delete: remove(macvtaps)
  },

  veth: {
    create: (context, count) =>
      inWindows(veths(count), ({ name, peer }) => {
        const namespace = attribute(NET_NS_PID, putU32(context.peer))
        const other = Buffer.concat([LINK_HEADER, attribute(IFNAME, putString(peer)), namespace])
        return create(context, { ifname: name, linkinfo: linkinfo('veth', attribute(VETH_PEER, other)) })
      }),
    delete: remove(veths)
  },

  bridges: {
    async create(context, count) {
      await inWindows(bridges(count), ({ name }) => create(context, { ifname: name, linkinfo: linkinfo('bridge') }))
      const masters = await indexesOf(
        context.socket,
        bridges(count).map(({ name }) => name)
      )
      await inWindows(portsBeside(count), ({ name, master }) =>
        create(context, { ifname: name, master: masters.get(master), linkinfo: linkinfo('ifb') })
      )
    },
    delete: remove(count => [...portsBeside(count), ...bridges(count)])
  }
})
