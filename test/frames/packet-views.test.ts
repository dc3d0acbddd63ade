/** Views of headers on frames that were built byte by byte. */
import { describe, expect, it } from 'vitest'
import {
  ArpView,
  EthernetView,
  etherType,
  FrameBatch,
  Ipv4View,
  internetChecksum,
  ipv4Number,
  ipv4Text,
  LinkwrightError,
  macAt,
  macNumber,
  macText,
  PacketView,
  TcpView,
  updatedChecksum
} from '../../lib/index.js'
import { arpRequest, checksum } from '../support/frames.js'
import { FLOWS, partialFrame, pattern, wireFrame } from './support/flows.js'

const bytesOf = (text: string) => Buffer.from(text.replaceAll(/\s/g, ''), 'hex')

/** A view on a frame in the middle of other bytes, in shared memory as batches have it. */
function placed(frame: Uint8Array, before = 70): { memory: Uint8Array; offset: number; length: number } {
  const memory = new Uint8Array(new SharedArrayBuffer(before + frame.length + 70)).fill(0xee)
  memory.set(frame, before)
  return { memory, offset: before, length: frame.length }
}

function view(frame: Uint8Array): PacketView {
  const { memory, offset, length } = placed(frame)
  const packet = new PacketView()
  packet.at(memory, offset, length)
  return packet
}

function thrown(action: () => unknown): LinkwrightError {
  try {
    action()
  } catch (error) {
    if (error instanceof LinkwrightError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

describe('addresses', () => {
  it('are text and numbers', () => {
    expect(macNumber('52:54:00:12:34:56')).toBe(0x525400123456)
    expect(macNumber('ff:ff:ff:ff:ff:ff')).toBe(0xffffffffffff)
    expect(macText(0x525400123456)).toBe('52:54:00:12:34:56')
    expect(macText(1)).toBe('00:00:00:00:00:01')
    expect(macText(0xfedcba987654)).toBe('fe:dc:ba:98:76:54')
    expect(ipv4Number('192.0.2.1')).toBe(0xc0000201)
    expect(ipv4Text(0xfffefdfc)).toBe('255.254.253.252')
    expect(macAt(bytesOf('00 fedcba987654'), 1)).toBe(0xfedcba987654)
  })

  it.each([
    () => macNumber('52:54:00:12:34'),
    () => macText(2 ** 48),
    () => macText(-1),
    () => ipv4Number('192.0.2'),
    () => ipv4Text(2 ** 32),
    () => ipv4Text(0.5)
  ])('are refused where they are none: %s', action => {
    expect(thrown(action).code).toBe('ERR_INVALID_ARG_VALUE')
  })
})

it('is set on the frames of a batch', () => {
  const batch = new FrameBatch({ vnetHeaderSize: 10 })
  batch.push(wireFrame({ version: 4, protocol: 'udp', destinationPort: 7 }, pattern(9)))
  batch.push(wireFrame({ version: 6, protocol: 'udp', destinationPort: 8 }, pattern(9)))
  const packet = new PacketView()
  expect(packet.of(batch, 1)).toBe(true)
  expect([packet.udp?.destinationPort, packet.ipv6 !== undefined]).toEqual([8, true])
  expect(packet.of(batch, 0)).toBe(true)
  expect([packet.udp?.destinationPort, packet.ipv6]).toEqual([7, undefined])
  expect(packet.of(batch, 2)).toBe(false)
  expect(packet.ethernet).toBeUndefined()
})

describe('Ethernet', () => {
  const plain = bytesOf('ffffffffffff 525400123456 0806 0001')

  it('has addresses and a type', () => {
    const ethernet = new EthernetView()
    const { memory, offset, length } = placed(plain)
    expect(ethernet.at(memory, offset, length)).toBe(true)
    expect(ethernet).toMatchObject({
      destination: 'ff:ff:ff:ff:ff:ff',
      destinationNumber: 0xffffffffffff,
      source: '52:54:00:12:34:56',
      sourceNumber: 0x525400123456,
      type: 0x0806,
      tags: 0,
      vlan: undefined,
      innerVlan: undefined,
      broadcast: true,
      multicast: true,
      payloadLength: 2
    })
    expect(Buffer.from(ethernet.payload()).toString('hex')).toBe('0001')
  })

  it.each([
    ['8100 6007', 1, 7, 3, undefined, undefined],
    ['88a8 e064 8100 0fff', 2, 100, 7, 4095, 0],
    ['9100 0001 8100 a002', 2, 1, 0, 2, 5],
    ['8100 0001 8100 0002', 2, 1, 0, 2, 0]
  ])('has tags: %s', (tags, count, vlan, vlanPriority, innerVlan, innerVlanPriority) => {
    const frame = bytesOf(`020000000002 020000000001 ${tags} 86dd 60`)
    const { memory, offset, length } = placed(frame)
    const ethernet = new EthernetView()
    ethernet.at(memory, offset, length)
    expect(ethernet).toMatchObject({ tags: count, vlan, vlanPriority, innerVlan, innerVlanPriority, type: 0x86dd })
    expect(ethernet).toMatchObject({ broadcast: false, multicast: false, payloadLength: 1 })
    expect(etherType(memory, offset, length)).toBe(0x86dd)
    expect(ethernet.setVlan(0x123)).toBe(true)
    expect(ethernet.setInnerVlan(0x456)).toBe(count === 2)
    expect(ethernet).toMatchObject({ vlan: 0x123, vlanPriority })
    expect(ethernet.innerVlan).toBe(count === 2 ? 0x456 : undefined)
    expect(ethernet.innerVlanPriority).toBe(innerVlanPriority)
  })

  it('looks behind two tags, not behind three', () => {
    const frame = bytesOf('020000000002 020000000001 8100 0001 8100 0002 8100 0003 0800 45')
    expect(view(frame).ethernet).toMatchObject({ tags: 2, type: 0x8100 })
    expect(etherType(frame, 0, frame.length)).toBe(0x8100)
  })

  it('has no tag that is cut off', () => {
    for (const length of [14, 15, 16, 17]) {
      const frame = bytesOf('020000000002 020000000001 8100 0001 0800').subarray(0, length)
      const { memory, offset } = placed(frame)
      expect(view(frame).ethernet).toMatchObject({ tags: 0, type: 0x8100 })
      expect(etherType(memory, offset, length)).toBe(0x8100)
    }
  })

  it('is none below 14 bytes', () => {
    const ethernet = new EthernetView()
    ethernet.at(plain, 0, plain.length)
    expect(ethernet.at(plain, 0, 13)).toBe(false)
    expect(ethernet).toMatchObject({ type: 0, destination: '', sourceNumber: 0, multicast: false, payloadLength: 0 })
    expect(etherType(plain, 0, 13)).toBe(0)
  })

  it('cannot be tagged by setting a VLAN', () => {
    const packet = view(plain)
    expect(packet.ethernet?.setVlan(5)).toBe(false)
    expect(packet.ethernet?.type).toBe(0x0806)
  })

  it('takes other addresses, as text and as numbers', () => {
    const { memory, offset, length } = placed(plain)
    const ethernet = new EthernetView()
    ethernet.at(memory, offset, length)
    ethernet.destination = '01:02:03:04:05:06'
    ethernet.source = 0xf1f2f3f4f5f6
    expect(Buffer.from(memory.subarray(offset, offset + 14)).toString('hex')).toBe('010203040506f1f2f3f4f5f60806')
    expect(thrown(() => Object.assign(ethernet, { source: 'nonsense' })).code).toBe('ERR_INVALID_ARG_VALUE')
    expect(ethernet.source).toBe('f1:f2:f3:f4:f5:f6')
  })
})

describe('ARP', () => {
  const frame = arpRequest({ mac: '02:00:00:00:00:01', ip: '192.0.2.1' }, '192.0.2.9')

  it('says who asks for whom', () => {
    expect(view(frame).arp).toMatchObject({
      operation: 1,
      senderMac: '02:00:00:00:00:01',
      senderMacNumber: 0x020000000001,
      senderIp: '192.0.2.1',
      senderIpNumber: 0xc0000201,
      targetMac: '00:00:00:00:00:00',
      targetMacNumber: 0,
      targetIp: '192.0.2.9',
      targetIpNumber: 0xc0000209
    })
  })

  it('becomes an answer', () => {
    const { arp } = view(frame)
    if (!arp) throw new Error('no ARP')
    arp.operation = 2
    arp.targetMac = arp.senderMacNumber
    arp.targetIp = arp.senderIpNumber
    arp.senderMac = '02:00:00:00:00:09'
    arp.senderIp = '192.0.2.9'
    const packet = arp.bytes.subarray(arp.offset, arp.end)
    expect(Buffer.from(packet).toString('hex')).toBe(
      '0001080006040002 020000000009 c0000209 020000000001 c0000201'.replaceAll(' ', '')
    )
  })

  it.each([
    ['another kind of link', 14],
    ['another protocol', 16],
    ['longer addresses', 18]
  ])('is none for %s', (_, at) => {
    const other = Buffer.from(frame)
    other.writeUInt16BE(7, at)
    expect(view(other).arp).toBeUndefined()
    expect(view(other).ethernet?.type).toBe(0x0806)
  })

  it('is none when it is cut off', () => {
    expect(view(frame.subarray(0, 41)).arp).toBeUndefined()
    expect(new ArpView().at(frame, 14, 28)).toBe(true)
  })
})

describe('IPv4', () => {
  const header = '46 b9 0024 1234 6001 40 11 0000 c0000201 c6336407 94040000'
  const packet = () => bytesOf(`${header} 0102030405060708090a0b0c`)

  it('has its fields', () => {
    const ip = new Ipv4View()
    expect(ip.at(packet(), 0, 36)).toBe(true)
    expect(ip).toMatchObject({
      headerLength: 24,
      dscp: 46,
      ecn: 1,
      totalLength: 36,
      identification: 0x1234,
      dontFragment: true,
      moreFragments: true,
      fragmentOffset: 8,
      fragment: true,
      ttl: 64,
      protocol: 17,
      source: '192.0.2.1',
      sourceNumber: 0xc0000201,
      destination: '198.51.100.7',
      destinationNumber: 0xc6336407,
      truncated: false,
      payloadLength: 12
    })
  })

  it('is compared without text', () => {
    const ip = new Ipv4View()
    ip.at(packet(), 0, 36)
    expect([ip.isFrom(0xc0000201), ip.isFrom(0xc0000202), ip.isFrom(ipv4Number('192.0.2.1'))]).toEqual([
      true,
      false,
      true
    ])
    expect([ip.isTo(0xc6336407), ip.isTo(0xc6336408)]).toEqual([true, false])
  })

  it('ends before the padding of the frame, and says when it is cut off', () => {
    const ip = new Ipv4View()
    expect(ip.at(Buffer.concat([packet(), Buffer.alloc(10)]), 0, 46)).toBe(true)
    expect(ip).toMatchObject({ payloadLength: 12, truncated: false })
    expect(ip.at(packet(), 0, 30)).toBe(true)
    expect(ip).toMatchObject({ payloadLength: 6, truncated: true })
    // Memory that ends before the length given for the frame.
    expect(ip.at(packet().subarray(0, 30), 0, 36)).toBe(true)
    expect(ip).toMatchObject({ payloadLength: 6, truncated: true })
  })

  it.each([
    ['another version', 0, 0x65],
    ['a header of 16 bytes', 0, 0x44],
    ['a header that is longer than the packet', 0, 0x4f],
    ['a length that does not hold the header', 3, 23]
  ])('is none with %s', (_, at, byte) => {
    const bytes = packet()
    bytes[at] = byte
    expect(new Ipv4View().at(bytes, 0, 36)).toBe(false)
  })

  it('takes other values', () => {
    const bytes = packet()
    const ip = new Ipv4View()
    ip.at(bytes, 0, 36)
    ip.dscp = 10
    ip.ecn = 3
    ip.identification = 0xfffe
    ip.ttl = 63
    ip.source = '203.0.113.9'
    ip.destination = 0x01020304
    ip.fillChecksum()
    expect(ip.checksumValid).toBe(true)
    expect(checksum(bytes.subarray(0, 24))).toBe(0)
    bytes.writeUInt16BE(0, 10)
    expect(bytes.subarray(0, 24).toString('hex')).toBe(
      '46 2b 0024 fffe 6001 3f 11 0000 cb007109 01020304 94040000'.replaceAll(' ', '')
    )
    expect(ip.checksumValid).toBe(false)
  })
})

describe('IPv6', () => {
  const payload = bytesOf('1f90 0035 000c 0000 01020304')
  const packet = (next: number, ...extensions: string[]) => {
    const body = Buffer.concat([...extensions.map(bytesOf), payload])
    const bytes = Buffer.concat([
      bytesOf(`6b9 12345 0000 ${next.toString(16).padStart(2, '0')} 40`),
      bytesOf('20010db8000000000000000000000001 20010db8000000000000000000000002'),
      body
    ])
    bytes.writeUInt16BE(body.length, 4)
    return bytes
  }
  const at = (bytes: Uint8Array) => {
    const view = new PacketView()
    expect(view.atIp(bytes, 0, bytes.length)).toBe(true)
    return view
  }

  it('has its fields', () => {
    const { ipv6, udp } = at(packet(17))
    expect(ipv6).toMatchObject({
      trafficClass: 0xb9,
      flowLabel: 0x12345,
      nextHeader: 17,
      protocol: 17,
      hopLimit: 64,
      source: '2001:db8::1',
      destination: '2001:db8::2',
      headerLength: 40,
      payloadLength: 12,
      fragment: false,
      truncated: false
    })
    expect(ipv6?.isFrom(bytesOf('20010db8000000000000000000000001'))).toBe(true)
    expect(ipv6?.isFrom(bytesOf('20010db8000000000000000000000002'))).toBe(false)
    expect(ipv6?.isTo(bytesOf('20010db8000000000000000000000002'))).toBe(true)
    expect(udp).toMatchObject({ sourcePort: 8080, destinationPort: 53, length: 12 })
  })

  it.each([
    ['hop-by-hop and destination options', 0, ['3c00050200000100', '1101 0000000000000000000000000000']],
    ['a routing header', 43, ['1100 0000 00000000']],
    ['an authentication header', 51, ['1104 0000 00000001 00000002 000000000000000000000000']],
    ['the fragment header of a whole packet', 44, ['1100 0000 00000007']]
  ])('is followed by UDP behind %s', (_, next, extensions) => {
    const { ipv6, udp } = at(packet(next, ...extensions))
    expect(ipv6).toMatchObject({ nextHeader: next, protocol: 17, fragment: false, payloadLength: 12 })
    expect(udp?.destinationPort).toBe(53)
  })

  it.each([
    ['the first fragment', '1100 0001 00000007', 0, true],
    ['a later fragment', '1100 0009 00000007', 8, false],
    ['the last fragment', '1100 0010 00000007', 16, false]
  ])('knows %s', (_, header, fragmentOffset, hasPorts) => {
    const view = at(packet(44, header))
    expect(view.ipv6).toMatchObject({ fragment: true, fragmentOffset, protocol: 17 })
    expect(view.udp !== undefined).toBe(hasPorts)
    expect(view.fillChecksums()).toBe(false)
  })

  it('takes the middle of a payload for no header', () => {
    const later = at(packet(44, '3c00 0009 00000007', '1100 010400000000'))
    expect(later.ipv6).toMatchObject({ protocol: 60, fragment: true, fragmentOffset: 8, headerLength: 48 })
    expect(later.udp).toBeUndefined()
  })

  it('follows no chain without an end, and none that is cut off', () => {
    const endless = packet(60, ...Array.from({ length: 40 }, () => '3c00 010400000000'))
    expect(at(endless).ipv6?.protocol).toBe(60)
    expect(at(endless).udp).toBeUndefined()
    const cut = packet(60, '11ff 010400000000')
    expect(at(cut).ipv6).toMatchObject({ protocol: 60, headerLength: 40 })
    const esp = at(packet(50))
    expect(esp.protocol).toBe(50)
    expect(esp.udp).toBeUndefined()
  })

  it('takes other values', () => {
    const bytes = packet(17)
    const { ipv6 } = at(bytes)
    if (!ipv6) throw new Error('no IPv6')
    ipv6.trafficClass = 0x21
    ipv6.hopLimit = 1
    ipv6.source = 'fe80::1'
    ipv6.destination = bytesOf('ff020000000000000000000000000001')
    expect(bytes.subarray(0, 40).toString('hex')).toBe(
      `62112345000c1101${'fe80000000000000'}${'0000000000000001'}${'ff02000000000000'}${'0000000000000001'}`
    )
    expect(thrown(() => Object.assign(ipv6, { source: new Uint8Array(4) })).code).toBe('ERR_INVALID_ARG_VALUE')
  })
})

describe('TCP', () => {
  const segment = (options: string) => {
    const bytes = bytesOf(`04d2 0016 00000001 fffffffe 0012 2000 0000 0005 ${options}`)
    bytes[12] = (bytes.length / 4) << 4
    return bytes
  }

  it('has its fields', () => {
    const tcp = new TcpView()
    expect(tcp.at(Buffer.concat([segment(''), Buffer.from('data')]), 0, 24)).toBe(true)
    expect(tcp).toMatchObject({
      sourcePort: 1234,
      destinationPort: 22,
      sequence: 1,
      acknowledgement: 0xfffffffe,
      headerLength: 20,
      flags: 0x12,
      syn: true,
      ack: true,
      fin: false,
      rst: false,
      psh: false,
      window: 0x2000,
      urgentPointer: 5,
      payloadLength: 4,
      maximumSegmentSize: undefined
    })
    expect(Buffer.from(tcp.payload()).toString()).toBe('data')
  })

  it('takes other values', () => {
    const bytes = segment('')
    const tcp = new TcpView()
    tcp.at(bytes, 0, bytes.length)
    tcp.sourcePort = 1
    tcp.destinationPort = 65535
    tcp.sequence = 0xfffffff0
    tcp.acknowledgement = 7
    tcp.flags = 0x05
    tcp.window = 9
    tcp.checksum = 0xabcd
    expect(bytes.toString('hex')).toBe('0001fffffffffff0000000075005' + '0009abcd0005')
    expect(tcp).toMatchObject({ fin: true, rst: true, syn: false })
  })

  it.each([
    ['alone', '020405b4', 1460],
    ['behind others', '0101 0402 020405b4', 1460],
    ['behind the end of the options', '0000 0000 020405b4', undefined],
    ['of a wrong length', '0203 05b4', undefined],
    ['cut off', '0101 0204', undefined],
    ['behind an option of no length', '0300 0000 020405b4', undefined]
  ])('finds the longest segment: %s', (_, options, expected) => {
    const tcp = new TcpView()
    const bytes = segment(options)
    expect(tcp.at(bytes, 0, bytes.length)).toBe(true)
    expect(tcp.maximumSegmentSize).toBe(expected)
    expect(tcp.clampMaximumSegmentSize(1400)).toBe(expected !== undefined)
    expect(tcp.maximumSegmentSize).toBe(expected === undefined ? undefined : 1400)
    expect(tcp.clampMaximumSegmentSize(1400)).toBe(false)
  })

  it('is none with a header of the wrong length', () => {
    const bytes = segment('')
    for (const [words, length] of [
      [4, 20],
      [6, 20],
      [5, 19]
    ] as const) {
      bytes[12] = words << 4
      expect(new TcpView().at(bytes, 0, length)).toBe(false)
    }
  })
})

describe('checksums', () => {
  it('are those of RFC 1071', () => {
    expect(internetChecksum(bytesOf('0001f203f4f5f6f7'), 0, 8)).toBe(0x220d)
    for (const length of [0, 1, 2, 3, 1499, 65_535, 131_073]) {
      const data = pattern(length, length + 1)
      expect(internetChecksum(data, 0, length)).toBe(checksum(data))
    }
    // Sums that would overflow 32 bits.
    const ones = Buffer.alloc(1_000_000, 0xff)
    expect(internetChecksum(ones, 0, ones.length)).toBe(0)
    ones.writeUInt16BE(0x1234, 500_000)
    expect(internetChecksum(ones, 0, ones.length)).toBe(~0x1234 & 0xffff)
  })

  it('are updated when a word changes', () => {
    const data = pattern(40)
    for (let round = 0; round < 2000; round++) {
      const at = 2 * (round % 20)
      const before = data.readUInt16BE(at)
      const old = checksum(data)
      const after = [0, 0xffff, (before + round * 7919) & 0xffff][round % 3] as number
      data.writeUInt16BE(after, at)
      const updated = updatedChecksum(old, before, after)
      // The two faces of zero are the same sum.
      expect(updated % 0xffff).toBe(checksum(data) % 0xffff)
    }
  })

  const view = (name: string, frame: Uint8Array) => {
    const packet = new PacketView()
    const { memory, offset, length } = placed(frame)
    if (FLOWS[name]?.layer === 'ip') packet.atIp(memory, offset, length)
    else packet.at(memory, offset, length)
    return { packet, read: () => Buffer.from(memory.subarray(offset, offset + length)).toString('hex') }
  }

  it.each(Object.entries(FLOWS))('are filled in as the sender did: %s', (name, flow) => {
    for (const length of [0, 1, 18, 777, 1400]) {
      const whole = wireFrame(flow, pattern(length, length))
      const { packet, read } = view(name, whole)
      const header = packet.tcp ?? packet.udp
      if (!header) throw new Error('no transport header')
      expect(packet.checksumsValid).toBe(true)
      expect(packet).toMatchObject({ protocol: flow.protocol === 'tcp' ? 6 : 17 })
      expect(packet.ethernet?.tags ?? 0).toBe(flow.tags?.length ?? 0)
      header.checksum = header.checksum ^ 0x5555
      if (packet.ipv4) packet.ipv4.checksum = 0x1111
      expect(packet.checksumsValid).toBe(false)
      expect(packet.fillChecksums()).toBe(true)
      expect(read()).toBe(whole.toString('hex'))
    }
  })

  it.each(Object.entries(FLOWS))('are filled in half, for a receiver that completes them: %s', (name, flow) => {
    const { frame } = partialFrame(flow, pattern(100))
    const { packet, read } = view(name, frame)
    const header = packet.tcp ?? packet.udp
    if (!header) throw new Error('no transport header')
    header.checksum = 0
    expect(packet.fillPartialChecksums()).toBe(true)
    expect(read()).toBe(frame.toString('hex'))
  })

  it('of UDP are never zero, which means none', () => {
    const flow = FLOWS['UDP over IPv4']
    if (!flow) throw new Error('no flow')
    // The word that makes the sum zero.
    const first = wireFrame(flow, Buffer.alloc(2)).readUInt16BE(14 + 20 + 6)
    const data = Buffer.alloc(2)
    data.writeUInt16BE(first)
    const { packet, read } = view('UDP over IPv4', wireFrame(flow, data))
    packet.fillChecksums()
    expect(packet.udp?.checksum).toBe(0xffff)
    expect(read()).toBe(wireFrame(flow, data).toString('hex'))
    expect(packet.checksumsValid).toBe(true)
    if (packet.udp) packet.udp.checksum = 0
    expect(packet.checksumsValid).toBe(true)
  })

  it('over IPv6 cannot be left out', () => {
    const { packet } = view('UDP over IPv6', wireFrame(FLOWS['UDP over IPv6'] as never, pattern(8)))
    if (packet.udp) packet.udp.checksum = 0
    expect(packet.checksumsValid).toBe(false)
  })

  it('are left alone in what is not whole', () => {
    const frame = wireFrame(FLOWS['TCP over IPv4'] as never, pattern(100))
    const cut = view('TCP over IPv4', frame.subarray(0, 120))
    expect(cut.packet.fillChecksums()).toBe(false)
    expect(cut.read()).toBe(frame.subarray(0, 120).toString('hex'))
    expect(cut.packet.checksumsValid).toBe(true)
    const longer = Buffer.from(wireFrame(FLOWS['UDP over IPv4'] as never, pattern(100)))
    longer.writeUInt16BE(109, 14 + 20 + 4)
    expect(view('UDP over IPv4', longer).packet.fillChecksums()).toBe(false)
  })
})

describe('the hash of a flow', () => {
  const hash = (flow: Parameters<typeof wireFrame>[0], symmetric?: boolean) => {
    const packet = new PacketView()
    const frame = wireFrame(flow, pattern(20))
    if (flow.layer === 'ip') packet.atIp(frame, 0, frame.length)
    else packet.at(frame, 0, frame.length)
    return packet.flowHash(symmetric)
  }

  it.each([4, 6] as const)('is one for each connection over IPv%i', version => {
    const base = { version, protocol: 'tcp' } as const
    const other = version === 4 ? '192.0.2.3' : '2001:db8::3'
    const hashes = [
      hash(base),
      hash({ ...base, sourcePort: 4001 }),
      hash({ ...base, destinationPort: 5001 }),
      hash({ ...base, sourcePort: 5000, destinationPort: 4000 }),
      hash({ ...base, protocol: 'udp' }),
      hash({ ...base, source: other }),
      hash({ ...base, destination: other })
    ]
    expect(new Set(hashes).size).toBe(hashes.length)
    for (const value of hashes) expect(value).toBe(value >>> 0)
    expect(hash({ ...base, tags: [7], trafficClass: 4, hopLimit: 3, sequence: 99 })).toBe(hashes[0])
    expect(hash({ ...base, layer: 'ip' })).toBe(hashes[0])
  })

  it.each([4, 6] as const)('is the same for both directions over IPv%i, if that is wanted', version => {
    const [one, two] = version === 4 ? ['192.0.2.7', '198.51.100.9'] : ['2001:db8::7', 'fd00::9']
    const there = {
      version,
      protocol: 'udp',
      source: one,
      destination: two,
      sourcePort: 1,
      destinationPort: 2
    } as const
    const back = { version, protocol: 'udp', source: two, destination: one, sourcePort: 2, destinationPort: 1 } as const
    expect(hash(there, true)).toBe(hash(back, true))
    expect(hash(there)).not.toBe(hash(back))
    expect(hash(there, true)).not.toBe(hash({ ...back, sourcePort: 3 }, true))
  })

  it('leaves out the ports of fragments, so that all of a packet stay together', () => {
    const first = wireFrame({ version: 4, protocol: 'udp', dontFragment: false }, pattern(64))
    first.writeUInt16BE(0x2000, 14 + 6)
    const later = Buffer.concat([first.subarray(0, 34), pattern(72, 9)])
    later.writeUInt16BE(0x2009, 14 + 6)
    const packet = new PacketView()
    packet.at(first, 0, first.length)
    expect(packet.udp?.destinationPort).toBe(5000)
    const hashOfFirst = packet.flowHash()
    packet.at(later, 0, later.length)
    expect(packet.udp).toBeUndefined()
    expect(packet.flowHash()).toBe(hashOfFirst)
  })

  it('spreads connections evenly', () => {
    const buckets = new Array<number>(8).fill(0)
    for (let port = 0; port < 4000; port++) {
      const at = hash({ version: 4, protocol: 'tcp', sourcePort: 20_000 + port }) % 8
      buckets[at] = (buckets[at] as number) + 1
    }
    for (const count of buckets) expect(Math.abs(count - 500)).toBeLessThan(120)
  })

  it('of other frames is over the Ethernet header', () => {
    const one = arpRequest({ mac: '02:00:00:00:00:01', ip: '192.0.2.1' }, '192.0.2.9')
    const two = arpRequest({ mac: '02:00:00:00:00:02', ip: '192.0.2.1' }, '192.0.2.9')
    const packet = new PacketView()
    packet.at(one, 0, one.length)
    const first = packet.flowHash()
    packet.at(two, 0, two.length)
    expect(packet.flowHash()).not.toBe(first)
  })
})
