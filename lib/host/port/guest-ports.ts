/** Ports of guests: what can be changed while the guests run. */
import { invalidArgument, LinkwrightError } from '../../errors.js'
import type { BandwidthLimits } from '../../link/bandwidth/limits.js'
import { carryOut } from '../../link/bandwidth/steps.js'
import { hasIpv6 } from '../../link/ipv6.js'
import type { Link, LinkRef } from '../../link/link.js'
import type { Netlink } from '../../link/netlink.js'
import type { Watch } from '../../link/watch/watch.js'
import { Notifications } from '../../netlink/notifications.js'
import { netfilter } from '../../nftables/messages.js'
import { SpoofingGuard } from './anti-spoofing/anti-spoofing.js'
import { marksOf } from './anti-spoofing/mark.js'
import type { AntiSpoofing } from './anti-spoofing/options.js'
import { stepsFor } from './changes.js'
import { type GuestCounters, guestCountersOf } from './guest-counters.js'
import { checkSettings, type GuestPortSettings } from './settings.js'
import { staticEntries } from './static-fdb.js'
import { type PortVlans, vlansOf, vlansOfPort } from './vlans.js'

/** A port as the kernel has it. */
export interface GuestPort {
  readonly name: string
  readonly index: number
  readonly bridge: number
  readonly antiSpoofing?: AntiSpoofing
  readonly isolated: boolean
  /** Left out while the bridge learns from the port. */
  readonly staticFdb?: readonly string[]
  /** Left out where the bridge does not filter VLANs. */
  readonly vlans?: PortVlans
  readonly bandwidth: BandwidthLimits
  /** Bytes. */
  readonly mtu: number
  /** Left out where the kernel does not say. */
  readonly ipv6?: boolean
  readonly carrier: boolean
}

/** linux/netfilter/nfnetlink.h */
const NFNLGRP_NFTABLES = 7

/** What was left of ports that are gone. */
export interface RemovedOrphans {
  /** Their ifindexes. */
  readonly antiSpoofing: number[]
  /** Names of ifbs. */
  readonly bandwidth: string[]
}

/**
 * Settings of guests' ports in one network namespace: TAPs, veths and whatever else is a port of a bridge, ours or not.
 *
 * They stay when this is closed, and when the process ends: guests go on to run. Those that would outlive their port (the
 * anti-spoofing in the ruleset, the ifb of a bandwidth limit) are taken away when the port goes, as long as this is open;
 * after a crash, `removeOrphans()` does it. As long as it is open, anti-spoofing that was set by it comes back at once when
 * somebody flushes the ruleset.
 */
export class GuestPorts {
  readonly #net: Netlink
  #guard: Promise<SpoofingGuard> | undefined
  #watch: Watch<'links'> | undefined
  #heard: Notifications | undefined
  #watching: Promise<void> | undefined
  /** Changes of one port wait for each other. */
  readonly #busy = new Map<number, Promise<unknown>>()
  #closed = false

  /** It looks at the namespace of `net`, which is to stay open. */
  constructor(net: Netlink) {
    this.#net = net
  }

  /**
   * Changes what is given. If something fails, what was done is taken back.
   *
   * @throws LinkwrightError `ERR_INVALID_ARG_VALUE` (nothing was changed), also for a link that is no port of a bridge or a
   * VLAN on a bridge that does not filter; `ENODEV`; `EOPNOTSUPP` for a carrier that cannot be set; what `net.bandwidth.set`
   * and the ruleset say
   */
  async set(port: LinkRef, settings: GuestPortSettings): Promise<void> {
    this.#assertOpen()
    checkSettings(settings)
    const { index } = await this.#net.links.get(port)
    await this.#alone(index, async () => {
      const link = await this.#net.links.get(index)
      const bridge = await this.#bridgeOf(link)
      const guard = () => this.#guarding()
      await carryOut(await stepsFor({ net: this.#net, link, bridge, guard }, settings))
    })
  }

  /** Everything as a port has it by itself: no anti-spoofing, no isolation, no limits, learning. MTU, IPv6, VLANs and carrier stay. */
  async reset(port: LinkRef): Promise<void> {
    await this.set(port, { antiSpoofing: null, isolated: false, staticFdb: null, bandwidth: null })
  }

  /** A port's settings as they are now. */
  async get(port: LinkRef): Promise<GuestPort> {
    this.#assertOpen()
    const link = await this.#net.links.get(port)
    const bridge = await this.#bridgeOf(link)
    const { name = '', index, mtu = 0, carrier = false } = link
    const { learning = true, isolated = false } = link.port ?? {}
    const filters = bridge.is('bridge') && bridge.data.vlanFiltering === true
    const [antiSpoofing, entries, vlans, bandwidth] = await Promise.all([
      this.#opened().then(guard => guard.get(link)),
      learning ? undefined : staticEntries(this.#net, link),
      filters ? vlansOfPort(this.#net, index) : undefined,
      this.#net.bandwidth.get(index)
    ])
    const ipv6 = hasIpv6(link)
    return {
      name,
      index,
      bridge: bridge.index,
      ...(antiSpoofing ? { antiSpoofing } : {}),
      isolated,
      ...(entries ? { staticFdb: entries } : {}),
      ...(vlans ? { vlans: vlansOf(vlans) } : {}),
      bandwidth,
      mtu,
      ...(ipv6 === undefined ? {} : { ipv6 }),
      carrier
    }
  }

  /** What the guest has received and sent. */
  async counters(port: LinkRef): Promise<GuestCounters> {
    return guestCountersOf(await this.#net.links.get(port, { statistics: true }))
  }

  /** Takes away what is left of ports that are gone: after a crash, or of those that nobody watched. */
  async removeOrphans(): Promise<RemovedOrphans> {
    this.#assertOpen()
    return await this.#removeGone()
  }

  /** Ends the watch over ports that go; settings stay. Idempotent. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await Promise.all(this.#busy.values())
    await this.#watch?.close()
    await this.#heard?.close()
    // Of ports that went just now nobody has heard yet.
    if (this.#watch) await this.#removeGone().catch(() => {})
    await this.#guard?.then(guard => guard.close()).catch(() => {})
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #assertOpen(): void {
    if (this.#closed) throw new LinkwrightError('the guest ports are closed', { code: 'ERR_CLOSED' })
  }

  async #bridgeOf(link: Link): Promise<Link> {
    if (!link.port || !link.master) throw invalidArgument('port', 'a port of a bridge', link.name)
    return await this.#net.links.get(link.master)
  }

  async #removeGone(): Promise<RemovedOrphans> {
    this.#guard ??= SpoofingGuard.open(this.#net)
    const antiSpoofing = await (await this.#guard).removeGone(() => this.#net.links.list())
    return { antiSpoofing, bandwidth: await this.#net.bandwidth.removeOrphans() }
  }

  async #opened(): Promise<SpoofingGuard> {
    this.#assertOpen()
    this.#guard ??= SpoofingGuard.open(this.#net)
    return await this.#guard
  }

  /** With an eye on ports that go, from before the first one that is guarded. */
  async #guarding(): Promise<SpoofingGuard> {
    const guard = await this.#opened()
    this.#watching ??= this.#beginWatch(guard)
    await this.#watching
    return guard
  }

  async #beginWatch(guard: SpoofingGuard): Promise<void> {
    const watch = this.#net.watch({ links: true, recheck: Number.POSITIVE_INFINITY })
    this.#watch = watch
    try {
      await watch.next()
      await this.#hearOf(guard)
    } catch (error) {
      this.#watching = undefined
      throw error
    }
    watch.unref()
    void this.#follow(watch, guard)
  }

  /** The ruleset may be flushed by whoever loads another one: `systemctl reload nftables` does. */
  async #hearOf(guard: SpoofingGuard): Promise<void> {
    if (this.#heard) return
    let asked = false
    const look = async () => {
      if (asked) return
      asked = true
      await Promise.resolve()
      asked = false
      await guard.putBack().catch(() => {})
    }
    const netns = await this.#net.openNetns()
    try {
      const options = { protocol: netfilter, netns: { fd: netns.fds[0] as number } }
      this.#heard = await Notifications.open([NFNLGRP_NFTABLES], { messages: look, lost: look, failed: look }, options)
      this.#heard.unref()
    } finally {
      await netns.close()
    }
  }

  async #follow(watch: Watch<'links'>, guard: SpoofingGuard): Promise<void> {
    try {
      for await (const event of watch) {
        if (event.event !== 'removed' && event.event !== 'changed') continue
        const { index } = event.before
        const mark = guard.markAt(index)
        if (mark === undefined) continue
        if (event.after?.master !== event.before.master && event.after) await guard.joined(event.after).catch(() => {})
        if (event.after && marksOf(event.after).includes(mark)) continue
        // An event may be older than the mark: what counts is what is there now.
        const link = await this.#net.links.find(index)
        if (link && marksOf(link).includes(mark)) continue
        await guard.removeLife(index, mark).catch(() => {})
        if (!link) await this.#net.bandwidth.removeOrphans().catch(() => {})
      }
    } catch {
      // Closed, or the sockets are beyond help: the next change begins anew.
    } finally {
      this.#watching = undefined
    }
  }

  async #alone<T>(index: number, action: () => Promise<T>): Promise<T> {
    const result = (this.#busy.get(index) ?? Promise.resolve()).then(action)
    const settled = result.then(
      () => {},
      () => {}
    )
    this.#busy.set(index, settled)
    try {
      return await result
    } finally {
      if (this.#busy.get(index) === settled) this.#busy.delete(index)
    }
  }
}
