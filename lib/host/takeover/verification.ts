/** Whether the kernel has what was planned, read again. */
import type { Address } from '../../link/addresses.js'
import type { Netlink } from '../../link/netlink.js'
import type { Move } from './moving.js'
import { idOf } from './nexthops.js'
import { isRerouted } from './routes.js'
import { isRule, rulesNaming } from './rules.js'
import { look } from './situation.js'

/** What is not as it should be, in sentences. */
export async function verifyMove(net: Netlink, { situation, nic, target }: Move, master: number): Promise<string[]> {
  const [now, left, routes] = await Promise.all([
    look(net, target.index),
    look(net, nic.index),
    net.routes.list({ table: 0 })
  ])
  const wrong: string[] = []
  const expect = (holds: boolean, otherwise: string) => {
    if (!holds) wrong.push(otherwise)
  }
  expect(now.nic.name === target.name && now.nic.up, `${target.name} is not up`)
  expect((left.nic.master ?? 0) === master, `${nic.name} is not a port of ${target.name}`)
  for (const address of situation.addresses) {
    expect(
      now.addresses.some(each => isSame(each, address)),
      `${target.name} does not have ${address}`
    )
  }
  // Also what others gave it meanwhile: as a port it would lead the host's packets nowhere.
  for (const address of left.addresses) expect(false, `${nic.name} has ${address}`)
  for (const route of left.routes) {
    expect(false, `the route to ${route.destination} (table ${route.tableId}) is on ${nic.name}`)
  }
  for (const route of situation.routes.filter(({ nhId }) => !nhId)) {
    const wanted = routes.some(each => isRerouted(each, route, nic.index, target.index))
    expect(wanted, `the route to ${route.destination} (table ${route.tableId}) is not on ${target.name}`)
  }
  const moved = new Set(now.nexthops.map(idOf))
  for (const id of situation.nexthops.map(idOf)) expect(moved.has(id), `nexthop ${id} is not on ${target.name}`)
  for (const { dst } of situation.neighbours) {
    expect(
      now.neighbours.some(each => each.dst === dst),
      `${target.name} does not have the neighbour ${dst}`
    )
  }
  const rules = situation.rules.length > 0 ? await rulesNaming(net, target.name) : []
  for (const rule of situation.rules) {
    expect(
      rules.some(each => isRule(each, rule, nic.name, target.name)),
      `a rule does not name ${target.name}`
    )
  }
  return wrong
}

const isSame = (a: Address, b: Address): boolean =>
  String(a) === String(b) && a.address === b.address && a.scope === b.scope && a.broadcast === b.broadcast
