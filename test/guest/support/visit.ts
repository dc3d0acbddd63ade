/** Guests in a network: it is applied, they get cards in it, and afterwards the host has to be what it was. */
import { expect } from 'vitest'
import { type GuestMacvtapOptions, Network, type NetworksSpec } from '../../../lib/index.js'
import type { Guest } from '../guest.mjs'
import type { Qmp } from '../qmp.mjs'
import { plug, unplug } from './plugging.js'
import type { World } from './world.js'

/** A guest, and what its cards are plugged in and out by. */
export interface Seat {
  readonly guest: Guest
  readonly qmp: Qmp
  readonly mac: string
  /** Of its ports. */
  readonly name: string
}

/** A guest's card. */
export interface Card {
  readonly guest: Guest
  /** In the guest. */
  readonly device: string
  /** On the host. */
  readonly port: string
  readonly mac: string
}

export class Visit {
  readonly #leave: (() => Promise<unknown>)[] = []

  constructor(
    readonly world: World,
    readonly network: Network
  ) {}

  /** A card on a TAP in the bridge of this network, or of another one. */
  async tap(seat: Seat, network = this.network): Promise<Card> {
    const tap = await network.openTap({ name: seat.name, vnetHeader: true })
    this.#leave.push(() => tap.close())
    const card = await this.#plug(seat, tap.fds)
    // From here on it is there as long as QEMU has it.
    await tap.close()
    return card
  }

  /** A card on a macvtap of the network's NIC. */
  async macvtap(seat: Seat, options: Partial<GuestMacvtapOptions> = {}): Promise<Card> {
    const { name, mac } = seat
    const device = await this.network.openMacvtap({ name, address: mac, vnetHeader: true, ...options })
    this.#leave.push(async () => {
      await device.close()
      await this.world.host.net.links.delete(name)
    })
    return await this.#plug(seat, device.fds)
  }

  async #plug({ guest, qmp, mac, name }: Seat, fds: readonly number[]): Promise<Card> {
    await plug(qmp, name, fds, mac)
    this.#leave.push(() => unplug(qmp, name))
    return { guest, device: await guest.nic(mac), port: name, mac }
  }

  /** Takes all cards out, the last first. */
  async leave(): Promise<void> {
    const { host } = this.world
    for (const step of this.#leave.splice(0).reverse()) await step()
    for (const name of ['vnet0', 'vnet1'])
      await host.net.links.waitFor(name, link => link === undefined, { timeout: 20_000 })
  }
}

/**
 * Applies a spec, lets guests into one of its networks, and undoes it: everything is as it was then. A plan of what is there
 * already is empty.
 */
export async function visit(
  world: World,
  spec: NetworksSpec,
  name: string,
  use: (visit: Visit) => Promise<void>
): Promise<void> {
  const { host, runtimeDirectory } = world
  const before = world.state()
  const plan = await world.plan(spec)
  expect(plan.conflicts).toEqual([])
  await plan.apply()
  try {
    expect(String(await world.plan(spec))).toBe('')
    await using network = await Network.open(host.net, spec, name, { runtimeDirectory })
    const visit = new Visit(world, network)
    try {
      await use(visit)
    } finally {
      await visit.leave()
    }
  } finally {
    await plan.undo()
  }
  expect(world.state()).toBe(before)
}
