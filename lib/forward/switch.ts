/** A learning switch of native threads. */
import type { NativePortSettings } from '../addon.js'
import { invalidArgument, LinkwrightError } from '../errors.js'
import { macNumber, macText } from '../frames/packet/addresses.js'
import { boolean, type Check, checkOptions } from '../tap/checks.js'
import { PORT_CHECKS, type PortOptions } from './attachment.js'
import { ForwardedPort } from './forwarded-port.js'
import { FORWARD_CHECKS, Forwarder, type ForwardOptions, type PortGiven, portAndOptions } from './forwarder.js'
import { integerFrom } from './options.js'

/** Which frames that have no known destination a port gets. */
export interface Flooding {
  /** For an address that was not heard yet. */
  unknown?: boolean | undefined
  multicast?: boolean | undefined
  broadcast?: boolean | undefined
}

/** What can be changed of a port while frames go through it. */
export interface SwitchPortSettings {
  /** Isolated ports do not reach each other, only those that are not isolated. Off by default. */
  isolated?: boolean | undefined
  /** Whether the switch remembers who is behind the port. On by default. */
  learning?: boolean | undefined
  /** What is flooded to the port: all, none, or some; all by default. */
  flood?: boolean | Flooding | undefined
  /** Most frames a second that are flooded from the port, 0 for any number, which is the default. */
  stormLimit?: number | undefined
  /** Nothing is read from it and nothing sent to it. */
  paused?: boolean | undefined
}

export interface SwitchPortOptions extends PortOptions, SwitchPortSettings {}

export interface SwitchOptions extends ForwardOptions {
  ports?: readonly PortGiven<SwitchPortOptions>[] | undefined
  /** Addresses that are ours: nothing may come from them (it would be a loop), and nothing is sent to them. */
  own?: readonly string[] | undefined
  /** Addresses that are remembered, up to 1,048,576; 8192 by default. */
  tableSize?: number | undefined
  /** Seconds after which a silent station is forgotten; 300 by default. */
  ageing?: number | undefined
}

/** Where a station is. */
export interface Station {
  mac: string
  /** `own` for an address of the switch's own. */
  port: SwitchPort | 'own'
  /** Set by {@link Switch.fix}, and not learned. */
  fixed: boolean
  /** Seconds since it was heard; 0 for a fixed one. */
  age: number
}

const FLOOD = { unknown: 1, multicast: 2, broadcast: 4 } as const
const FLOOD_ALL = 7
const DEFAULT_PATIENCE = 1

const FLOOD_CHECKS: Record<keyof Flooding, Check> = { unknown: boolean, multicast: boolean, broadcast: boolean }

const SETTINGS_CHECKS: Record<keyof SwitchPortSettings, Check> = {
  isolated: boolean,
  learning: boolean,
  flood: (value, path) => {
    if (typeof value === 'boolean') return
    if (typeof value !== 'object' || value === null) throw invalidArgument(path, 'true, false, or single kinds', value)
    checkOptions(value, FLOOD_CHECKS, path)
  },
  stormLimit: integerFrom(0, 0xffffffff, 'frames a second'),
  paused: boolean
}

const SWITCH_PORT_CHECKS: Record<keyof SwitchPortOptions, Check> = { ...PORT_CHECKS, ...SETTINGS_CHECKS }

const OPTION_CHECKS: Record<keyof SwitchOptions, Check> = {
  ...FORWARD_CHECKS,
  ports: (value, path) => {
    if (!Array.isArray(value)) throw invalidArgument(path, 'an array of ports', value)
  },
  own: (value, path) => {
    if (!Array.isArray(value)) throw invalidArgument(path, 'an array of MAC addresses', value)
    for (const [at, address] of value.entries()) unicast(address, `${path}[${at}]`)
  },
  tableSize: integerFrom(1, 1 << 20, 'addresses'),
  ageing: integerFrom(1, 0x7fffffff, 'seconds')
}

/** A port of a {@link Switch}. */
export class SwitchPort extends ForwardedPort {
  get isolated(): boolean {
    return this.settings.isolated
  }

  get learning(): boolean {
    return this.settings.learning
  }

  get flood(): Required<{ [kind in keyof Flooding]: boolean }> {
    const { flood } = this.settings
    return {
      unknown: (flood & FLOOD.unknown) !== 0,
      multicast: (flood & FLOOD.multicast) !== 0,
      broadcast: (flood & FLOOD.broadcast) !== 0
    }
  }

  get stormLimit(): number {
    return this.settings.stormLimit
  }

  /** Changes settings while frames go through; what is left out stays. */
  set(settings: SwitchPortSettings): void {
    checkOptions(settings, SETTINGS_CHECKS)
    this.change(nativeSettings(settings, this.settings))
  }
}

/**
 * A learning switch: frames go where their destination was heard, and to all ports when it was not. Never back to where
 * they came from. Native threads move them; ports are added, changed and removed meanwhile.
 *
 * ```ts
 * await using sw = await Switch.open({ ports: [guest1, guest2, { port: uplink, isolated: false }] })
 * const port = await sw.addPort(guest3, { isolated: true, stormLimit: 1000 })
 * port.on('gone', error => console.log(`${port.name}: ${error.message}`))
 * ```
 *
 * It knows no VLANs (tagged frames pass, by their addresses) and no spanning tree: the BPDUs of others are flooded, other
 * link-local frames are dropped, as a Linux bridge does.
 */
export class Switch extends Forwarder<SwitchPort> {
  private constructor(options: SwitchOptions) {
    const { name = 'switch', threads = 64, busyPoll = 0, patience = DEFAULT_PATIENCE, merge = false } = options
    super('the switch', {
      switching: true,
      name,
      threads,
      busyPoll: Math.round(busyPoll),
      patience: Math.round(patience * 1000),
      merge,
      entries: options.tableSize ?? 8192,
      ageing: options.ageing ?? 300
    })
  }

  /**
   * Makes a switch of some ports, or of none yet.
   *
   * @throws LinkwrightError see {@link addPort}; then nothing stays
   */
  static async open(options: SwitchOptions = {}): Promise<Switch> {
    checkOptions(options, OPTION_CHECKS)
    const { ports = [], own = [], signal } = options
    const given = ports.map((port, at) => portAndOptions(port, SWITCH_PORT_CHECKS, `ports[${at}]`))
    signal?.throwIfAborted()
    const made = new Switch(options)
    try {
      for (const mac of own) made.fix(mac, 'own')
      const added: SwitchPort[] = []
      const started: SwitchPort[] = []
      for (const [at, { source, options: settings }] of given.entries()) {
        const port = await made.#add(source, { signal, ...settings, paused: true }, `ports[${at}]`)
        added.push(port)
        if (!settings.paused) started.push(port)
      }
      // Nobody could listen for it yet.
      const lost = added.find(port => port.lost)
      if (lost) throw lost.lost
      // All at once: what is read from the first may be for the last.
      ForwardedPort.change(started, { paused: false })
      return made
    } catch (error) {
      await made.close()
      throw error
    }
  }

  /** In the order of adding. Those that are gone or removed are not among them. */
  get ports(): SwitchPort[] {
    return this.list()
  }

  /**
   * Adds a port while others go on; up to 1024.
   *
   * @throws LinkwrightError `EBUSY` (a queue is forwarded already), `ENOSPC` (1024 ports), `ERR_CLOSED`, `EAGAIN` (the
   * system has no thread left), `EBADFD`, `ENOLINK` or `ENODEV` (the device was deleted), `ERR_INVALID_ARG_VALUE` (also for a TUN, which carries no Ethernet frames)
   */
  async addPort(port: PortGiven<SwitchPortOptions>, options: SwitchPortOptions = {}): Promise<SwitchPort> {
    checkOptions(options, SWITCH_PORT_CHECKS)
    const given = portAndOptions(port, SWITCH_PORT_CHECKS, 'port')
    return this.#add(given.source, { ...given.options, ...options }, 'port')
  }

  /** Removes a port while others go on, with all addresses behind it. Its device stays open. Idempotent. */
  async removePort(port: SwitchPort): Promise<void> {
    this.assertOpen()
    if (!(port instanceof SwitchPort && this.owns(port))) throw invalidArgument('port', 'a port of this switch', port)
    await this.part(port)
  }

  /** Who is where, as far as it is known. */
  table(): Station[] {
    this.assertOpen()
    const byId = new Map(this.list().map(port => [port.id, port]))
    const rows = this.native.table()
    const stations: Station[] = []
    for (let at = 0; at + 4 <= rows.length; at += 4) {
      const [mac, id, fixed, age] = rows.subarray(at, at + 4) as unknown as [number, number, number, number]
      const port = id === 0 ? 'own' : byId.get(id)
      if (port !== undefined) stations.push({ mac: macText(mac), port, fixed: fixed !== 0, age })
    }
    return stations
  }

  /**
   * Fixes an address to a port: it is neither learned elsewhere nor forgotten, and frames that come from it elsewhere are
   * dropped. With `own`, from everywhere.
   *
   * @throws LinkwrightError `ENOSPC` (the table is full of such, where this one would be), `ERR_CLOSED`
   */
  fix(mac: string, port: SwitchPort | 'own'): void {
    this.assertOpen()
    const address = unicast(mac, 'mac')
    if (port !== 'own' && !this.list().includes(port))
      throw invalidArgument('port', "a port of this switch, or 'own'", port)
    if (this.native.fix(address, port === 'own' ? 0 : port.id)) return
    throw new LinkwrightError(`no room for ${mac} in the table`, { code: 'ENOSPC', path: 'tableSize' })
  }

  /** Forgets an address, learned or fixed. False when it was not known. */
  forget(mac: string): boolean {
    this.assertOpen()
    return this.native.forget(unicast(mac, 'mac'))
  }

  /** Forgets what was learned, of one port or of all. */
  flush(port?: SwitchPort): void {
    this.assertOpen()
    if (port !== undefined && !this.list().includes(port)) throw invalidArgument('port', 'a port of this switch', port)
    this.native.flush(port?.id ?? 0)
  }

  /** Seconds after which a silent station is forgotten. */
  setAgeing(seconds: number): void {
    this.assertOpen()
    OPTION_CHECKS.ageing(seconds, 'seconds')
    this.native.setAgeing(seconds)
  }

  #add(source: Parameters<typeof this.join>[0], options: SwitchPortOptions, path: string): Promise<SwitchPort> {
    const settings = nativeSettings(options, DEFAULTS)
    const make = (...parameters: ConstructorParameters<typeof SwitchPort>) => new SwitchPort(...parameters)
    return this.join(source, options, 'ethernet', path, settings, make)
  }
}

const DEFAULTS: NativePortSettings = {
  paused: false,
  isolated: false,
  learning: true,
  flood: FLOOD_ALL,
  stormLimit: 0
}

function nativeSettings(settings: SwitchPortSettings, before: NativePortSettings): NativePortSettings {
  return {
    paused: settings.paused ?? before.paused,
    isolated: settings.isolated ?? before.isolated,
    learning: settings.learning ?? before.learning,
    flood: floodBits(settings.flood, before.flood),
    stormLimit: settings.stormLimit ?? before.stormLimit
  }
}

function floodBits(flood: SwitchPortSettings['flood'], before: number): number {
  if (typeof flood === 'boolean') return flood ? FLOOD_ALL : 0
  let bits = before
  for (const [kind, on] of Object.entries(flood ?? {})) {
    const bit = FLOOD[kind as keyof Flooding]
    bits = on === undefined ? bits : on ? bits | bit : bits & ~bit
  }
  return bits
}

/** The number of an address that can be a station's. */
function unicast(mac: unknown, path: string): number {
  if (typeof mac !== 'string') throw invalidArgument(path, 'a MAC address', mac)
  const address = macNumber(mac)
  // The lowest bit of the first byte is that of groups.
  if (address === 0 || Math.floor(address / 2 ** 40) % 2 !== 0)
    throw invalidArgument(path, 'the address of a station', mac)
  return address
}
