/** What the tests of a file play on: links and guests here, and a namespace on the other end of each wire. */
import { accessSync, constants, existsSync, readdirSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { afterAll, beforeAll, beforeEach, expect } from 'vitest'
import {
  type CreateLink,
  type Link,
  type LinkOfKind,
  Macvtap,
  type MacvtapOptions,
  Netlink,
  Tap,
  type TapOptions
} from '../../../lib/index.js'
import { whyNoDnsmasq } from '../../support/dnsmasq.js'
import { has } from '../../support/features.js'
import { createNamespace, type Namespace } from '../../support/namespace.js'
import { freshIndex, ipLinks, openFiles } from '../../tap/support/system.js'
import { bootGuest, type Guest, type GuestOptions, type Netdev, whyNoGuest } from '../guest.mjs'

/** A pair of links: one here, and one that is a port of the bridge `br0` in a namespace of its own. */
export interface Wire {
  /** The end that is here. */
  name: string
  outside: Namespace
  /** Of `br0` on the other side: `10.9.N.1`. */
  address: string
  /** The other addresses of its network: `host(2)`, or `host(2, 24)` with the prefix length. */
  host(number: number, prefix?: number): string
}

export interface MacvtapCard {
  link: LinkOfKind<'macvtap'>
  device: Macvtap
  /** For the guest: the descriptors, and the address that the link has. */
  card: Netdev
}

export type CreateMacvtap = Partial<CreateLink<'macvtap'>> & Pick<CreateLink<'macvtap'>, 'mode' | 'link'>

/** Makes everything with the package itself. What was made last is removed first. */
export class Scene {
  readonly #undo: (() => unknown)[] = []
  readonly #nodes: string[] = []
  readonly #guests: number[] = []
  readonly #before = traces()
  #wires = 0

  private constructor(readonly net: Netlink) {}

  static async open(): Promise<Scene> {
    return new Scene(await Netlink.open())
  }

  /** Undone at the end. */
  later(step: () => unknown): void {
    this.#undo.push(step)
  }

  async bridge(name: string): Promise<Link> {
    const link = await this.net.links.create({ kind: 'bridge', name, up: true })
    this.#deleteLater(name)
    return link
  }

  async wire(options: { master?: string } = {}): Promise<Wire> {
    const number = this.#wires++
    const outside = await this.namespace()
    const host = (last: number, prefix?: number) => `10.9.${number}.${last}${prefix ? `/${prefix}` : ''}`
    const name = `wire${number}`
    await outside.net.links.create({ kind: 'bridge', name: 'br0', up: true })
    await outside.net.addresses.add({ link: 'br0', address: host(1, 24) })
    await this.net.links.create({ kind: 'veth', name, up: true, peer: { name: 'eth0', netns: outside.name } })
    this.#deleteLater(name)
    if (options.master) await this.net.links.set(name, { master: options.master })
    await outside.net.links.set('eth0', { master: 'br0', up: true })
    return { name, outside, address: host(1), host }
  }

  async namespace(): Promise<Namespace> {
    const namespace = await createNamespace()
    this.later(() => namespace[Symbol.asyncDispose]())
    return namespace
  }

  /** With what every hypervisor wants: virtio-net headers, and up. */
  async tap(options: TapOptions): Promise<Tap> {
    const net = options.netns === undefined ? this.net : undefined
    const tap = await Tap.open({ vnetHeader: true, up: true, net, ...options })
    this.later(() => tap.close())
    return tap
  }

  async macvtap(create: CreateMacvtap, options: MacvtapOptions = {}): Promise<MacvtapCard> {
    const { net = this.net } = options
    const link = await net.links.create({ kind: 'macvtap', index: freshIndex(), up: true, ...create })
    this.#deleteLater(link.index, net)
    this.#nodes.push(`/dev/tap${link.index}`)
    const device = await Macvtap.open(link, { vnetHeader: true, net, ...options })
    this.later(() => device.close())
    return { link, device, card: { fds: device.fds, mac: link.address as string } }
  }

  async guest(options: GuestOptions): Promise<Guest> {
    const booting = bootGuest({ timeout: 150_000, ...options })
    // Also one that still boots when another one has failed.
    this.later(() =>
      booting.then(
        guest => guest.stop(),
        () => {}
      )
    )
    const guest = await booting
    this.#guests.push(guest.pid)
    return guest
  }

  /** Removes everything and looks for what stayed. */
  async close(): Promise<void> {
    const failures: unknown[] = []
    for (const step of this.#undo.toReversed()) {
      try {
        await step()
      } catch (error) {
        failures.push(error)
      }
    }
    this.net.close()
    expect(failures).toEqual([])
    // Namespaces take their links along some time later.
    for (let attempt = 0; attempt < 50 && !isDeepStrictEqual(traces(), this.#before); attempt++) await delay(100)
    expect(traces()).toEqual(this.#before)
    expect(this.#nodes.filter(node => existsSync(node))).toEqual([])
    expect(this.#guests.filter(pid => existsSync(`/proc/${pid}`))).toEqual([])
  }

  #deleteLater(link: string | number, net = this.net): void {
    this.later(() => net.links.delete(link, { ifExists: true }))
  }
}

/** What must be the same afterwards. */
function traces(): object {
  return {
    links: ipLinks()
      .map(link => link.ifname)
      .sort(),
    namespaces: existsSync('/run/netns') ? readdirSync('/run/netns').sort() : [],
    devices: openFiles().filter(file => /^\/dev\/(net\/tun|tap|\.linkwright|vhost)/.test(file)),
    nodes: readdirSync('/dev').filter(file => file.startsWith(`.linkwright-${process.pid}`)),
    folders: readdirSync(tmpdir()).filter(
      folder => folder.startsWith('linkwright-vm-') && folder.includes(`-${process.pid}-`)
    )
  }
}

type Need = 'tap' | 'macvtap' | 'dnsmasq'

function whyNot(need: Need): string | null {
  if (need === 'dnsmasq') return whyNoDnsmasq() ?? null
  if (need === 'tap') {
    try {
      accessSync('/dev/net/tun', constants.R_OK | constants.W_OK)
      return null
    } catch (error) {
      return (error as Error).message
    }
  }
  if (!has('macvtap')) return 'the kernel has no macvtap'
  // Their nodes belong to the system's root, whoever is root here.
  return /^\s*0\s+0\s/.test(readFileSync('/proc/self/uid_map', 'utf8')) ? null : 'nodes of macvtap links need root'
}

/**
 * Every test of the file plays on what `prepare` makes before the first one. They are skipped, with the reason, where
 * guests cannot be booted.
 *
 * @returns gives it to a test
 */
export function scene<T>(needs: Need[], prepare: (scene: Scene) => Promise<T>): () => T {
  let reason: string | null = null
  let stage: Scene | undefined
  let made: T | undefined
  beforeAll(async () => {
    reason = (await whyNoGuest()) ?? needs.map(whyNot).find(Boolean) ?? null
    if (reason) return
    stage = await Scene.open()
    made = await prepare(stage)
  }, 300_000)
  beforeEach(context => context.skip(reason !== null, reason ?? undefined))
  afterAll(async () => {
    await stage?.close()
  }, 60_000)
  return () => made as T
}
