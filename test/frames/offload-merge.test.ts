import { describe, expect, test } from 'vitest'
import {
  FrameBatch,
  mergeFrames,
  type OffloadOptions,
  type Progress,
  segmentFrames,
  VnetHeader
} from '../../lib/index.js'
import { arpRequest } from '../support/frames.js'
import { random } from '../support/random.js'
import { batchOf, framesOf, headersOf, hex } from './support/batches.js'
import {
  FLOWS,
  type Flow,
  type Part,
  partialFrame,
  pattern,
  type SuperFrame,
  segmentsOf,
  superFrame,
  TCP_FLAG,
  wireFrame
} from './support/flows.js'

const flows = Object.entries(FLOWS)
const plain = flows.filter(([, { ipOptions, extensions }]) => !ipOptions && !extensions)
const TCP4: Flow = { version: 4, protocol: 'tcp', sequence: 1000, identification: 50 }
const TCP6: Flow = { version: 6, protocol: 'tcp' }
const UDP4: Flow = { version: 4, protocol: 'udp', identification: 50 }

/** What comes out: virtio-net header and frame of each, as text. */
function merge(frames: (SuperFrame | Uint8Array)[], options: OffloadOptions = {}): string[][] {
  const into = new FrameBatch({ frames: 1024, bytes: 4 << 20, vnetHeaderSize: 10 })
  const progress = mergeFrames(batchOf(frames), into, options)
  expect(progress).toEqual({ frames: frames.length, segments: 0, refused: 0 })
  return pairs(framesOf(into), headersOf(into))
}

function pairs(frames: Buffer[], headers: Buffer[]): string[][] {
  return frames.map((frame, index) => hex([headers[index] as Buffer, frame]))
}

const NONE = Buffer.alloc(10)
const alone = (frame: Buffer): string[] => hex([NONE, frame])
const whole = ({ header, frame }: SuperFrame): string[] => hex([header, frame])

/** Segments that continue each other, some made different. */
function run(flow: Flow, lengths: number[], parts: Part[] = [], others: Partial<Flow>[] = []): Buffer[] {
  let sequence = flow.sequence ?? 0
  return lengths.map((length, index) => {
    const frame = wireFrame({ ...flow, ...others[index] }, pattern(length, index), {
      sequence,
      identification: (flow.identification ?? 0) + index,
      ...parts[index]
    })
    sequence += length
    return frame
  })
}

describe('segments become the super-frame that a host with offloads hands over', () => {
  test.each(plain)('%s', (_, flow) => {
    for (const [length, size] of [
      [4000, 1000],
      [4001, 1000],
      [2001, 1000],
      [60_000, 1448],
      [300, 7],
      [256, 2]
    ] as const) {
      const payload = pattern(length)
      const got = merge(segmentsOf(flow, payload, size), { layer: flow.layer })
      expect(got).toEqual([whole(superFrame(flow, payload, size))])
    }
  })

  test('PSH of the last one is kept, and ends it', () => {
    const flags = TCP_FLAG.ACK | TCP_FLAG.PSH
    const one = segmentsOf(TCP4, pattern(3000), 1000, { flags })
    const other = segmentsOf(TCP4, pattern(3000), 1000, { sequence: 4000, identification: 53 })
    expect(merge([...one, ...other])).toEqual([
      whole(superFrame(TCP4, pattern(3000), 1000, { flags })),
      whole(superFrame(TCP4, pattern(3000), 1000, { sequence: 4000, identification: 53 }))
    ])
  })

  test('ECE is of all of them', () => {
    const flags = TCP_FLAG.ACK | TCP_FLAG.ECE
    const payload = pattern(3000)
    expect(merge(segmentsOf(TCP4, payload, 1000, { flags }))).toEqual([
      whole(superFrame(TCP4, payload, 1000, { flags }))
    ])
  })

  test('a shorter one ends it', () => {
    const frames = run(TCP4, [1000, 1000, 400, 400, 400])
    const merged = merge(frames)
    expect(merged.map(([, frame]) => (frame as string).length / 2 - 54)).toEqual([2400, 800])
  })

  test('a longer one begins another', () => {
    const frames = run(TCP4, [400, 400, 1000, 1000])
    expect(merge(frames).map(([, frame]) => (frame as string).length / 2 - 54)).toEqual([800, 2000])
  })

  test('128 at most', () => {
    const merged = merge(run(TCP4, Array(300).fill(10)))
    expect(merged.map(([, frame]) => (frame as string).length / 2 - 54)).toEqual([1280, 1280, 440])
  })

  test.each([
    [TCP4, 54, 65_535 - 40],
    [TCP6, 74, 65_535 - 20]
  ])('64 KiB at most', (flow, headers, most) => {
    const merged = merge(run(flow, Array(20).fill(5000)))
    const fitting = Math.floor(most / 5000) * 5000
    expect(merged.map(([, frame]) => (frame as string).length / 2 - headers)).toEqual([fitting, 100_000 - fitting])
    // One that fits to the byte, and one byte more.
    const exact = [...Array(10).fill(6000), most - 60_000]
    expect(merge(run(flow, exact))).toHaveLength(1)
    exact[10] = most - 60_000 + 1
    expect(merge(run({ ...flow, sequence: 5 }, exact))).toHaveLength(2)
  })

  test('whose checksums are vouched for', () => {
    const payload = pattern(3000)
    const partial = [0, 1, 2].map(index => {
      const part = { sequence: 1000 + index * 1000, identification: 50 + index }
      return partialFrame(TCP4, payload.subarray(index * 1000, (index + 1) * 1000), part)
    })
    expect(merge(partial)).toEqual([whole(superFrame(TCP4, payload, 1000))])
    const header = new VnetHeader()
    header.dataValid = true
    const valid = segmentsOf(TCP4, payload, 1000).map(frame => {
      frame.writeUInt16BE(0xdead, 50)
      return { header: Buffer.from(header.bytes), frame }
    })
    expect(merge(valid)).toEqual([whole(superFrame(TCP4, payload, 1000))])
  })
})

describe('IPv4 identification', () => {
  const identifications = [50, 51, 53, 54].map(identification => ({ identification }))

  test('without DF it goes up by one', () => {
    const flow = { ...TCP4, dontFragment: false }
    const frames = run(flow, [100, 100, 100, 100], identifications)
    expect(merge(frames).map(([, frame]) => (frame as string).length / 2 - 54)).toEqual([200, 200])
  })

  test.each([{ ids: identifications }, { ids: Array(4).fill({ identification: 0 }) }])(
    'with DF it means nothing',
    ({ ids }) => {
      expect(merge(run(TCP4, [100, 100, 100, 100], ids))).toHaveLength(1)
    }
  )
})

describe('not merged', () => {
  const { ACK, PSH, FIN, SYN, URG, CWR, ECE } = TCP_FLAG
  /** The second of three is different; how many come out. */
  const different: [string, Flow, Part, Partial<Flow>, number][] = [
    ['another sequence number', TCP4, { sequence: 77 }, {}, 3],
    ['another acknowledgement', TCP4, {}, { acknowledgement: 7 }, 3],
    ['another window', TCP4, {}, { window: 7 }, 3],
    ['another TTL', TCP4, {}, { hopLimit: 7 }, 3],
    ['another traffic class', TCP4, {}, { trafficClass: 8 }, 3],
    ['no DF', TCP4, {}, { dontFragment: false }, 3],
    ['IP options', TCP4, {}, { ipOptions: Buffer.alloc(4, 1) }, 3],
    ['TCP options', TCP4, {}, { tcpOptions: Buffer.alloc(4, 1) }, 3],
    ['no ACK', TCP4, { flags: 0 }, {}, 3],
    ['FIN', TCP4, { flags: ACK | FIN }, {}, 3],
    ['SYN', TCP4, { flags: ACK | SYN }, {}, 3],
    ['URG', TCP4, { flags: ACK | URG }, {}, 3],
    ['CWR', TCP4, { flags: ACK | CWR }, {}, 3],
    ['ECE', TCP4, { flags: ACK | ECE }, {}, 3],
    ['PSH', TCP4, { flags: ACK | PSH }, {}, 2],
    ['another hop limit', TCP6, {}, { hopLimit: 7 }, 3],
    ['another traffic class of IPv6', TCP6, {}, { trafficClass: 8 }, 3],
    ['extension headers', TCP6, {}, { extensions: FLOWS['TCP over IPv6 with extension headers']?.extensions ?? [] }, 3],
    ['another TTL of UDP', UDP4, {}, { hopLimit: 7 }, 3],
    // Of other flows: the others go on without it.
    ['another port', TCP4, {}, { sourcePort: 7 }, 2],
    ['another port to go to', TCP4, {}, { destinationPort: 7 }, 2],
    ['another address', TCP4, {}, { source: '192.0.2.7' }, 2],
    ['another address to go to', TCP6, {}, { destination: '2001:db8::7' }, 2],
    ['another MAC', TCP4, {}, { sourceMac: '02:00:00:00:00:07' }, 2],
    ['another MAC to go to', UDP4, {}, { destinationMac: '02:00:00:00:00:07' }, 2],
    ['a VLAN tag', UDP4, {}, { tags: [7] }, 2],
    ['UDP for TCP', TCP4, {}, { protocol: 'udp' }, 2]
  ]

  test.each(different)('%s', (_, flow, part, other, outputs) => {
    // What the flow's own go on with after one of another flow.
    const next = outputs === 2 && !part.flags ? { sequence: (flow.sequence ?? 0) + 100, identification: 51 } : {}
    const frames = run(flow, [100, 100, 100], [{}, part, next], [{}, other])
    const merged = merge(frames)
    expect(merged).toHaveLength(outputs)
    if (outputs === 3) expect(merged).toEqual(frames.map(alone))
    else if (Object.keys(other).length > 0) expect(merged[1]).toEqual(alone(frames[1] as Buffer))
    // The same without the difference is merged.
    expect(merge(run(flow, [100, 100, 100]))).toHaveLength(1)
  })

  test.each([
    ['TCP', TCP4, 60],
    ['TCP over IPv6', TCP6, 90],
    ['UDP', UDP4, 44],
    ['the IPv4 header', TCP4, 18]
  ])('a wrong checksum of %s', (_, flow, at) => {
    const frames = run({ dontFragment: true, ...flow }, [100, 100, 100])
    const second = frames[1] as Buffer
    second[at] = (second[at] as number) ^ 1
    expect(merge(frames)).toEqual(frames.map(alone))
  })

  test('UDP without a checksum: it is right as it is', () => {
    const frames = run(UDP4, [100, 100])
    for (const frame of frames) frame.writeUInt16BE(0, 40)
    expect(merge(frames)).toEqual(frames.map(alone))
  })

  test('UDP with another length', () => {
    const frames = run(UDP4, [100, 100])
    frames[1]?.writeUInt16BE(50, 38)
    expect(merge(frames)).toEqual(frames.map(alone))
  })

  test('a checksum that is left over elsewhere', () => {
    const frames = [
      partialFrame(TCP4, pattern(100)),
      partialFrame(TCP4, pattern(100), { sequence: 1100, identification: 51 })
    ]
    for (const { header } of frames) new VnetHeader(header).checksumStart = 14
    expect(merge(frames)).toEqual(frames.map(whole))
  })

  test('padding', () => {
    const frames = run(TCP4, [3, 3]).map(frame => Buffer.concat([frame, Buffer.alloc(3)]))
    expect(merge(frames)).toEqual(frames.map(alone))
  })

  test('without data', () => {
    for (const flow of [TCP4, UDP4]) {
      const frames = run(flow, [0, 0])
      expect(merge(frames)).toEqual(frames.map(alone))
    }
  })

  test('super-frames, which pass', () => {
    const frames = [superFrame(TCP4, pattern(3000), 1000), ...run({ ...TCP4, sequence: 4000 }, [1000])]
    expect(merge(frames)).toEqual([whole(frames[0] as SuperFrame), alone(frames[1] as Buffer)])
  })

  test('frames that are no IP, or not whole', () => {
    const arp = arpRequest({ mac: '02:00:00:00:00:01', ip: '192.0.2.1' }, '192.0.2.2')
    const whole = run(TCP4, [100])[0] as Buffer
    const frames = [
      arp,
      arp,
      ...[1, 13, 14, 20, 33, 34, 36, 38, 53].map(length => Buffer.from(whole.subarray(0, length)))
    ]
    expect(merge(frames)).toEqual(frames.map(alone))
  })

  test('what the receiver does not take', () => {
    const payload = pattern(2000)
    const kinds = { tso4: TCP4, tso6: TCP6, uso: UDP4 }
    for (const [taken, offloads] of Object.entries({
      tso4: { csum: true, tso4: true },
      tso6: { csum: true, tso6: true },
      uso: { csum: true, uso4: true, uso6: true },
      none: {}
    })) {
      for (const [kind, flow] of Object.entries(kinds)) {
        expect(merge(segmentsOf(flow, payload, 1000), { offloads })).toHaveLength(kind === taken ? 1 : 2)
      }
    }
  })

  test('Ethernet frames taken for IP packets, and the other way round', () => {
    for (const [flow, layer] of [
      [TCP4, 'ip'],
      [{ ...TCP4, layer: 'ip' }, 'ethernet']
    ] as const) {
      const frames = segmentsOf(flow as Flow, pattern(2000), 1000)
      expect(merge(frames, { layer })).toEqual(frames.map(alone))
    }
  })
})

describe('order', () => {
  test('flows that alternate are merged each for itself', () => {
    const ports = [1, 2, 3, 4, 5]
    const streams = ports.map(sourcePort => segmentsOf({ ...TCP4, sourcePort }, pattern(5000, sourcePort), 1000))
    const mixed = [0, 1, 2, 3, 4].flatMap(at => streams.map(stream => stream[at] as Buffer))
    const wanted = ports.map(sourcePort => whole(superFrame({ ...TCP4, sourcePort }, pattern(5000, sourcePort), 1000)))
    expect(merge(mixed)).toEqual(wanted)
  })

  test('what cannot be merged is not overtaken by what follows in its flow', () => {
    const [a, b, c, d] = run(TCP4, [100, 100, 0, 100], [{}, {}, { flags: TCP_FLAG.ACK | TCP_FLAG.URG }]) as Buffer[]
    const merged = merge([a, b, c, d] as Buffer[])
    expect(merged).toHaveLength(3)
    expect(merged.slice(1)).toEqual([alone(c as Buffer), alone(d as Buffer)])
  })

  test('a fragment, whose flow is not known, is overtaken by none', () => {
    const frames = run(UDP4, [100, 100, 100, 100])
    frames[1]?.writeUInt16BE(0x2000, 20)
    const merged = merge(frames)
    expect(merged).toHaveLength(3)
    expect(merged[1]).toEqual(alone(frames[1] as Buffer))
  })

  test('other frames do not come in between', () => {
    const arp = arpRequest({ mac: '02:00:00:00:00:01', ip: '192.0.2.1' }, '192.0.2.2')
    const [a, b] = run(TCP4, [1000, 1000]) as [Buffer, Buffer]
    expect(merge([a, arp, b])).toHaveLength(2)
  })
})

describe('room', () => {
  const sent = run(TCP4, Array(40).fill(1000), [], Array(40).fill({}))
  const mixed = sent.flatMap((frame, index) => [frame, run({ ...UDP4, sourcePort: index }, [300])[0] as Buffer])

  test.each([
    { frames: 1, bytes: 65_600 },
    { frames: 2, bytes: 65_600 },
    { frames: 13, bytes: 65_600 },
    { frames: 500, bytes: 1200 },
    { frames: 500, bytes: 1201 },
    { frames: 500, bytes: 10_000 },
    { frames: 500, bytes: 12_345 }
  ])('for $frames frames, $bytes bytes: nothing is lost', layout => {
    expect(throughBatchesOf(layout)).toEqual(hex(mixed).sort())
  })

  test('for any number of bytes', () => {
    for (let bytes = 1100; bytes < 6000; bytes += 47) {
      expect(throughBatchesOf({ frames: 100, bytes })).toEqual(hex(mixed).sort())
    }
  })

  /** What is left of the frames after they were merged into small batches, and split again. */
  function throughBatchesOf(layout: { frames: number; bytes: number }): string[] {
    const from = batchOf(mixed)
    const back = new FrameBatch({ frames: 500, bytes: 1 << 20 })
    const into = new FrameBatch({ ...layout, room: 1054, vnetHeaderSize: 12, headroom: 6 })
    for (let done: Progress | undefined; (done?.frames ?? 0) < from.length; ) {
      into.clear()
      done = mergeFrames(from, into, { after: done })
      expect(segmentFrames(into, back)).toMatchObject({ refused: 0 })
    }
    return hex(back).sort()
  }

  test('frames are added behind those that are there', () => {
    const into = new FrameBatch({ frames: 3, vnetHeaderSize: 10 })
    into.push(pattern(77))
    expect(mergeFrames(batchOf(mixed), into)).toMatchObject({ segments: 0, refused: 0 })
    expect(into.length).toBe(3)
    expect(hex(into)[0]).toBe(hex([pattern(77)])[0])
    // Full, it takes nothing, which is no error.
    const full = { frames: 5, segments: 0, refused: 0 }
    expect(mergeFrames(batchOf(mixed), into, { after: full })).toEqual(full)
  })

  test('a batch that has none for a frame even when it is empty', () => {
    const into = new FrameBatch({ room: 100, bytes: 200, vnetHeaderSize: 10 })
    expect(() => mergeFrames(batchOf(sent), into)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE', path: 'into' })
    )
  })
})

describe('wrong input', () => {
  const from = batchOf(run(TCP4, [100]))
  const into = () => new FrameBatch({ vnetHeaderSize: 10 })

  test.each([
    ['into', () => mergeFrames(from, from)],
    ['into', () => mergeFrames(from, new FrameBatch())],
    ['offloads.csum', () => mergeFrames(from, into(), { offloads: { tso4: true } })],
    ['layer', () => mergeFrames(from, into(), { layer: 4 as never })],
    ['level', () => mergeFrames(from, into(), { level: 3 } as OffloadOptions)]
  ])('%s', (path, call) => {
    expect(call).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE', path }))
  })

  test('tables that lie are not followed', () => {
    const liar = batchOf(run(TCP4, [100, 100, 100, 100]))
    liar.offsets[0] = 0xffffffff
    liar.lengths[1] = 0xffffffff
    liar.offsets[2] = 3
    const out = into()
    expect(mergeFrames(liar, out)).toEqual({ frames: 4, segments: 0, refused: 3 })
    expect(out.length).toBe(1)
  })

  test('progress that is none', () => {
    for (const after of [
      { frames: -1, segments: 0, refused: 0 },
      { frames: 2, segments: 0, refused: 0 },
      { frames: 0.5, segments: 0, refused: 0 },
      {}
    ]) {
      expect(() => mergeFrames(from, into(), { after: after as Progress })).toThrow(
        expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE', path: 'after' })
      )
    }
  })
})

describe('segmentation of what was merged', () => {
  const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31)

  /** Traffic of several flows, with what happens to real ones. */
  function traffic(next: (below: number) => number): Buffer[] {
    const kinds = plain.map(([, flow]) => flow).filter(({ layer }) => layer !== 'ip')
    const states = Array.from({ length: 1 + next(5) }, (_, index) => ({
      flow: { ...(kinds[next(kinds.length)] as Flow), sourcePort: 1000 + index },
      sequence: next(2 ** 32),
      identification: next(65_536),
      size: 1 + next(1460)
    }))
    return Array.from({ length: 1 + next(100) }, () => {
      const at = next(states.length)
      const state = states[at] as (typeof states)[number]
      if (next(20) === 0) state.sequence = (state.sequence + next(3000)) >>> 0
      if (next(20) === 0) state.identification += 1 + next(5)
      if (next(30) === 0) state.size = 1 + next(1460)
      const payload = pattern(next(8) === 0 ? next(state.size) : state.size, next(1000))
      const flags =
        TCP_FLAG.ACK | (next(15) === 0 ? ([TCP_FLAG.PSH, TCP_FLAG.FIN, TCP_FLAG.CWR, TCP_FLAG.ECE][next(4)] ?? 0) : 0)
      const acknowledgement = next(25) === 0 ? next(1000) : 5
      const { sequence, identification } = state
      const frame = wireFrame({ ...state.flow, acknowledgement }, payload, { flags, sequence, identification })
      if (next(30) === 0) frame[frame.length - 1] = (frame.at(-1) as number) ^ 0x55
      state.sequence = (sequence + payload.length) >>> 0
      // With DF only what goes up one by one comes back as it was.
      state.identification = (identification + 1) & 0xffff
      return frame
    })
  }

  /** Frames of each flow, by its port. */
  function flowsOf(frames: Buffer[]): Record<string, string[]> {
    const flows: Record<string, string[]> = {}
    for (const frame of frames) {
      let type = 12
      while ([0x8100, 0x88a8].includes(frame.readUInt16BE(type))) type += 4
      const four = frame.readUInt16BE(type) === 0x0800
      // The identification, and the checksum with it, means nothing with DF.
      if (four && frame.readUInt16BE(type + 8) & 0x4000) {
        frame.writeUInt16BE(0, type + 6)
        frame.writeUInt16BE(0, type + 12)
      }
      const port = frame.readUInt16BE(type + 2 + (four ? 20 : 40))
      flows[port] = [...(flows[port] ?? []), ...hex([frame])]
    }
    return flows
  }

  test(`gives the very same frames, in order in each flow (SEED=${seed})`, () => {
    const next = random(seed)
    let merged = 0
    for (let round = 0; round < 300; round++) {
      const sent = traffic(next)
      const into = new FrameBatch({ frames: 256, bytes: 1 << 20, vnetHeaderSize: 10 })
      const back = new FrameBatch({ frames: 256, bytes: 1 << 20 })
      expect(mergeFrames(batchOf(sent), into)).toMatchObject({ frames: sent.length })
      expect(segmentFrames(into, back)).toEqual({ frames: into.length, segments: 0, refused: 0 })
      merged += sent.length - into.length
      expect(flowsOf(framesOf(back))).toEqual(flowsOf(sent))
    }
    // It did something.
    expect(merged).toBeGreaterThan(1000)
  })
})
