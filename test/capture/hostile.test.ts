/** Captures that are damaged in every way: a typed error or frames, bounded memory, and an end. */
import { expect, test } from 'vitest'
import { LinkwrightError, readCapture } from '../../lib/index.js'
import { random } from '../support/random.js'
import {
  block,
  describeInterface,
  END,
  enhancedPacket,
  type Order,
  option,
  packet,
  pcapHeader,
  pcapPacket,
  section,
  simplePacket,
  u32,
  u64
} from './support/files.js'
import { readAll } from './support/packets.js'

const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31)
const next = random(seed)
const ROUNDS = 4000

const DATA = Buffer.from('00112233445566778899aabbccddeeff00112233', 'hex')

function pcapng(order: Order): Buffer {
  return Buffer.concat([
    section(order, [option(order, 1, 'comment'), END]),
    describeInterface(order, 1, 0, [option(order, 2, 'eth0'), option(order, 9, Uint8Array.of(9)), END]),
    describeInterface(order, 101, 16, [option(order, 2, 'tun0'), option(order, 14, u64(7n, order)), END]),
    enhancedPacket(order, 0, 5n, DATA, [option(order, 2, u32(1, order)), option(order, 1, 'note'), END]),
    block(order, 0x0bad, DATA),
    simplePacket(order, DATA),
    packet(order, 1, 0, 6n, DATA),
    block(order, 5, Buffer.concat([u32(1, order), Buffer.alloc(8), option(order, 5, u64(2n, order)), END]))
  ])
}

const corpus = (['LE', 'BE'] as const).flatMap(order => [
  pcapng(order),
  Buffer.concat([pcapng(order), pcapng(order === 'LE' ? 'BE' : 'LE')]),
  Buffer.concat([pcapHeader(order), pcapPacket(order, 1, 2, DATA), pcapPacket(order, 3, 4, DATA)])
])

/** Values that lengths are tried with. */
const LENGTHS = [0, 1, 3, 4, 8, 11, 12, 13, 16, 28, 0x7fffffff, 0x80000000, 0xfffffff0, 0xfffffffc, 0xffffffff]

function damage(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes)
  for (let times = 1 + next(5); times > 0; times--) {
    const at = next(copy.length)
    const word = Math.min(at & ~3, copy.length - 4)
    switch (next(5)) {
      case 0:
        copy[at] = next(256)
        break
      case 1:
        copy.writeUInt32LE(LENGTHS[next(LENGTHS.length)] as number, word)
        break
      case 2:
        copy.writeUInt32BE(LENGTHS[next(LENGTHS.length)] as number, word)
        break
      case 3:
        copy.copyWithin(at, next(copy.length))
        break
      default:
        copy.writeUInt32LE((copy.readUInt32LE(word) + next(9) - 4) >>> 0, word)
    }
  }
  return next(4) === 0 ? copy.subarray(0, next(copy.length)) : copy
}

async function* pieces(bytes: Buffer): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; at < bytes.length; ) {
    const length = 1 + next(40)
    yield bytes.subarray(at, at + length)
    at += length
  }
}

/** Reads as far as it goes. */
async function read(source: Uint8Array | AsyncIterable<Uint8Array>, size: number): Promise<string[]> {
  const found: string[] = []
  try {
    for await (const packet of readCapture(source)) {
      expect(packet.bytes.length).toBeLessThanOrEqual(size)
      expect(packet.originalLength).toBeGreaterThanOrEqual(packet.bytes.length)
      found.push(`${packet.timestamp} ${packet.interface.name} ${Buffer.from(packet.bytes).toString('hex')}`)
    }
  } catch (error) {
    if (!(error instanceof LinkwrightError)) throw error
    expect(error.code).toMatch(/^ERR_(INVALID|TRUNCATED)_CAPTURE$/)
    expect(error.offset).toBeGreaterThanOrEqual(0)
    expect(error.offset).toBeLessThanOrEqual(size)
    expect(error.message).toMatch(/byte \d+|neither a pcap nor/)
    found.push(error.code, String(error.offset))
  }
  return found
}

test('has something to damage', async () => {
  for (const bytes of corpus) {
    const found = await read(bytes, bytes.length)
    expect(found.length).toBeGreaterThan(1)
    expect(found.join(' ')).not.toContain('ERR_')
  }
})

test(`gives frames and a typed error, the same however it comes (SEED=${seed})`, async () => {
  let errors = 0
  for (let round = 0; round < ROUNDS; round++) {
    const bytes = damage(corpus[next(corpus.length)] as Buffer)
    try {
      const whole = await read(bytes, bytes.length)
      if (whole.at(-2)?.startsWith('ERR_')) errors++
      if (round % 4 === 0) expect(await read(pieces(bytes), bytes.length)).toEqual(whole)
    } catch (error) {
      throw new Error(`round ${round} of SEED=${seed}: ${bytes.toString('hex')}`, { cause: error })
    }
  }
  expect(errors).toBeGreaterThan(ROUNDS / 3)
})

test(`reads noise (SEED=${seed})`, async () => {
  for (let round = 0; round < ROUNDS; round++) {
    const magic = Buffer.from(['0a0d0d0a', 'd4c3b2a1', 'a1b23c4d', ''][next(4)] as string, 'hex')
    const noise = Buffer.from(
      Array.from({ length: next(200) }, () => [0, 1, 4, 6, 12, 255, next(256)][next(7)] as number)
    )
    const bytes = Buffer.concat([magic, noise])
    await read(bytes, bytes.length)
  }
})

test('skips an enormous block without keeping it', async () => {
  const order = 'LE'
  const length = 256 * 1024 * 1024
  const chunk = new Uint8Array(1024 * 1024)
  let peak = 0
  async function* source(): AsyncGenerator<Uint8Array, void, undefined> {
    yield Buffer.concat([section(order), describeInterface(order), u32(0x0bad, order), u32(length, order)])
    for (let left = length - 12; left > 0; left -= chunk.length) {
      yield left < chunk.length ? chunk.subarray(0, left) : chunk
      peak = Math.max(peak, process.memoryUsage().arrayBuffers)
    }
    yield Buffer.concat([u32(length, order), enhancedPacket(order, 0, 1n, DATA)])
  }
  const before = process.memoryUsage().arrayBuffers
  const packets = []
  for await (const packet of readCapture(source())) packets.push(packet)
  expect(packets.length).toBe(1)
  expect(peak - before).toBeLessThan(8 * 1024 * 1024)
})

test('does not believe what a file says of its lengths', async () => {
  const order = 'LE'
  const before = process.memoryUsage().arrayBuffers
  const claims = [
    Buffer.concat([pcapHeader(order), u32(0, order), u32(0, order), u32(0x7fffffff, order), u32(0x7fffffff, order)]),
    Buffer.concat([section(order), u32(1, order), u32(0x7ffffffc, order), Buffer.alloc(8)]),
    Buffer.concat([section(order), describeInterface(order), u32(6, order), u32(0x7ffffffc, order), Buffer.alloc(40)])
  ]
  for (const claim of claims) {
    const found = await read(claim, claim.length)
    expect(found[0]).toBe('ERR_INVALID_CAPTURE')
  }
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 * 1024 * 1024)
})

test('keeps no more of interfaces than it needs', async () => {
  const order = 'LE'
  const long = describeInterface(order, 1, 0, [option(order, 2, 'n'.repeat(60_000)), END])
  const [one] = await readAll(Buffer.concat([section(order), long, enhancedPacket(order, 0, 1n, DATA)]))
  expect(one?.interface.name).toBe('n'.repeat(1024))
  const many = Buffer.concat([section(order), ...Array.from({ length: 65_537 }, () => describeInterface(order))])
  expect((await read(many, many.length))[0]).toBe('ERR_INVALID_CAPTURE')
})
