/** Views read and write nothing outside their frame, whatever is in it, and allocate nothing. */
import { PerformanceObserver } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { etherType, FrameBatch, macAt, PacketView } from '../../lib/index.js'
import { arpRequest, checksum, ETHERTYPE, ethernet, ipv4 } from '../support/frames.js'
import { random } from '../support/random.js'
import { FLOWS, pattern, wireFrame } from './support/flows.js'

const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31)
const next = random(seed)
const PARTS = ['ethernet', 'arp', 'ipv4', 'ipv6', 'udp', 'tcp', 'icmp'] as const

const A = '02:00:00:00:00:02'
const B = '02:00:00:00:00:01'

function echoRequest(): Buffer {
  const request = Buffer.from('08000000000100016162', 'hex')
  request.writeUInt16BE(checksum(request), 2)
  return request
}

const corpus = [
  ...Object.values(FLOWS).map(flow => ({ frame: wireFrame(flow, pattern(30)), ip: flow.layer === 'ip' })),
  { frame: arpRequest({ mac: B, ip: '192.0.2.1' }, '192.0.2.9'), ip: false },
  { frame: Buffer.concat([wireFrame({ version: 4, protocol: 'tcp' }, pattern(8)), Buffer.alloc(6)]), ip: false },
  { frame: ethernet(A, B, ETHERTYPE.ipv4, ipv4('192.0.2.1', '192.0.2.2', 1, echoRequest())), ip: false }
]

/** All that can be read of a packet: every property and getter of every view. */
function readAll(packet: PacketView): Record<string, unknown> {
  const all: Record<string, unknown> = {
    protocol: packet.protocol,
    valid: packet.checksumsValid,
    hash: packet.flowHash(),
    symmetric: packet.flowHash(true)
  }
  for (const part of PARTS) {
    const header = packet[part]
    if (!header) continue
    for (let shape = Object.getPrototypeOf(header); shape !== Object.prototype; shape = Object.getPrototypeOf(shape)) {
      for (const [name, { get }] of Object.entries(Object.getOwnPropertyDescriptors(shape))) {
        if (get) all[`${part}.${name}`] = get.call(header)
      }
    }
    for (const [name, value] of Object.entries(header)) {
      if (typeof value !== 'object') all[`${part}.${name}`] = value
    }
    all[`${part}.payload`] = Buffer.from(header.payload()).toString('hex')
  }
  return all
}

/** Sets everything that can be set, and computes checksums. */
function writeAll(packet: PacketView): void {
  for (const part of PARTS) {
    const header = packet[part] as object | undefined
    if (!header) continue
    for (let shape = Object.getPrototypeOf(header); shape !== Object.prototype; shape = Object.getPrototypeOf(shape)) {
      for (const { get, set } of Object.values(Object.getOwnPropertyDescriptors(shape))) {
        if (set) set.call(header, get?.call(header))
      }
    }
  }
  packet.ethernet?.setVlan(next(4096))
  packet.ethernet?.setInnerVlan(next(4096))
  packet.tcp?.clampMaximumSegmentSize(next(1500))
  packet.fillPartialChecksums()
  packet.fillChecksums()
}

const BEFORE = 40

function within(frame: Uint8Array, filler: number, after = 100): Uint8Array {
  const memory = new Uint8Array(BEFORE + frame.length + after).fill(filler)
  memory.set(frame, BEFORE)
  return memory
}

function set(packet: PacketView, memory: Uint8Array, length: number, ip: boolean): void {
  if (ip) packet.atIp(memory, BEFORE, length)
  else packet.at(memory, BEFORE, length)
}

/** What is read may not depend on what lies around the frame, and what is written stays within it. */
function judge(frame: Uint8Array, ip: boolean): void {
  const packet = new PacketView()
  const readings = [0x00, 0xff, 0x45].map(filler => {
    set(packet, within(frame, filler), frame.length, ip)
    return readAll(packet)
  })
  expect(readings[1]).toEqual(readings[0])
  expect(readings[2]).toEqual(readings[0])
  // Memory that ends with the frame, where the tables say that it goes on.
  set(packet, within(frame, 0, 0), frame.length + 50, ip)
  readAll(packet)
  writeAll(packet)
  const memory = within(frame, 0xaa)
  set(packet, memory, frame.length, ip)
  etherType(memory, BEFORE, frame.length)
  writeAll(packet)
  const around = [memory.subarray(0, BEFORE), memory.subarray(BEFORE + frame.length)]
  for (const part of around) expect(part.every(byte => byte === 0xaa)).toBe(true)
}

it('reads the frames at all', () => {
  const seen = new Set<string>()
  const packet = new PacketView()
  for (const { frame, ip } of corpus) {
    set(packet, within(frame, 0), frame.length, ip)
    for (const part of PARTS) if (packet[part]) seen.add(part)
    expect(packet.checksumsValid).toBe(true)
  }
  expect([...seen].sort()).toEqual([...PARTS].sort())
})

it('of frames that are cut anywhere', () => {
  for (const { frame, ip } of corpus) {
    for (let length = 0; length <= frame.length; length++) judge(frame.subarray(0, length), ip)
  }
})

it(`of frames that are damaged (SEED=${seed})`, () => {
  for (let round = 0; round < 4000; round++) {
    const { frame, ip } = corpus[next(corpus.length)] as (typeof corpus)[number]
    const damaged = Buffer.from(frame)
    for (let times = 1 + next(4); times > 0; times--) damaged[next(Math.min(damaged.length, 90))] = next(256)
    try {
      judge(damaged.subarray(0, next(4) === 0 ? next(damaged.length) : damaged.length), ip)
    } catch (error) {
      throw new Error(`round ${round} of SEED=${seed}: ${damaged.toString('hex')}`, { cause: error })
    }
  }
})

it('a view that is on no frame reads zeros and writes nowhere', () => {
  const frame = corpus[0]?.frame as Buffer
  const packet = new PacketView()
  packet.at(frame, 0, frame.length)
  const { ethernet, ipv4, tcp } = packet
  if (!ethernet || !ipv4 || !tcp) throw new Error('no TCP over IPv4')
  const copy = Buffer.from(frame)
  expect(ethernet.at(frame, 0, 5)).toBe(false)
  expect(ipv4.at(frame, 14, 5)).toBe(false)
  expect(tcp.at(frame, 34, 5)).toBe(false)
  for (const [part, header] of Object.entries({ ethernet, ipv4, tcp })) {
    for (const [name, { get }] of Object.entries(Object.getOwnPropertyDescriptors(Object.getPrototypeOf(header)))) {
      if (!get || name === 'checksumValid') continue
      expect([0, '', false, undefined], `${part}.${name}`).toContain(get.call(header))
    }
  }
  ethernet.source = 1
  ipv4.ttl = 1
  ipv4.fillChecksum()
  tcp.sourcePort = 1
  expect(frame.equals(copy)).toBe(true)
})

it('allocates nothing per frame', async () => {
  const batch = new FrameBatch()
  for (const { frame, ip } of corpus) if (!ip) batch.push(frame)
  const packet = new PacketView()
  const round = (times: number): number => {
    let sum = 0
    for (let time = 0; time < times; time++) {
      for (let i = 0; i < batch.length; i++) {
        const offset = batch.offsets[i] as number
        packet.at(batch.bytes, offset, batch.lengths[i] as number)
        sum = (sum + etherType(batch.bytes, offset, batch.lengths[i] as number)) | 0
        if (macAt(batch.bytes, offset) === macAt(batch.bytes, offset + 6)) sum++
        if (packet.udp?.destinationPort === 53) sum++
        if (packet.ipv4?.isTo(0xc0000201) || packet.ipv4?.isFrom(0xc0000202)) sum++
        if (packet.tcp?.syn) packet.tcp.window = 1
        sum = (sum + packet.flowHash()) | 0
        packet.fillChecksums()
      }
    }
    return sum
  }
  round(5000)
  globalThis.gc?.()
  let collections = 0
  const observer = new PerformanceObserver(list => {
    collections += list.getEntries().length
  })
  observer.observe({ entryTypes: ['gc'] })
  const rounds = 40_000
  round(rounds)
  await sleep(20)
  observer.disconnect()
  // One number a frame in an object of its own would be 16 MB, and be collected several times.
  expect(rounds * batch.length).toBeGreaterThan(1_000_000)
  expect(collections).toBeLessThan(2)
})
