// What `ip -batch` is told to provision the links, and to remove them one by one or as a group.
import { bridges, macvtaps, portsBeside, taps, veths } from '../links/provision-names.mjs'

const GROUP = 4711

const flat = (specs, lines) => specs.flatMap(lines)

const created = {
  taps: count =>
    flat(taps(count), ({ name, address, mtu, master }) => [
      `tuntap add dev ${name} mode tap`,
      `link set dev ${name} address ${address} mtu ${mtu} master ${master} up`
    ]),
  macvtaps: count =>
    flat(macvtaps(count), ({ name, link }) => `link add link ${link} name ${name} up type macvtap mode bridge`),
  veth: (count, peer) =>
    flat(veths(count), each => `link add name ${each.name} up type veth peer name ${each.peer} netns ${peer}`),
  bridges: count => [
    ...flat(bridges(count), ({ name }) => `link add name ${name} up type bridge`),
    ...flat(portsBeside(count), ({ name, master }) => `link add name ${name} up master ${master} type ifb`)
  ]
}

const removed = {
  taps,
  macvtaps,
  veth: veths,
  bridges: count => [...portsBeside(count), ...bridges(count)]
}

/** Lines that create the first `count` of a workload; `peer` is a process in the other namespace. */
export const createLines = (workload, count, peer) => created[workload](count, peer)

export const deleteLines = (workload, count) => removed[workload](count).map(({ name }) => `link del dev ${name}`)

/** ip(8) removes the links of a group, which is for the caller to put them into and to keep free of others. */
export const deleteGroupLines = (workload, count) => [
  ...removed[workload](count).map(({ name }) => `link set dev ${name} group ${GROUP}`),
  `link del group ${GROUP}`
]
