/** A learning switch: who gets which frame. */
import { describe, expect, test } from 'vitest'
import {
  type PortSource,
  Switch,
  type SwitchOptions,
  type SwitchPort,
  type SwitchPortOptions,
  type Tap
} from '../../lib/index.js'
import { openTap, openTun } from '../tap/support/devices.js'
import { needsTun } from '../tap/support/needs.js'
import { openSwitch } from './support/forwarders.js'
import { frameOf, plainMac, someTime, until, Wire } from './support/frames.js'
import { threadNames } from './support/threads.js'

needsTun()

const BROADCAST = 'ff:ff:ff:ff:ff:ff'
const MULTICAST = '01:00:5e:00:00:01'
/** A station behind a port. */
const station = (port: number, number = 1) => `02:00:00:00:${port.toString(16).padStart(2, '0')}:0${number}`

/** A switch of TAPs sw0, sw1, … and who is on the other side of them. */
class Bench {
  readonly ports: SwitchPort[] = []
  #sent = 0

  private constructor(
    readonly sw: Switch,
    readonly wire: Wire
  ) {}

  static async open(ports: SwitchPortOptions[], options: SwitchOptions = {}): Promise<Bench> {
    const sw = await openSwitch(options)
    const bench = new Bench(sw, await Wire.open([]))
    for (const settings of ports) await bench.add(settings)
    return bench
  }

  async add(settings: SwitchPortOptions = {}): Promise<SwitchPort> {
    const name = `sw${this.ports.length}`
    const tap = await openTap({ name, up: true, ipv6: false, txqlen: 20_000 })
    const port = await this.sw.addPort(tap, settings)
    this.ports.push(port)
    await this.wire.open(name)
    return port
  }

  port(number: number): SwitchPort {
    return this.ports[number] as SwitchPort
  }

  /** Sends frames into ports, one after the other. */
  async send(...frames: [port: number, frame: string][]): Promise<void> {
    for (const [port, frame] of frames) {
      await this.wire.send(`sw${port}`, frame)
      this.#sent++
      await this.#dealtWith()
    }
  }

  /** Sends a frame many times. */
  async repeat(port: number, frame: string, times: number): Promise<void> {
    await this.wire.repeat(`sw${port}`, frame, times)
    this.#sent += times
    await this.#dealtWith()
  }

  /** The ports that a frame comes out of when it is sent into one. */
  async reached(port: number, frame: string): Promise<number[]> {
    for (const at of this.ports.keys()) await this.wire.take(`sw${at}`)
    await this.send([port, frame])
    const reached: number[] = []
    for (const at of this.ports.keys()) {
      const got = await this.wire.take(`sw${at}`)
      // As it was, and once.
      if (got.length > 0) expect(got).toEqual([frame])
      if (got.length > 0) reached.push(at)
    }
    return reached
  }

  /** Where a station is, or undefined. */
  where(mac: string): string | undefined {
    const found = this.sw.table().filter(entry => entry.mac === mac)
    expect(found.length).toBeLessThanOrEqual(1)
    const [entry] = found
    return entry && (entry.port === 'own' ? 'own' : entry.port.name)
  }

  /** Every frame that was read was sent somewhere or counted as dropped. */
  async #dealtWith(): Promise<void> {
    await until(() => this.sw.counters.rxFrames === this.#sent, `${this.#sent} frames are read`)
    await someTime(5)
  }
}

const three = (options: SwitchOptions = {}) => Bench.open([{}, {}, {}], options)

describe('learning', () => {
  test('a frame for somebody unknown goes everywhere but back, one for somebody known to him alone', async () => {
    const bench = await three()
    expect(await bench.reached(0, frameOf(station(1), station(0)))).toEqual([1, 2])
    expect(bench.where(station(0))).toBe('sw0')
    expect(await bench.reached(1, frameOf(station(0), station(1)))).toEqual([0])
    expect(await bench.reached(0, frameOf(station(1), station(0)))).toEqual([1])
    expect(bench.port(0).counters.flooded).toBe(1)
    expect(bench.sw.table()).toHaveLength(2)
  })

  test('a station that moves is found where it was heard last', async () => {
    const bench = await three()
    await bench.send([0, frameOf(BROADCAST, station(7))])
    expect(bench.where(station(7))).toBe('sw0')
    await bench.send([2, frameOf(BROADCAST, station(7))])
    expect(bench.where(station(7))).toBe('sw2')
    expect(await bench.reached(1, frameOf(station(7), station(1)))).toEqual([2])
  })

  test('a frame for somebody behind the same port goes nowhere', async () => {
    const bench = await three()
    await bench.send([0, frameOf(BROADCAST, station(0, 1))])
    expect(await bench.reached(0, frameOf(station(0, 1), station(0, 2)))).toEqual([])
    expect(bench.port(0).counters.drops.filtered).toBe(1)
  })

  test('switched off at a port, nobody is learned there, and others are', async () => {
    const bench = await Bench.open([{ learning: false }, {}, {}])
    await bench.send([0, frameOf(BROADCAST, station(0))], [1, frameOf(BROADCAST, station(1))])
    expect(bench.where(station(0))).toBeUndefined()
    expect(await bench.reached(1, frameOf(station(0), station(1)))).toEqual([0, 2])
    bench.port(0).set({ learning: true })
    expect(bench.port(0).learning).toBe(true)
    await bench.send([0, frameOf(BROADCAST, station(0))])
    expect(bench.where(station(0))).toBe('sw0')
  })

  test('a silent station is forgotten in time', { timeout: 20_000 }, async () => {
    const bench = await three({ ageing: 1 })
    await bench.send([0, frameOf(BROADCAST, station(0))])
    expect(await bench.reached(1, frameOf(station(0), station(1)))).toEqual([0])
    await someTime(2500)
    expect(bench.where(station(0))).toBeUndefined()
    expect(await bench.reached(1, frameOf(station(0), station(1)))).toEqual([0, 2])
  })

  test('one that is heard is not', { timeout: 20_000 }, async () => {
    const bench = await three({ ageing: 1 })
    bench.sw.setAgeing(2)
    for (let times = 0; times < 8; times++) {
      await bench.send([0, frameOf(BROADCAST, station(0))])
      await someTime(500)
    }
    expect(bench.where(station(0))).toBe('sw0')
    expect(bench.sw.table()[0]?.age).toBeLessThanOrEqual(1)
  })

  test('addresses of groups and none are no stations', async () => {
    const bench = await three()
    expect(await bench.reached(0, frameOf(station(1), MULTICAST))).toEqual([])
    expect(await bench.reached(0, frameOf(station(1), '00:00:00:00:00:00'))).toEqual([])
    expect(bench.port(0).counters.drops.malformed).toBe(2)
    expect(bench.sw.table()).toEqual([])
    // As a destination it is unknown like any other.
    expect(await bench.reached(0, frameOf('00:00:00:00:00:00', station(0)))).toEqual([1, 2])
  })

  test('a small table forgets who was silent for longest, and never grows', { timeout: 20_000 }, async () => {
    const bench = await three({ tableSize: 10 })
    const many = Array.from({ length: 40 }, (_, at) => `02:00:00:01:00:${at.toString(16).padStart(2, '0')}`)
    for (const mac of many) await bench.send([0, frameOf(BROADCAST, mac)])
    expect(bench.sw.table().length).toBeLessThanOrEqual(10)
    await someTime(1500)
    await bench.send([2, frameOf(BROADCAST, station(2))])
    expect(bench.where(station(2))).toBe('sw2')
  })

  test('is forgotten by address, by port, and as a whole', async () => {
    const bench = await three()
    const everybody = [0, 1, 2].map(port => [port, frameOf(BROADCAST, station(port))] as [number, string])
    await bench.send(...everybody)
    expect([bench.sw.forget(station(1)), bench.sw.forget(station(1))]).toEqual([true, false])
    expect(bench.sw.table()).toHaveLength(2)
    bench.sw.flush(bench.port(0))
    expect(bench.sw.table().map(({ mac }) => mac)).toEqual([station(2)])
    await bench.send(...everybody)
    bench.sw.flush()
    expect(bench.sw.table()).toEqual([])
  })
})

describe('flooding', () => {
  test('broadcast and multicast go everywhere but back', async () => {
    const bench = await three()
    expect(await bench.reached(1, frameOf(BROADCAST, station(1)))).toEqual([0, 2])
    expect(await bench.reached(1, frameOf(MULTICAST, station(1)))).toEqual([0, 2])
  })

  test.each([
    ['unknown', station(9)],
    ['multicast', MULTICAST],
    ['broadcast', BROADCAST]
  ])('of %s can be switched off for a port, and on again', async (kind, destination) => {
    const bench = await Bench.open([{}, { flood: { [kind]: false } }, {}])
    for (const [other, to] of Object.entries({ unknown: station(9), multicast: MULTICAST, broadcast: BROADCAST })) {
      expect(await bench.reached(0, frameOf(to, station(0)))).toEqual(other === kind ? [2] : [1, 2])
    }
    expect(bench.port(1).flood).toEqual({ unknown: true, multicast: true, broadcast: true, [kind]: false })
    bench.port(1).set({ flood: { [kind]: true } })
    expect(await bench.reached(0, frameOf(destination, station(0)))).toEqual([1, 2])
  })

  test('where it reaches nobody, a frame is unknown', async () => {
    const bench = await Bench.open([{}, { flood: false }, { flood: false }])
    expect(await bench.reached(0, frameOf(station(9), station(0)))).toEqual([])
    expect(bench.port(0).counters.drops.unknown).toBe(1)
    // Who is known is reached all the same.
    await bench.send([1, frameOf(BROADCAST, station(1))])
    expect(await bench.reached(0, frameOf(station(1), station(0)))).toEqual([1])
  })

  test('of link-local addresses is left out, but for the spanning tree’s', async () => {
    const bench = await three()
    expect(await bench.reached(0, frameOf('01:80:c2:00:00:00', station(0)))).toEqual([1, 2])
    for (const last of ['01', '02', '0e', '0f']) {
      expect(await bench.reached(0, frameOf(`01:80:c2:00:00:${last}`, station(0)))).toEqual([])
    }
    expect(await bench.reached(0, frameOf('01:80:c2:00:00:10', station(0)))).toEqual([1, 2])
    expect(bench.port(0).counters.drops.filtered).toBe(4)
  })

  test('is limited to so many frames a second, and known stations are not', async () => {
    const bench = await Bench.open([{ stormLimit: 100 }, {}, {}])
    await bench.send([1, frameOf(BROADCAST, station(1))])
    await bench.wire.take('sw1')
    await bench.repeat(0, frameOf(BROADCAST, station(0)), 1000)
    const { flooded, drops } = bench.port(0).counters
    expect(flooded + drops.storm).toBe(1000)
    // All in one second, or in two.
    expect([100, 200]).toContain(flooded)
    expect(await bench.wire.take('sw1')).toHaveLength(flooded)
    await bench.repeat(0, frameOf(station(1), station(0)), 500)
    expect(await bench.wire.take('sw1')).toHaveLength(500)
    await someTime(1100)
    expect(await bench.reached(0, frameOf(BROADCAST, station(0)))).toEqual([1, 2])
    bench.port(0).set({ stormLimit: 0 })
    await bench.repeat(0, frameOf(BROADCAST, station(0)), 1000)
    expect(bench.port(0).counters.drops.storm).toBe(drops.storm)
  })
})

describe('isolation', () => {
  test('isolated ports reach those that are not, and not each other', async () => {
    const bench = await Bench.open([{ isolated: true }, { isolated: true }, {}])
    expect(await bench.reached(0, frameOf(BROADCAST, station(0)))).toEqual([2])
    expect(await bench.reached(2, frameOf(BROADCAST, station(2)))).toEqual([0, 1])
    expect(await bench.reached(1, frameOf(station(0), station(1)))).toEqual([])
    expect(bench.port(1).counters.drops.isolated).toBe(1)
    expect(await bench.reached(2, frameOf(station(0), station(2)))).toEqual([0])
    bench.port(0).set({ isolated: false })
    expect(await bench.reached(1, frameOf(station(0), station(1)))).toEqual([0])
  })

  test('where it leaves nobody, it is counted as that', async () => {
    const bench = await Bench.open([{ isolated: true }, { isolated: true }])
    expect(await bench.reached(0, frameOf(BROADCAST, station(0)))).toEqual([])
    expect(bench.port(0).counters.drops).toMatchObject({ isolated: 1, unknown: 0 })
  })
})

describe('fixed addresses', () => {
  test('are never learned elsewhere, forgotten or flushed', async () => {
    const bench = await three()
    bench.sw.fix(station(5), bench.port(1))
    expect(await bench.reached(0, frameOf(station(5), station(0)))).toEqual([1])
    expect(await bench.reached(2, frameOf(BROADCAST, station(5)))).toEqual([])
    expect(bench.port(2).counters.drops.loop).toBe(1)
    expect(await bench.reached(1, frameOf(BROADCAST, station(5)))).toEqual([0, 2])
    bench.sw.flush()
    expect(bench.sw.table()).toEqual([{ mac: station(5), port: bench.port(1), fixed: true, age: 0 }])
    expect(bench.sw.forget(station(5))).toBe(true)
    expect(await bench.reached(2, frameOf(BROADCAST, station(5)))).toEqual([0, 1])
  })

  test('hold where learning is off as well', async () => {
    const bench = await Bench.open([{ learning: false }, {}])
    bench.sw.fix(station(5), bench.port(1))
    expect(await bench.reached(0, frameOf(BROADCAST, station(5)))).toEqual([])
    expect(bench.port(0).counters.drops.loop).toBe(1)
  })

  test('take the place of what was learned, and go with their port', async () => {
    const bench = await three()
    await bench.send([0, frameOf(BROADCAST, station(5))])
    bench.sw.fix(station(5), bench.port(1))
    expect(bench.where(station(5))).toBe('sw1')
    await bench.sw.removePort(bench.port(1))
    expect(bench.sw.table()).toEqual([])
  })

  test('of our own: nothing comes from them, and nothing is sent there', async () => {
    const own = '02:00:00:00:00:ff'
    const bench = await three({ own: [own] })
    expect(await bench.reached(0, frameOf(BROADCAST, own))).toEqual([])
    expect(bench.port(0).counters.drops.loop).toBe(1)
    expect(await bench.reached(0, frameOf(own, station(0)))).toEqual([])
    expect(bench.port(0).counters.drops.filtered).toBe(1)
    expect(bench.where(own)).toBe('own')
    bench.sw.fix(station(6), 'own')
    expect(await bench.reached(2, frameOf(BROADCAST, station(6)))).toEqual([])
  })

  test('find no room where all is taken by others', async () => {
    const bench = await Bench.open([{}], { tableSize: 1 })
    const fixAll = () => {
      for (let at = 0; at < 20; at++) bench.sw.fix(`02:00:00:00:01:${at.toString(16).padStart(2, '0')}`, bench.port(0))
    }
    expect(fixAll).toThrow(expect.objectContaining({ code: 'ENOSPC', path: 'tableSize' }))
  })
})

describe('ports', () => {
  test('are added and removed while others go on', async () => {
    const bench = await Bench.open([{}, {}])
    const added = await bench.add()
    expect(bench.sw.ports).toEqual(bench.ports)
    expect(await bench.reached(0, frameOf(BROADCAST, station(0)))).toEqual([1, 2])
    await bench.send([2, frameOf(BROADCAST, station(2))])
    const before = bench.sw.counters
    await bench.sw.removePort(added)
    expect(added.state).toBe('removed')
    expect(bench.sw.ports).toEqual(bench.ports.slice(0, 2))
    expect(bench.where(station(2))).toBeUndefined()
    // Nothing is lost of what was counted.
    expect(bench.sw.counters).toEqual(before)
    bench.ports.pop()
    expect(await bench.reached(0, frameOf(station(2), station(0)))).toEqual([1])
    // Once more, the same device.
    await expect(bench.sw.addPort(added.source)).resolves.toMatchObject({ name: 'sw2', state: 'up' })
  })

  test('paused, they are left out; resumed, they are back', async () => {
    const bench = await three()
    await bench.send([1, frameOf(BROADCAST, station(1))])
    bench.port(1).pause()
    expect(await bench.reached(0, frameOf(BROADCAST, station(0)))).toEqual([2])
    expect(await bench.reached(0, frameOf(station(1), station(0)))).toEqual([])
    expect(bench.port(1).counters.drops.paused).toBe(1)
    await bench.wire.send('sw1', frameOf(BROADCAST, station(1)))
    await someTime(30)
    expect(bench.port(1).counters.rxFrames).toBe(1)
    bench.port(1).resume()
    await until(() => bench.port(1).counters.rxFrames === 2, 'what waited is read')
  })

  test('of the beginning hear of each other from the first frame on', async () => {
    const taps = await Promise.all(
      ['sw0', 'sw1', 'sw2'].map(name => openTap({ name, up: true, ipv6: false, txqlen: 20_000 }))
    )
    const wire = await Wire.open(['sw0'])
    await wire.repeat('sw0', frameOf(BROADCAST, station(0)), 500)
    const [first, second, third] = taps as [Tap, Tap, Tap]
    const sw = await openSwitch({ ports: [first, second, { port: third, paused: true }] })
    expect(sw.ports.map(port => port.paused)).toEqual([false, false, true])
    await until(() => sw.ports[1]?.counters.txFrames === 500, 'all pass')
  })

  test('of another switch are not removed here', async () => {
    const [one, other] = [await Bench.open([{}]), await openSwitch({ name: 'other' })]
    const tap = await openTap({ name: 'sw9', up: true, ipv6: false })
    const foreign = await other.addPort(tap)
    expect(foreign.id).toBe(one.port(0).id)
    await expect(one.sw.removePort(foreign)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE', path: 'port' })
    expect([one.sw.ports, other.ports]).toEqual([[one.port(0)], [foreign]])
    // Its own are, once.
    await one.sw.removePort(one.port(0))
    await one.sw.removePort(one.port(0))
    expect(one.port(0).state).toBe('removed')
  })

  test('their threads come and go with them', async () => {
    const switchThreads = () => threadNames().filter(name => name.startsWith('switch-')).length
    const bench = await three()
    await until(() => switchThreads() === 3, 'three threads')
    await bench.sw.removePort(bench.port(1))
    expect(switchThreads()).toBe(2)
    await bench.sw.close()
    expect(switchThreads()).toBe(0)
  })

  test('share threads when there are fewer, and are removed one by one', async () => {
    const bench = await Bench.open([{}, {}, {}, {}], { threads: 2, name: 'few' })
    const fewThreads = () => threadNames().filter(name => name.startsWith('few-')).length
    await until(() => fewThreads() === 2, 'two threads')
    expect(await bench.reached(3, frameOf(BROADCAST, station(3)))).toEqual([0, 1, 2])
    for (let left = 3; left >= 0; left--) {
      await bench.sw.removePort(bench.port(left))
      bench.ports.pop()
      if (left > 1) expect(await bench.reached(0, frameOf(BROADCAST, station(0)))).toHaveLength(left - 1)
    }
    expect(fewThreads()).toBe(0)
  })

  test('are refused where they are none', async () => {
    const bench = await Bench.open([{}])
    const tun = await openTun({ name: 'sw-tun' })
    await expect(bench.sw.addPort(tun)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE', path: 'port' })
    await expect(bench.sw.addPort(bench.port(0).source)).rejects.toMatchObject({ code: 'EBUSY' })
    await expect(bench.sw.addPort({} as PortSource)).rejects.toMatchObject({ path: 'port' })
    const tap = await openTap({ name: 'sw-tap' })
    const options = (value: unknown) => bench.sw.addPort(tap, value as SwitchPortOptions)
    await expect(options({ flood: 1 })).rejects.toMatchObject({ path: 'flood' })
    await expect(options({ flood: { all: true } })).rejects.toMatchObject({ path: 'all' })
    await expect(options({ stormLimit: -1 })).rejects.toMatchObject({ path: 'stormLimit' })
    await expect(options({ isolate: true })).rejects.toMatchObject({ path: 'isolate' })
    await expect(bench.sw.addPort({ port: tap, isolated: 'yes' } as never)).rejects.toMatchObject({
      path: 'port.isolated'
    })
    await bench.sw.close()
    await expect(bench.sw.addPort(tap)).rejects.toMatchObject({ code: 'ERR_CLOSED' })
    expect(() => bench.sw.table()).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }))
  })
})

test('options that are none are refused, and nothing stays of what was begun', async () => {
  const tap = await openTap({ name: 'sw0', up: true })
  const tun = await openTun({ name: 'sw-tun' })
  const refused = (options: unknown) => expect(Switch.open(options as SwitchOptions)).rejects
  await refused({ ports: [tap, tun] }).toMatchObject({ code: 'ERR_INVALID_ARG_VALUE', path: 'ports[1]' })
  await refused({ ports: tap }).toMatchObject({ path: 'ports' })
  await refused({ ports: [{ port: tap, flod: true }] }).toMatchObject({ path: 'flod' })
  await refused({ own: ['ff:ff:ff:ff:ff:ff'] }).toMatchObject({ path: 'own[0]' })
  await refused({ ageing: 0 }).toMatchObject({ path: 'ageing' })
  await refused({ tableSize: 2 ** 21 }).toMatchObject({ path: 'tableSize' })
  await refused({ hairpin: true }).toMatchObject({ path: 'hairpin' })
  const sw = await openSwitch({ ports: [tap] })
  expect(sw.ports.map(({ name }) => name)).toEqual(['sw0'])
  expect(() => sw.fix('ff:ff:ff:ff:ff:ff', 'own')).toThrow(expect.objectContaining({ path: 'mac' }))
  expect(() => sw.fix(station(1), {} as SwitchPort)).toThrow(expect.objectContaining({ path: 'port' }))
  expect(() => sw.forget('02')).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }))
})

test('a thousand stations behind eight ports are each reached where they are', { timeout: 60_000 }, async () => {
  const bench = await Bench.open(Array.from({ length: 8 }, () => ({})))
  const macs = Array.from({ length: 1000 }, (_, at) => `02:00:00:0a:${plainMac16(at)}`)
  for (let port = 0; port < 8; port++) {
    const own = macs.filter((_, at) => at % 8 === port)
    await bench.wire.send(`sw${port}`, ...own.map(mac => frameOf(BROADCAST, mac)))
  }
  await until(() => bench.sw.table().length === 1000, 'all are learned')
  for (const port of bench.ports.keys()) await bench.wire.take(`sw${port}`)
  // Everybody writes to everybody's neighbour.
  for (let port = 0; port < 8; port++) {
    const own = macs.flatMap((mac, at) => (at % 8 === port ? [frameOf(macs[(at + 1) % 1000] as string, mac)] : []))
    await bench.wire.send(`sw${port}`, ...own)
  }
  await until(() => bench.sw.counters.rxFrames === 2000, 'all are read')
  await someTime(20)
  for (let port = 0; port < 8; port++) {
    const got = await bench.wire.take(`sw${port}`)
    const expected = macs.filter((_, at) => at % 8 === port).map(plainMac)
    expect(got.map(frame => frame.slice(0, 12)).toSorted()).toEqual(expected.toSorted())
  }
})

const plainMac16 = (at: number) =>
  `${(at >> 8).toString(16).padStart(2, '0')}:${(at & 255).toString(16).padStart(2, '0')}`
