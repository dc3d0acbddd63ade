/** Segmentation and merging beside the kernel's own: the same bytes. */
import { describe, expect, test } from 'vitest'
import {
  completeChecksums,
  FrameBatch,
  mergeFrames,
  type Offloads,
  segmentFrames,
  VnetHeader
} from '../../lib/index.js'
import { batchOf, framesOf, headersOf, hex } from '../frames/support/batches.js'
import { FLOWS, partialFrame, pattern, segmentsOf, superFrame, TCP_FLAG } from '../frames/support/flows.js'
import { bridgedTaps, headers } from './support/bridged.js'
import { needsTun } from './support/needs.js'
import { kernelTakes } from './support/offloads.js'

needsTun()

const bridged = bridgedTaps()

const NONE: Offloads = {}
const ALL: Offloads = { csum: true, tso4: true, tso6: true, tsoEcn: true, uso4: true, uso6: true }
const TSO: Offloads = { csum: true, tso4: true, tso6: true, tsoEcn: true }
const CSUM_TSO4_TSO6_ECN_USO = 0x6f

/** Kernels before 6.2 know no UDP segmentation. */
const knowsUso = kernelTakes(CSUM_TSO4_TSO6_ECN_USO)
const flows = Object.entries(FLOWS).filter(
  ([, { layer, protocol }]) => layer !== 'ip' && (protocol === 'tcp' || knowsUso)
)
const plain = flows.filter(([, { ipOptions, extensions }]) => !ipOptions && !extensions)
const SIZES = [
  [4000, 1000],
  [2001, 1000],
  [500, 1000],
  [60_000, 1448],
  [999, 333]
] as const

/** What segmentation here makes of a batch. */
function segmented(from: FrameBatch): string[] {
  const into = new FrameBatch({ frames: 8192, bytes: 4 << 20 })
  expect(segmentFrames(from, into)).toEqual({ frames: from.length, segments: 0, refused: 0 })
  return hex(into)
}

describe('a super-frame that the reader does not take', () => {
  test.each(flows)('%s: the kernel makes the same segments', async (_, flow) => {
    const { take, pass } = await bridged()
    for (const [length, size] of SIZES) {
      const sent = superFrame(flow, pattern(length), size)
      const ours = segmented(batchOf([sent]))
      await take(NONE)
      expect(hex(await pass([sent], ours.length))).toEqual(ours)
      // The kernel splits, and leaves the checksums.
      await take({ csum: true })
      const partial = await pass([sent], ours.length)
      expect(headers(partial).every(({ needsChecksum, gsoType }) => needsChecksum && gsoType === 'none')).toBe(true)
      expect(completeChecksums(partial)).toBe(ours.length)
      expect(hex(partial)).toEqual(ours)
      expect(headers(partial).some(({ needsChecksum }) => needsChecksum)).toBe(false)
    }
  })

  test.each(flows.filter(([, { protocol }]) => protocol === 'tcp'))('%s: with all flags', async (_, flow) => {
    const { pass } = await bridged()
    const flags = TCP_FLAG.ACK | TCP_FLAG.PSH | TCP_FLAG.FIN | TCP_FLAG.CWR | TCP_FLAG.ECE
    const sent = superFrame(flow, pattern(3500), 1000, { flags })
    expect(hex(await pass([sent], 4))).toEqual(segmented(batchOf([sent])))
  })
})

describe('a super-frame that the reader takes', () => {
  test.each(flows)('%s: it is segmented after it was read', async (_, flow) => {
    const { take, pass } = await bridged()
    await take(knowsUso ? ALL : TSO)
    for (const [length, size] of SIZES) {
      const payload = pattern(length)
      const arrived = await pass([superFrame(flow, payload, size)], 1)
      expect(arrived.length).toBe(1)
      expect(headers(arrived)[0]?.gsoType !== 'none').toBe(length > size)
      expect(segmented(arrived)).toEqual(hex(segmentsOf(flow, payload, size)))
    }
  })
})

describe('checksums', () => {
  test.each(flows)('%s: completed as the kernel does it', async (_, flow) => {
    const { take, pass } = await bridged()
    for (const length of [0, 1, 2, 777, 1400]) {
      const sent = partialFrame(flow, pattern(length))
      await take(NONE)
      const done = framesOf(await pass([sent], 1))
      await take({ csum: true })
      const left = await pass([sent], 1)
      expect(completeChecksums(left)).toBe(1)
      expect(hex(left)).toEqual(hex(done))
    }
  })
})

describe('segments that were merged', () => {
  test.each(plain)('%s: the kernel takes them whole, and apart again', async (_, flow) => {
    const { take, pass } = await bridged()
    for (const [length, size] of SIZES) {
      const payload = pattern(length)
      const segments = segmentsOf(flow, payload, size)
      const merged = new FrameBatch({ vnetHeaderSize: 10 })
      expect(mergeFrames(batchOf(segments), merged)).toEqual({ frames: segments.length, segments: 0, refused: 0 })
      expect(merged.length).toBe(1)
      const sent = { header: headersOf(merged)[0] as Buffer, frame: framesOf(merged)[0] as Buffer }

      await take(NONE)
      expect(hex(await pass([sent], segments.length))).toEqual(hex(segments))
      await take(knowsUso ? ALL : TSO)
      const whole = await pass([sent], 1)
      expect(hex(whole)).toEqual(hex([sent.frame]))
      const [before, after] = [new VnetHeader(sent.header), headers(whole)[0] as VnetHeader]
      for (const key of ['gsoType', 'gsoSize', 'needsChecksum', 'checksumStart', 'checksumOffset'] as const) {
        expect(after[key]).toBe(before[key])
      }
    }
  })

  test('128 of them', async () => {
    const { pass } = await bridged()
    for (const [, flow] of plain) {
      const segments = segmentsOf(flow, pattern(128 * 100), 100)
      const merged = new FrameBatch({ vnetHeaderSize: 10 })
      mergeFrames(batchOf(segments), merged)
      expect(merged.length).toBe(1)
      const sent = { header: headersOf(merged)[0] as Buffer, frame: framesOf(merged)[0] as Buffer }
      expect(hex(await pass([sent], 128))).toEqual(hex(segments))
    }
  })
})
