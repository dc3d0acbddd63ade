import { describe, expect, test } from 'vitest'
import { FrameBatch, type OffloadOptions, segmentFrames, VnetHeader } from '../../lib/index.js'
import { batchOf, framesOf, headersOf, hex } from './support/batches.js'
import {
  FLOWS,
  type Flow,
  partialFrame,
  pattern,
  type SuperFrame,
  segmentsOf,
  superFrame,
  TCP_FLAG,
  wireFrame
} from './support/flows.js'

const flows = Object.entries(FLOWS)
const tcpFlows = flows.filter(([, { protocol }]) => protocol === 'tcp')
const TCP4: Flow = { version: 4, protocol: 'tcp' }
const UDP4: Flow = { version: 4, protocol: 'udp' }
const UDP6: Flow = { version: 6, protocol: 'udp' }

/** All that comes out, as buffers, and what is said of it. */
function segment(frames: (SuperFrame | Uint8Array)[], options: OffloadOptions = {}) {
  const into = new FrameBatch({ frames: 4096, bytes: 4 << 20 })
  const progress = segmentFrames(batchOf(frames), into, options)
  return { wire: hex(into), ...progress }
}

/** A good super-frame that is changed, and cut. */
function changed(flow: Flow, change: (header: VnetHeader, frame: Buffer) => void, length?: number): SuperFrame {
  const { header, frame } = superFrame(flow, pattern(4000), 1000)
  change(new VnetHeader(header), frame)
  return { header, frame: frame.subarray(0, length) }
}

const unchanged = () => {}

describe('segments are those of a host without offloads', () => {
  test.each(flows)('%s', (_, flow) => {
    const layer = flow.layer ?? 'ethernet'
    for (const [length, size] of [
      [4000, 1000],
      [4001, 1000],
      [3999, 1000],
      [2897, 1448],
      [1448, 1448],
      [100, 1448],
      [1, 1],
      [300, 7],
      [60_000, 1448],
      [60_000, 9001]
    ] as const) {
      const payload = pattern(length, length)
      const got = segment([superFrame(flow, payload, size)], { layer })
      expect(got.refused).toBe(0)
      expect(got.wire).toEqual(hex(segmentsOf(flow, payload, size)))
    }
  })

  test.each(tcpFlows)('%s: flags are where they belong', (_, flow) => {
    const flags = TCP_FLAG.ACK | TCP_FLAG.PSH | TCP_FLAG.FIN | TCP_FLAG.CWR | TCP_FLAG.ECE
    const payload = pattern(3500)
    const got = segment([superFrame(flow, payload, 1000, { flags })], { layer: flow.layer })
    expect(got.wire).toEqual(hex(segmentsOf(flow, payload, 1000, { flags })))
  })

  test('TCP without payload is one segment', () => {
    const empty = pattern(0)
    expect(segment([superFrame(TCP4, empty, 1000)]).wire).toEqual(hex(segmentsOf(TCP4, empty, 1000)))
  })

  test('the largest IP packet', () => {
    const payload = pattern(65_535 - 20 - 20)
    expect(segment([superFrame(TCP4, payload, 65_000)]).wire).toEqual(hex(segmentsOf(TCP4, payload, 65_000)))
    expect(segment([superFrame(TCP4, payload, 65_495)]).wire).toEqual(hex(segmentsOf(TCP4, payload, 65_495)))
  })

  test('as many as 64 KiB have of 8 bytes', () => {
    const payload = pattern(8 * 4000)
    expect(segment([superFrame(UDP4, payload, 8)]).wire).toEqual(hex(segmentsOf(UDP4, payload, 8)))
  })

  test('UDP checksums that come out as 0 are sent as 0xffff', () => {
    for (const flow of [UDP4, UDP6]) {
      const payload = Buffer.alloc(4)
      // The last word makes the sum of the second segment all ones.
      const plain = segmentsOf(flow, payload, 2)[1] as Buffer
      payload.writeUInt16BE(plain.readUInt16BE(plain.length - 2 - 2), 2)
      const wanted = segmentsOf(flow, payload, 2)
      expect(wanted[1]?.readUInt16BE(plain.length - 4)).toBe(0xffff)
      expect(segment([superFrame(flow, payload, 2)]).wire).toEqual(hex(wanted))
    }
  })

  test('UDP over IPv4 that has no checksum gets none', () => {
    const { header, frame } = superFrame(UDP4, pattern(2000), 1000)
    new VnetHeader(header).needsChecksum = false
    frame.writeUInt16BE(0, 40)
    const wanted = segmentsOf(UDP4, pattern(2000), 1000)
    for (const one of wanted) one.writeUInt16BE(0, 40)
    expect(segment([{ header, frame }]).wire).toEqual(hex(wanted))
  })

  test('a checksum that was computed already is computed anew', () => {
    for (const [, flow] of flows) {
      const { header, frame } = superFrame(flow, pattern(2500), 1000)
      new VnetHeader(header).needsChecksum = false
      expect(segment([{ header, frame }], { layer: flow.layer }).wire).toEqual(
        hex(segmentsOf(flow, pattern(2500), 1000))
      )
    }
  })
})

describe('what a super-frame says of itself is not believed', () => {
  test.each([0, 1, 54, 1054, 0xffff])('a headerLength of %i', length => {
    const wrong = changed(TCP4, header => {
      header.headerLength = length
    })
    expect(segment([wrong]).wire).toEqual(hex(segmentsOf(TCP4, pattern(4000), 1000)))
  })

  test.each([0, 1, 20, 5000, 0xffff])('an IP length of %i', length => {
    const wrong = changed(TCP4, (_, frame) => {
      frame.writeUInt16BE(length, 16)
    })
    expect(segment([wrong]).wire).toEqual(hex(segmentsOf(TCP4, pattern(4000), 1000)))
  })

  test('a wrong checksum of the IP header, a wrong sum of the pseudo header', () => {
    const wrong = changed(TCP4, (_, frame) => {
      frame.writeUInt16BE(0xdead, 24)
      frame.writeUInt16BE(0xbeef, 50)
    })
    expect(segment([wrong]).wire).toEqual(hex(segmentsOf(TCP4, pattern(4000), 1000)))
  })

  test.each([0, 7, 8, 9, 65_535])('a UDP length of %i', length => {
    const wrong = changed(UDP4, (_, frame) => {
      frame.writeUInt16BE(length, 38)
    })
    expect(segment([wrong]).wire).toEqual(hex(segmentsOf(UDP4, pattern(4000), 1000)))
  })
})

describe('refused, and counted', () => {
  const cases: Record<string, SuperFrame> = {
    'segments of no size': changed(TCP4, header => {
      header.gsoSize = 0
    }),
    'TCPv6 that is TCPv4': changed(TCP4, header => {
      header.gsoType = 'tcpv6'
    }),
    'UDP that is TCP': changed(TCP4, header => {
      header.gsoType = 'udpL4'
    }),
    'TCP that is UDP': changed(UDP4, header => {
      header.gsoType = 'tcpv4'
    }),
    'UDP with ECN': changed(UDP4, header => {
      header.ecn = true
    }),
    'the fragmentation of UDP of old': changed(UDP4, header => {
      header.gsoType = 'udp'
    }),
    'an unknown type': changed(UDP4, header => {
      header.gsoType = 0x25
    }),
    'a checksum that begins elsewhere': changed(TCP4, header => {
      header.checksumStart += 2
    }),
    'a checksum that begins outside': changed(TCP4, header => {
      header.checksumStart = 0xffff
    }),
    'a checksum that goes elsewhere': changed(TCP4, header => {
      header.checksumOffset = 6
    }),
    'a checksum that goes outside': changed(UDP4, header => {
      header.checksumOffset = 0xffff
    }),
    'no IP': changed(TCP4, (_, frame) => {
      frame.writeUInt16BE(0x0806, 12)
    }),
    'IPv6 that says it is IPv4': changed(TCP4, (_, frame) => {
      frame[14] = 0x65
    }),
    'an IP header of 16 bytes': changed(TCP4, (_, frame) => {
      frame[14] = 0x44
    }),
    'a TCP header of 16 bytes': changed(TCP4, (_, frame) => {
      frame[46] = 0x40
    }),
    'a TCP header longer than the frame': changed(
      TCP4,
      (_, frame) => {
        frame[46] = 0xf0
      },
      14 + 20 + 59
    ),
    'a TCP header that is not whole': changed(TCP4, unchanged, 14 + 20 + 19),
    'a UDP header that is not whole': changed(UDP4, unchanged, 14 + 20 + 7),
    'an IP header that is not whole': changed(UDP6, unchanged, 14 + 39),
    'half an Ethernet header': changed(UDP6, unchanged, 13),
    'three tags': { ...superFrame({ ...TCP4, tags: [1, 2, 3] }, pattern(4000), 1000) },
    'a first fragment': changed(UDP4, (_, frame) => {
      frame.writeUInt16BE(0x2000, 20)
    }),
    'a last fragment': changed(UDP4, (_, frame) => {
      frame.writeUInt16BE(0x0100, 20)
    }),
    'a fragment of IPv6': superFrame(
      { ...UDP6, extensions: [[44, Buffer.from('00000100000001', 'hex')]] },
      pattern(4000),
      1000
    ),
    'an extension header longer than the frame': changed(
      { ...UDP6, extensions: [[60, Buffer.from('00010400000000', 'hex')]] },
      (_, frame) => {
        frame[55] = 255
      },
      2000
    ),
    'a jumbogram': superFrame(
      { ...FLOWS['TCP over IPv6'], extensions: [[0, Buffer.from('00c20400010000', 'hex')]] } as Flow,
      pattern(4000),
      1000
    ),
    'a compressed source route': superFrame(
      { ...UDP6, extensions: [[43, Buffer.from('02030100000000ffffffffffffffffffffffffffffffff', 'hex')]] },
      pattern(4000),
      1000
    ),
    'a source route to nowhere': superFrame(
      { ...UDP6, extensions: [[43, Buffer.from('00000100000000', 'hex')]] },
      pattern(4000),
      1000
    ),
    'segments longer than IP can say': superFrame(TCP4, pattern(65_535 - 40 + 1), 0xffff),
    'more segments than anybody sends': superFrame(TCP4, pattern(40_000), 4)
  }

  test.each(Object.entries(cases))('%s', (_, wrong) => {
    const good = superFrame(UDP4, pattern(1500), 1000)
    const got = segment([wrong, good])
    expect(got).toMatchObject({ wire: hex(segmentsOf(UDP4, pattern(1500), 1000)), refused: 1 })
  })

  test('a checksum outside of a frame that is not split', () => {
    const { header, frame } = partialFrame(UDP4, pattern(10))
    new VnetHeader(header).checksumStart = frame.length - 7
    expect(segment([{ header, frame }])).toMatchObject({ wire: [], refused: 1 })
  })
})

describe('the other frames', () => {
  test('without a header they are copied as they are', () => {
    const frames = [pattern(14), pattern(1514, 2), pattern(1, 3)]
    const into = new FrameBatch()
    const from = new FrameBatch()
    for (const frame of frames) from.push(frame)
    expect(segmentFrames(from, into)).toEqual({ frames: 3, segments: 0, refused: 0 })
    expect(framesOf(into)).toEqual(frames)
  })

  test.each(flows)('%s: checksums are completed', (_, flow) => {
    for (const length of [0, 1, 2, 63, 64, 65, 1459, 1460]) {
      const payload = pattern(length)
      const wanted = hex([wireFrame(flow, payload)])
      expect(segment([partialFrame(flow, payload)], { layer: flow.layer }).wire).toEqual(wanted)
    }
  })

  test('what the receiver takes is copied with its header, the rest is finished', () => {
    const sent = [
      superFrame(TCP4, pattern(3000), 1000),
      superFrame(UDP4, pattern(2000), 1000),
      partialFrame(UDP6, pattern(9))
    ]
    const into = new FrameBatch({ vnetHeaderSize: 12, headroom: 3 })
    segmentFrames(batchOf(sent), into, { offloads: { csum: true, tso4: true } })
    expect(framesOf(into)).toEqual([sent[0]?.frame, ...segmentsOf(UDP4, pattern(2000), 1000), sent[2]?.frame])
    const none = Buffer.alloc(12)
    expect(headersOf(into)).toEqual([
      Buffer.concat([sent[0]?.header as Buffer, Buffer.alloc(2)]),
      none,
      none,
      Buffer.concat([sent[2]?.header as Buffer, Buffer.alloc(2)])
    ])
  })
})

describe('room', () => {
  const payload = pattern(50_000)
  const wanted = hex(segmentsOf(TCP4, payload, 1000))

  test.each([1, 2, 7, 49, 50, 51])('%i frames at a time', frames => {
    const from = batchOf([superFrame(TCP4, payload, 1000), superFrame(TCP4, payload, 1000)])
    const into = new FrameBatch({ frames, headroom: 5, vnetHeaderSize: 10 })
    const got: string[] = []
    let done = segmentFrames(from, into)
    for (; ; done = segmentFrames(from, into, { after: done })) {
      got.push(...hex(into))
      into.clear()
      if (done.frames === from.length) break
    }
    expect(got).toEqual([...wanted, ...wanted])
    expect(done).toEqual({ frames: 2, segments: 0, refused: 0 })
  })

  test('bytes: nothing is written beyond the slab', () => {
    const from = batchOf([superFrame(TCP4, payload, 1000)])
    for (const bytes of [1055, 1054 + 64, 3000, 10_001]) {
      const into = new FrameBatch({ room: 1054, bytes })
      const got: string[] = []
      let done = segmentFrames(from, into)
      for (; ; done = segmentFrames(from, into, { after: done })) {
        got.push(...hex(into))
        into.clear()
        if (done.frames === from.length) break
      }
      expect(got).toEqual(wanted)
    }
  })

  test('frames are added behind those that are there', () => {
    const into = new FrameBatch({ frames: 3 })
    into.push(pattern(77))
    const from = batchOf([superFrame(TCP4, payload, 1000)])
    expect(segmentFrames(from, into)).toEqual({ frames: 0, segments: 2, refused: 0 })
    expect(hex(into)).toEqual([...hex([pattern(77)]), wanted[0], wanted[1]])
    expect(segmentFrames(from, into, { after: { frames: 0, segments: 2, refused: 0 } })).toEqual({
      frames: 0,
      segments: 2,
      refused: 0
    })
  })

  test('a batch that has none for a frame even when it is empty', () => {
    const into = new FrameBatch({ room: 100, bytes: 200 })
    expect(() => segmentFrames(batchOf([superFrame(TCP4, payload, 1000)]), into)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE', path: 'into' })
    )
  })
})

describe('wrong input', () => {
  const from = batchOf([superFrame(TCP4, pattern(100), 10)])

  test.each([
    ['into', () => segmentFrames(from, from)],
    ['into', () => segmentFrames(from, new FrameBatch(), { offloads: { csum: true } })],
    ['offloads.csum', () => segmentFrames(from, new FrameBatch({ vnetHeaderSize: 10 }), { offloads: { tso4: true } })],
    ['layer', () => segmentFrames(from, new FrameBatch(), { layer: 'arp' as 'ip' })],
    ['level', () => segmentFrames(from, new FrameBatch(), { level: 3 } as OffloadOptions)]
  ])('%s', (path, call) => {
    expect(call).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE', path }))
  })

  test('tables that lie are not followed', () => {
    const liar = batchOf([superFrame(TCP4, pattern(100), 10), pattern(60), pattern(60)])
    liar.offsets[0] = 0xffffffff
    liar.lengths[1] = 0xffffffff
    liar.offsets[2] = 3
    const into = new FrameBatch()
    expect(segmentFrames(liar, into)).toEqual({ frames: 3, segments: 0, refused: 3 })
    expect(into.length).toBe(0)
  })
})
