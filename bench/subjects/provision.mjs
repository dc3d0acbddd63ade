// linkwright where links are provisioned, by its public API.
import { provision } from '../links/provision-frame.mjs'
import { bridges, macvtaps, portsBeside, taps, veths } from '../links/provision-names.mjs'

const { Netlink, Tap } = await import('../../dist/index.js')

// Each has a result of its own; here all have to be there.
function values(results) {
  const failed = results.find(({ status }) => status === 'rejected')
  if (failed) throw failed.reason
  return results.map(({ value }) => value)
}

const names = specs => specs.map(({ name }) => name)

const remove =
  specs =>
  async ({ net }, count) =>
    values(await net.links.deleteMany(names(specs(count))))

await provision({
  async open(peer) {
    return { net: await Netlink.open(), peer, taps: [] }
  },

  close: ({ net }) => net[Symbol.asyncDispose](),

  taps: {
    async create(context, count) {
      context.taps = values(await Tap.openMany(taps(count).map(spec => ({ ...spec, up: true }))))
    },
    async delete(context, count) {
      await Tap.closeMany(context.taps.splice(0, count)) // the census sees what is left
    },
    async forget(context) {
      await Promise.all(context.taps.splice(0).map(tap => tap.close()))
    }
  },

  macvtaps: {
    async create({ net }, count) {
      const specs = macvtaps(count).map(spec => ({ ...spec, kind: 'macvtap', mode: 'bridge', up: true }))
      values(await net.links.createMany(specs))
    },
    delete: remove(macvtaps)
  },

  veth: {
    async create({ net, peer }, count) {
      const specs = veths(count).map(({ name, peer: other }) => ({
        kind: 'veth',
        name,
        up: true,
        peer: { name: other, netns: peer }
      }))
      values(await net.links.createMany(specs))
    },
    delete: remove(veths)
  },

  bridges: {
    async create({ net }, count) {
      values(await net.links.createMany(bridges(count).map(spec => ({ ...spec, kind: 'bridge', up: true }))))
      values(await net.links.createMany(portsBeside(count).map(spec => ({ ...spec, kind: 'ifb', up: true }))))
    },
    delete: remove(count => [...portsBeside(count), ...bridges(count)])
  }
})
