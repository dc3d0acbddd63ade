/** Connections between two kernels' stacks, whose frames are split and merged here on the way. */
import { createSocket } from 'node:dgram'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import {
  completeChecksums,
  FrameBatch,
  type FrameQueue,
  mergeFrames,
  type OffloadPreset,
  type Progress,
  segmentFrames,
  VnetHeader
} from '../../lib/index.js'
import { batchOf } from '../frames/support/batches.js'
import { pattern, segmentsOf } from '../frames/support/flows.js'
import { openTap } from './support/devices.js'
import { needsTun } from './support/needs.js'
import { createNetns } from './support/netns.js'
import { kernelTakes } from './support/offloads.js'
import { inside, ip, ipLink, PYTHON, run, runBeside } from './support/system.js'

needsTun()

const SCRIPT = fileURLToPath(new URL('support/traffic.py', import.meta.url))
const USO = 0x61
const knowsUso = kernelTakes(USO)

interface Seen {
  /** Super-frames that came, and that went on. */
  largeIn: number
  largeOut: number
  /** Frames that came without a checksum. */
  partial: number
  frames: number
}

/** What is done with frames between one stack and the other: writes them all into `to`. */
type Way = (batch: FrameBatch, to: FrameQueue) => Promise<void>

const wire = new FrameBatch({ frames: 512, bytes: 1 << 20, vnetHeaderSize: 10 })
const merged = new FrameBatch({ frames: 512, bytes: 1 << 20, vnetHeaderSize: 10 })

async function split(batch: FrameBatch, next: (wire: FrameBatch) => Promise<void>): Promise<void> {
  for (let done: Progress | undefined; (done?.frames ?? 0) < batch.length; ) {
    wire.clear()
    done = segmentFrames(batch, wire, { after: done })
    expect(done.refused).toBe(0)
    await next(wire)
  }
}

const WAYS = {
  split: (batch, to) => split(batch, () => write(to, wire)),
  'split and merged again': (batch, to) =>
    split(batch, async () => {
      merged.clear()
      expect(mergeFrames(wire, merged)).toEqual({ frames: wire.length, segments: 0, refused: 0 })
      await write(to, merged)
    }),
  merged: async (batch, to) => {
    merged.clear()
    expect(mergeFrames(batch, merged)).toEqual({ frames: batch.length, segments: 0, refused: 0 })
    await write(to, merged)
  },
  completed: (batch, to) => {
    completeChecksums(batch)
    return write(to, batch)
  }
} satisfies Record<string, Way>

function count(batch: FrameBatch, seen: { large: number; partial: number }): void {
  const header = new VnetHeader()
  for (let index = 0; header.of(batch, index); index++) {
    if (header.gsoType !== 'none') seen.large++
    if (header.needsChecksum) seen.partial++
  }
}

const out = { large: 0, partial: 0 }

async function write(to: FrameQueue, batch: FrameBatch): Promise<void> {
  count(batch, out)
  await to.write(batch)
}

/** Two namespaces with a TAP each, and us in between. */
async function between(offloads: OffloadPreset, way: Way): Promise<{ ends: [string, string]; seen: Seen }> {
  const ends: [string, string] = [createNetns(), createNetns()]
  const queues: FrameQueue[] = []
  const seen: Seen = { largeIn: 0, largeOut: 0, partial: 0, frames: 0 }
  out.large = 0
  for (const [index, netns] of ends.entries()) {
    const tap = await openTap({ name: 'end0', netns, vnetHeader: true, offloads, txqlen: 5000, up: true })
    ip(netns, 'address', 'add', `192.0.2.${index + 1}/24`, 'dev', tap.name)
    ip(netns, 'address', 'add', `2001:db8::${index + 1}/64`, 'dev', tap.name, 'nodad')
    queues.push(tap.frames())
  }
  const stopping = new AbortController()
  const pumps = queues.map(async (from, index) => {
    const to = queues[1 - index] as FrameQueue
    const into = { large: 0, partial: 0 }
    try {
      for await (const batch of from.batches({ signal: stopping.signal })) {
        count(batch, into)
        seen.frames += batch.length
        await way(batch, to)
        seen.largeIn += into.large
        seen.partial += into.partial
        seen.largeOut = out.large
        into.large = 0
        into.partial = 0
      }
    } catch (error) {
      if (!stopping.signal.aborted) throw error
    }
  })
  onTestFinished(async () => {
    stopping.abort()
    await Promise.all(pumps)
  })
  return { ends, seen }
}

/** Traffic in both directions; checks that all of it arrived as it was sent. */
async function talk(kind: 'tcp' | 'udp', address: string, [client, server]: [string, string]): Promise<void> {
  const program = (netns: string, role: string) => inside(netns, PYTHON, SCRIPT, kind, role, address, '5001')
  const serving = runBeside(...program(server, 'serve'))
  // Datagrams that come before anybody listens are lost.
  for (let tries = 0; tries < 200 && !run(...inside(server, 'ss', '-Hlnut')).includes(':5001'); tries++) {
    await new Promise(resolve => setTimeout(resolve, 20))
  }
  expect(JSON.parse(await runBeside(...program(client, 'ask')))).toEqual({ same: true })
  await serving
}

/** Counters of a namespace's stack that say that something was wrong with a packet. */
function errorsOf(netns: string): Record<string, number> {
  const lines = run(...inside(netns, 'cat', '/proc/net/snmp', '/proc/net/snmp6')).split('\n')
  const found: Record<string, number> = {}
  for (let at = 0; at + 1 < lines.length; at++) {
    const [name = '', ...keys] = (lines[at] as string).split(/\s+/)
    const [, ...values] = (lines[at + 1] as string).split(/\s+/)
    if (name === 'Tcp:' || name === 'Udp:') {
      for (const [index, key] of keys.entries()) {
        if (key === 'InCsumErrors' || key === 'InErrors' || key === 'InErrs') {
          found[`${name}${key}`] = (found[`${name}${key}`] ?? 0) + (Number(values[index]) || 0)
        }
      }
    } else if (name === 'Udp6InErrors' || name === 'Udp6InCsumErrors') found[name] = Number(keys[0])
  }
  return found
}

function expectNoErrors(ends: [string, string]): void {
  for (const netns of ends) {
    const errors = errorsOf(netns)
    expect(Object.keys(errors).length).toBeGreaterThanOrEqual(6)
    expect(Object.values(errors).every(number => number === 0)).toBe(true)
  }
}

const OFFLOADS: OffloadPreset = knowsUso ? 'full' : 'tso'

describe.each(['192.0.2.2', '2001:db8::2'])('TCP to %s', address => {
  test('super-frames are split', async () => {
    const { ends, seen } = await between(OFFLOADS, WAYS.split)
    await talk('tcp', address, ends)
    expectNoErrors(ends)
    expect(seen.largeIn).toBeGreaterThan(50)
    expect(seen.largeOut).toBe(0)
  })

  test('super-frames are split and merged again', async () => {
    const { ends, seen } = await between(OFFLOADS, WAYS['split and merged again'])
    await talk('tcp', address, ends)
    expectNoErrors(ends)
    expect(seen.largeIn).toBeGreaterThan(50)
    expect(seen.largeOut).toBeGreaterThan(50)
  })

  test('segments of a host without offloads are merged', async () => {
    const { ends, seen } = await between('off', WAYS.merged)
    await talk('tcp', address, ends)
    expectNoErrors(ends)
    expect(seen).toMatchObject({ largeIn: 0, partial: 0 })
    expect(seen.largeOut).toBeGreaterThan(50)
  })

  test('segments without checksums are merged', async () => {
    const { ends, seen } = await between('csum', WAYS.merged)
    await talk('tcp', address, ends)
    expectNoErrors(ends)
    expect(seen.largeIn).toBe(0)
    expect(seen.partial).toBeGreaterThan(1000)
    expect(seen.largeOut).toBeGreaterThan(50)
  })

  test('checksums are completed', async () => {
    const { ends, seen } = await between('csum', WAYS.completed)
    await talk('tcp', address, ends)
    expectNoErrors(ends)
    expect(seen.partial).toBeGreaterThan(1000)
  })
})

describe.each(['192.0.2.2', '2001:db8::2'])('UDP to %s', address => {
  test('super-frames are split', async context => {
    context.skip(!knowsUso, 'this kernel has no UDP segmentation')
    const { ends, seen } = await between('full', WAYS.split)
    await talk('udp', address, ends)
    expectNoErrors(ends)
    expect(seen.largeIn).toBe(30)
    expect(seen.largeOut).toBe(0)
  })

  test('super-frames are split and merged again', async context => {
    context.skip(!knowsUso, 'this kernel has no UDP segmentation')
    const { ends, seen } = await between('full', WAYS['split and merged again'])
    await talk('udp', address, ends)
    expectNoErrors(ends)
    expect(seen.largeOut).toBeGreaterThanOrEqual(30)
  })

  test('datagrams of a host without offloads are merged', async context => {
    context.skip(!knowsUso, 'this kernel has no UDP segmentation')
    const { ends, seen } = await between('off', WAYS.merged)
    await talk('udp', address, ends)
    expectNoErrors(ends)
    expect(seen.largeIn).toBe(0)
    expect(seen.largeOut).toBeGreaterThanOrEqual(30)
  })
})

test('128 datagrams in one super-frame reach a socket one by one', async context => {
  context.skip(!knowsUso, 'this kernel has no UDP segmentation')
  const tap = await openTap({ name: 'end0', vnetHeader: true, up: true })
  ip(undefined, 'address', 'add', '192.0.2.1/24', 'dev', 'end0')
  const socket = createSocket('udp4')
  onTestFinished(() => {
    socket.close()
  })
  await new Promise<void>(resolve => socket.bind(5001, '192.0.2.1', resolve))
  const received: Buffer[] = []
  socket.on('message', datagram => received.push(datagram))
  const destinationMac = ipLink('end0')?.address as string
  const flow = {
    version: 4,
    protocol: 'udp',
    destinationMac,
    source: '192.0.2.9',
    destination: '192.0.2.1',
    destinationPort: 5001
  } as const
  const payload = pattern(127 * 100 + 33)
  merged.clear()
  mergeFrames(batchOf(segmentsOf(flow, payload, 100)), merged)
  expect(merged.length).toBe(1)
  await tap.frames().write(merged)
  for (let tries = 0; received.length < 128 && tries < 300; tries++)
    await new Promise(resolve => setTimeout(resolve, 10))
  expect(received.map(({ length }) => length)).toEqual([...Array(127).fill(100), 33])
  expect(Buffer.concat(received).equals(payload)).toBe(true)
})
