/** What becomes of a forwarder whose ports go away, go down, or take nothing any more. */
import { once } from 'node:events'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type ForwardedPort, type LinkwrightError, Pipe, Switch, type SwitchPort, UnixPort } from '../../lib/index.js'
import { openMacvtap, openNetlink, openTap } from '../tap/support/devices.js'
import { createLower } from '../tap/support/lower.js'
import { isInitialRoot, needsMacvtap, needsTun } from '../tap/support/needs.js'
import { createNetns } from '../tap/support/netns.js'
import { freshIndex, ip, ipLink } from '../tap/support/system.js'
import { openPipe, openSwitch } from './support/forwarders.js'
import { frameOf, someTime, transfer, until, Wire } from './support/frames.js'
import { threadNames } from './support/threads.js'

const A = '02:00:00:00:00:0a'
const B = '02:00:00:00:00:0b'

const device = (name: string, options: Parameters<typeof openTap>[0] = {}) =>
  openTap({ name, up: true, ipv6: false, txqlen: 20_000, ...options })

/** What a port tells from now on. */
function tellings(port: ForwardedPort): string[] {
  const told: string[] = []
  for (const event of ['up', 'down', 'gone'] as const) port.on(event, () => told.push(event))
  return told
}

const goneError = async (port: ForwardedPort): Promise<LinkwrightError> => {
  const [error] = await once(port, 'gone', { signal: AbortSignal.timeout(5000) })
  return error
}

/** Milliseconds of processor time that this process takes meanwhile. */
async function processorTime(milliseconds: number): Promise<number> {
  const before = process.cpuUsage()
  await someTime(milliseconds)
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1000
}

describe('a TAP', () => {
  needsTun()

  test('that goes down loses frames, which are counted; up again, it gets them', async () => {
    const [a, b] = [await device('fault-a'), await device('fault-b')]
    const pipe = await openPipe(a, b)
    const told = tellings(pipe.b)
    const wire = await Wire.open(['fault-a'])
    ip(undefined, 'link', 'set', 'fault-b', 'down')
    await until(() => pipe.b.state === 'down', 'it tells that it is down')
    await wire.repeat('fault-a', frameOf(B, A), 500)
    await until(() => pipe.b.counters.drops.down === 500, 'all are dropped')
    expect(pipe.b.counters.txFrames).toBe(0)
    ip(undefined, 'link', 'set', 'fault-b', 'up')
    await until(() => pipe.b.state === 'up', 'it tells that it is up')
    expect(await transfer({ link: 'fault-a' }, { link: 'fault-b' }, 500)).toMatchObject({ frames: 500, wrong: 0 })
    expect(told).toEqual(['down', 'up'])
    expect(pipe.a.state).toBe('up')
  })

  test('that is down from the beginning says so', async () => {
    const pipe = await openPipe(await device('fault-a'), await device('fault-b', { up: false }))
    expect([pipe.a.state, pipe.b.state]).toEqual(['up', 'down'])
  })

  test('that is down costs no processor time, under load either', async () => {
    const pipe = await openPipe(await device('fault-a'), await device('fault-b'))
    ip(undefined, 'link', 'set', 'fault-b', 'down')
    ip(undefined, 'link', 'set', 'fault-a', 'down')
    await until(() => pipe.b.state === 'down', 'it tells that it is down')
    expect(await processorTime(400)).toBeLessThan(100)
  })

  test('with a detached queue goes on with the others, and with that one when it is back', async () => {
    const [a, b] = [await device('fault-a', { queues: 2 }), await device('fault-b')]
    const pipe = await openPipe(a, b)
    const told = tellings(pipe.a)
    await a.detachQueue(1)
    expect(await transfer({ link: 'fault-a' }, { link: 'fault-b' }, 500)).toMatchObject({ frames: 500, wrong: 0 })
    expect(await processorTime(300)).toBeLessThan(100)
    await a.attachQueue(1)
    await a.detachQueue(0)
    expect(await transfer({ link: 'fault-a' }, { link: 'fault-b' }, 500)).toMatchObject({ frames: 500, wrong: 0 })
    expect(pipe.a.counters.rxFramesByQueue).toEqual([500, 500])
    expect([told, pipe.a.state]).toEqual([[], 'up'])
  })

  test('that is deleted tells why, leaves, and the others go on', async () => {
    const names = ['fault-a', 'fault-b', 'fault-c']
    const sw = await openSwitch({ ports: await Promise.all(names.map(name => device(name))), name: 'faults' })
    const [first, second, third] = sw.ports as [SwitchPort, SwitchPort, SwitchPort]
    const wire = await Wire.open(['fault-a', 'fault-c'])
    const gone = goneError(second)
    const told = tellings(second)
    ip(undefined, 'link', 'delete', 'fault-b')
    expect(await gone).toMatchObject({ code: 'EBADFD', link: 'fault-b', diagnosis: 'the device was deleted' })
    expect(second.state).toBe('gone')
    expect(sw.ports).toEqual([first, third])
    await until(() => threadNames().filter(name => name.startsWith('faults-')).length === 2, 'its thread ends')
    await wire.send('fault-a', frameOf('ff:ff:ff:ff:ff:ff', A))
    await until(() => third.counters.txFrames === 1, 'the others go on')
    expect(await processorTime(300)).toBeLessThan(100)
    // Before the deletion the kernel takes it down, and tells.
    expect(told.filter(event => event === 'gone')).toHaveLength(1)
    expect(told.at(-1)).toBe('gone')
  })

  test('that is deleted under load is gone without a busy loop', async () => {
    const [a, b] = [await device('fault-a'), await device('fault-b')]
    const pipe = await openPipe(a, b)
    const wire = await Wire.open(['fault-a'])
    const sending = wire.repeat('fault-a', frameOf(B, A), 20_000)
    const gone = goneError(pipe.b)
    await someTime(20)
    ip(undefined, 'link', 'delete', 'fault-b')
    expect((await gone).code).toBe('EBADFD')
    await sending
    await until(() => pipe.a.counters.rxFrames === 20_000, 'all are read')
    const { drops } = pipe.a.counters
    const { txFrames, drops: lost } = pipe.b.counters
    // The kernel refuses what comes between going down and being gone.
    expect(txFrames + lost.gone + lost.down + drops.unknown).toBe(20_000)
    expect(await processorTime(300)).toBeLessThan(100)
  })

  test('that was deleted before is refused, for nobody could hear that it is gone', async () => {
    const [a, b] = [await device('fault-a'), await device('fault-b')]
    ip(undefined, 'link', 'delete', 'fault-b')
    await expect(Pipe.open(a, b)).rejects.toMatchObject({ code: 'EBADFD', link: 'fault-b' })
    const sw = await openSwitch({ ports: [a] })
    await expect(sw.addPort(b)).rejects.toMatchObject({ code: 'EBADFD', link: 'fault-b' })
    expect(sw.ports).toHaveLength(1)
  })

  test('that is deleted while the other end is made ready is refused as well, or told of afterwards', async () => {
    const [a, b] = [await device('fault-a'), await device('fault-b', { netns: createNetns() })]
    const { place } = b
    // Asked for when the first end is ready.
    Object.defineProperty(b, 'place', {
      get: () => {
        if (ipLink('fault-a')) ip(undefined, 'link', 'delete', 'fault-a')
        return place
      }
    })
    // Its announcement may come when both are.
    const pipe = await Pipe.open(a, b).catch((error: Error) => error)
    const told = pipe instanceof Pipe ? await goneError(pipe.a) : pipe
    if (pipe instanceof Pipe) await pipe.close()
    expect(told).toMatchObject({ code: 'EBADFD', link: 'fault-a' })
    const [again, another] = [await device('fault-a'), await device('fault-c', { netns: createNetns() })]
    Object.defineProperty(another, 'place', Object.getOwnPropertyDescriptor(b, 'place') as PropertyDescriptor)
    const sw = await Switch.open({ ports: [again, another] }).catch((error: Error) => error)
    const heard = sw instanceof Switch ? await goneError(sw.ports[0] as ForwardedPort) : sw
    if (sw instanceof Switch) await sw.close()
    expect(heard).toMatchObject({ code: 'EBADFD', link: 'fault-a' })
  })

  test('whose both ends are deleted can still be closed', async () => {
    const pipe = await openPipe(await device('fault-a'), await device('fault-b'))
    const both = Promise.all([goneError(pipe.a), goneError(pipe.b)])
    ip(undefined, 'link', 'delete', 'fault-a')
    ip(undefined, 'link', 'delete', 'fault-b')
    await both
    await pipe.close()
    await pipe.close({ drain: true })
  })

  test('whose object is closed goes on until it is removed, and is gone then', async () => {
    const [a, b] = [await device('fault-a'), await device('fault-b')]
    const pipe = await openPipe(a, b)
    await a.close()
    await b.close()
    expect(await transfer({ link: 'fault-a' }, { link: 'fault-b' }, 500)).toMatchObject({ frames: 500, wrong: 0 })
    await pipe.close()
    await until(() => ipLink('fault-a') === undefined && ipLink('fault-b') === undefined, 'the devices go')
  })

  test('that moves to another namespace takes its frames along, and is gone with that', async () => {
    const elsewhere = createNetns()
    const pipe = await openPipe(await device('fault-a'), await device('fault-b'))
    ip(undefined, 'link', 'set', 'fault-b', 'netns', elsewhere)
    ip(elsewhere, 'link', 'set', 'fault-b', 'txqlen', '20000', 'up')
    await someTime(100)
    const moved = { link: 'fault-b', netns: elsewhere }
    expect(await transfer({ link: 'fault-a' }, moved, 500)).toMatchObject({ frames: 500, wrong: 0 })
    expect(pipe.b.state).not.toBe('gone')
    // Down is told by what writes say, now that nobody announces it.
    ip(elsewhere, 'link', 'set', 'fault-b', 'down')
    const wire = await Wire.open(['fault-a'])
    await wire.send('fault-a', frameOf(B, A))
    await until(() => pipe.b.state === 'down', 'the next frame tells')
    const gone = goneError(pipe.b)
    ip(elsewhere, 'link', 'delete', 'fault-b')
    expect((await gone).code).toBe('EBADFD')
  })

  test.skipIf(!isInitialRoot())('is forwarded by who may not enter its namespace any more, and missed', async () => {
    const netns = createNetns()
    const [a, b] = [await device('fault-a'), await device('fault-b', { netns })]
    process.seteuid?.(65_534)
    const opening = openPipe(a, b)
    const pipe = await opening.finally(() => process.seteuid?.(0))
    expect(await transfer({ link: 'fault-a' }, { link: 'fault-b', netns }, 500)).toMatchObject({
      frames: 500,
      wrong: 0
    })
    const gone = goneError(pipe.b)
    ip(netns, 'link', 'delete', 'fault-b')
    expect((await gone).code).toBe('EBADFD')
  })

  test('is gone with the namespace that it was moved to', async () => {
    const pipe = await openPipe(await device('fault-a'), await device('fault-b'))
    const name = `lw-fault-${process.pid}`
    ip(undefined, 'netns', 'add', name)
    ip(undefined, 'link', 'set', 'fault-b', 'netns', name)
    const gone = goneError(pipe.b)
    ip(undefined, 'netns', 'delete', name)
    expect((await gone).code).toBe('EBADFD')
  })

  test('in a namespace whose name is gone goes on: its descriptors hold on to it', async () => {
    const name = `lw-fault-${process.pid}`
    ip(undefined, 'netns', 'add', name)
    const pipe = await openPipe(await device('fault-a'), await device('fault-b', { netns: name }))
    const told = tellings(pipe.b)
    ip(undefined, 'netns', 'delete', name)
    const wire = await Wire.open(['fault-a'])
    await wire.send('fault-a', frameOf(B, A))
    await until(() => pipe.b.counters.txFrames === 1, 'a frame passes')
    expect(told).toEqual([])
  })
})

describe('a macvtap', () => {
  needsMacvtap()

  async function macvtap(name: string, netns?: string) {
    const lower = createLower(netns)
    const net = await openNetlink({ netns })
    const link = await net.links.create({
      kind: 'macvtap',
      name,
      link: lower.name,
      mode: 'bridge',
      index: freshIndex(),
      up: true
    })
    return { lower, net, link, device: await openMacvtap(link, { net, vnetHeader: true }) }
  }

  test('that is deleted, which its descriptor does not tell, is gone', async () => {
    const { net, device: direct } = await macvtap('fault-m')
    const pipe = await openPipe(direct, await device('fault-b'))
    const gone = goneError(pipe.a)
    await net.links.delete('fault-m')
    expect(await gone).toMatchObject({ code: 'ENOLINK', link: 'fault-m', diagnosis: 'the link was deleted' })
    expect(pipe.a.state).toBe('gone')
    expect(await processorTime(300)).toBeLessThan(100)
  })

  test('in another namespace likewise, and when its lower device is', async () => {
    const netns = createNetns()
    const { device: direct, lower } = await macvtap('fault-m', netns)
    const pipe = await openPipe(direct, await device('fault-b'))
    const gone = goneError(pipe.a)
    ip(netns, 'link', 'delete', lower.name)
    expect((await gone).code).toBe('ENOLINK')
  })

  test('that was deleted before is refused', async () => {
    const { net, device: direct } = await macvtap('fault-m')
    await net.links.delete('fault-m')
    await expect(Pipe.open(direct, await device('fault-b'))).rejects.toMatchObject({ code: 'ENOLINK', link: 'fault-m' })
  })

  test('goes down and up, as is announced', async () => {
    const { net, device: direct } = await macvtap('fault-m')
    const pipe = await openPipe(direct, await device('fault-b'))
    const told = tellings(pipe.a)
    await net.links.down('fault-m')
    await until(() => pipe.a.state === 'down', 'it is down')
    await net.links.up('fault-m')
    await until(() => pipe.a.state === 'up', 'it is up')
    expect(told).toEqual(['down', 'up'])
  })

  test('that moves to another namespace goes on, and is missed when it is deleted there', async () => {
    const { device: direct } = await macvtap('fault-m')
    const elsewhere = createNetns()
    const pipe = await openPipe(direct, await device('fault-b'))
    ip(undefined, 'link', 'set', 'fault-m', 'netns', elsewhere)
    ip(elsewhere, 'link', 'set', 'fault-m', 'up')
    await someTime(200)
    expect(pipe.a.state).not.toBe('gone')
    const gone = goneError(pipe.a)
    ip(elsewhere, 'link', 'delete', 'fault-m')
    expect((await gone).code).toBe('ENOLINK')
  })

  test('forwards what its host sends, and back', async () => {
    const { lower, device: direct, link } = await macvtap('fault-m')
    await openPipe(direct, await device('fault-b'))
    const wire = await Wire.open(['fault-b'])
    const there = await Wire.open(['eth0'], lower.outside)
    const mac = link.address as string
    await there.send('eth0', frameOf(mac, A, 1))
    let got: string[] = []
    await until(async () => {
      got = got.concat(await wire.take('fault-b'))
      return got.includes(frameOf(mac, A, 1))
    }, 'the frame from beyond the lower device arrives')
    await wire.send('fault-b', frameOf(A, mac, 2))
    await until(async () => (await there.take('eth0')).includes(frameOf(A, mac, 2)), 'and the one back')
  })
})

describe('a port that takes nothing', () => {
  needsTun()

  const LARGE = frameOf(B, A) + '00'.repeat(1400)

  function nobodyReads() {
    const { port, peer } = UnixPort.pair('stream', { sendBuffer: 4096 })
    onTestFinished(() => peer.close())
    onTestFinished(() => port.close())
    return { port, peer }
  }

  test('is waited for, not for ever, and what it does not take is counted', async () => {
    const { port } = nobodyReads()
    const pipe = await openPipe(await device('fault-a'), port, { patience: 200 })
    const wire = await Wire.open(['fault-a'])
    await wire.repeat('fault-a', LARGE, 2000)
    await until(() => pipe.a.counters.rxFrames === 2000, 'all are read')
    await until(() => {
      const { txFrames, drops } = pipe.b.counters
      return drops.refused > 0 && txFrames + drops.refused === 2000
    }, 'each is sent or counted')
    expect(await processorTime(300)).toBeLessThan(100)
  })

  test('does not hold up the others of a switch', async () => {
    const { port } = nobodyReads()
    const sw = await openSwitch({ ports: [await device('fault-a'), port, await device('fault-c')] })
    const [, second, third] = sw.ports as [SwitchPort, SwitchPort, SwitchPort]
    const wire = await Wire.open(['fault-a', 'fault-c'])
    const start = performance.now()
    await wire.repeat('fault-a', `ffffffffffff${LARGE.slice(12)}`, 3000)
    await until(() => third.counters.txFrames === 3000, 'the other gets all of it')
    expect(performance.now() - start).toBeLessThan(3000)
    expect(second.counters.drops.refused + second.counters.txFrames).toBe(3000)
    expect(second.counters.drops.refused).toBeGreaterThan(2000)
    expect(second.state).toBe('up')
  })

  test('does not hold up closing or removing', async () => {
    const { port } = nobodyReads()
    const sw = await openSwitch({ ports: [await device('fault-a'), port], patience: 30_000 })
    const [, second] = sw.ports as [SwitchPort, SwitchPort]
    const wire = await Wire.open(['fault-a'])
    await wire.repeat('fault-a', LARGE, 500)
    await until(() => second.counters.txFrames > 0, 'it is full')
    await someTime(50)
    const start = performance.now()
    await sw.removePort(second)
    expect(performance.now() - start).toBeLessThan(1000)
    const again = await sw.addPort(port)
    await wire.repeat('fault-a', LARGE, 500)
    await someTime(50)
    await sw.close()
    expect(performance.now() - start).toBeLessThan(3000)
    expect(again.state).toBe('removed')
  })

  test('is gone when its peer is', async () => {
    const { port, peer } = nobodyReads()
    const pipe = await openPipe(await device('fault-a'), port)
    const gone = goneError(pipe.b)
    await peer.close()
    expect((await gone).link).toBe(port.name)
    expect(pipe.b.state).toBe('gone')
  })
})

test('a listener that throws is an uncaught exception, as everywhere', async () => {
  const { runProgram } = await import('../support/program.js')
  const { code, stderr } = await runProgram('forward-throws')
  expect(code).toBe(1)
  expect(stderr).toContain('on purpose')
})
