/** What the demo makes: a bridge with an uplink and TAPs, and macvtap links in every mode. */
import { Macvtap, Netlink, Tap } from '../dist/index.js'

const MODES = ['private', 'vepa', 'bridge', 'source', 'passthru']

/** Two namespaces: the one that the process is in, and "outside", at the other end of all wires. */
export async function openWorld() {
  const here = await Netlink.open()
  const outside = await Netlink.open({ netns: { new: true } })
  const outsideNetns = await outside.openNetns()
  const before = { here: await names(here), outside: await names(outside) }
  return {
    here,
    outside,
    /** Descriptor of the namespace outside. */
    outsideFd: outsideNetns.fds[0],
    /** What is left beyond what was there at the start. */
    async leftovers() {
      const now = { here: await names(here), outside: await names(outside) }
      return [
        ...now.here.filter(name => !before.here.includes(name)),
        ...now.outside.filter(name => !before.outside.includes(name)).map(name => `${name} (outside)`)
      ]
    },
    async close() {
      here.close()
      outside.close()
      await outsideNetns.close()
    }
  }
}

async function names(net) {
  return (await net.links.list()).map(link => link.name)
}

/** A cable: one end here, the other outside with an address. */
export async function layCable(world, name, peer, address) {
  await world.here.links.create({
    kind: 'veth',
    name,
    up: true,
    peer: { name: peer, netns: { fd: world.outsideFd }, up: true }
  })
  await world.outside.addresses.add({ link: peer, address })
}

/** The bridge, its uplink, and a host address on it. */
export async function makeBridge(world) {
  await world.here.links.create({ kind: 'bridge', name: 'br0', stp: false, up: true })
  await layCable(world, 'uplink0', 'eth0', '192.0.2.1/24')
  await world.here.links.set('uplink0', { master: 'br0' })
  await world.here.addresses.add({ link: 'br0', address: '192.0.2.2/24' })
}

/** TAPs as ports of the bridge. */
export const TAPS = [
  { name: 'vnet0', options: {}, kind: 'TAP', on: 'br0', mac: '02:00:00:00:00:10', ip: '192.0.2.10' },
  {
    name: 'vnet1',
    options: { queues: 2, vnetHeader: 12 },
    kind: 'TAP',
    on: 'br0',
    mac: '02:00:00:00:00:11',
    ip: '192.0.2.11',
    header: 12
  }
]

export async function openTap(world, { name, options }) {
  return Tap.open({ name, ...options, net: world.here, master: 'br0', up: true })
}

/** A macvtap link in each mode; passthru takes a lower device for itself. */
export async function makeMacvtaps(world) {
  await layCable(world, 'nic0', 'wire0', '198.51.100.1/24')
  await layCable(world, 'nic1', 'wire1', '203.0.113.1/24')
  const wire = await world.outside.links.get('wire0')
  const made = []
  for (const [at, mode] of MODES.entries()) {
    const name = `mvt-${mode}`
    const lower = mode === 'passthru' ? 'nic1' : 'nic0'
    // In source mode a link takes frames from the listed addresses only.
    const sources = mode === 'source' ? { macaddrMode: 'set', macaddrs: [wire.address] } : {}
    await world.here.links.create({ kind: 'macvtap', name, link: lower, mode, ...sources, up: true })
    const { address } = await world.here.links.get(name)
    const ip = mode === 'passthru' ? '203.0.113.20' : `198.51.100.${20 + at}`
    made.push({ name, kind: `macvtap ${mode}`, on: lower, mac: address, ip })
  }
  return made
}

export async function openMacvtap(world, { name }) {
  return Macvtap.open(name, { net: world.here })
}

/** Deletes the links; what was opened is closed by who opened it. */
export async function removeLinks(world) {
  for (const name of ['br0', 'uplink0', 'nic0', 'nic1']) await world.here.links.delete(name, { ifExists: true })
}
