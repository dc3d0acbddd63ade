/** Views of what the kernel's stack sends, and what it makes of frames that were rewritten with them. */
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import {
  Capture,
  type FrameBatch,
  type FrameQueue,
  IPPROTO,
  ipv4Number,
  macNumber,
  PacketView,
  type Tap,
  VnetHeader
} from '../../lib/index.js'
import { tcpdump } from '../capture/support/tools.js'
import { openTap } from '../tap/support/devices.js'
import { ping } from '../tap/support/kernel-stack.js'
import { needsTun, tempFolder } from '../tap/support/needs.js'
import { ip, ipLink } from '../tap/support/system.js'

needsTun()

const GUEST = { mac: '02:00:00:00:00:02', ip: '192.0.2.2', ip6: '2001:db8::2' }
const GUEST_IP6 = Uint8Array.from(Buffer.from('20010db8000000000000000000000002', 'hex'))

async function newTap(options: Parameters<typeof openTap>[0] = {}): Promise<Tap> {
  const tap = await openTap({ name: 'views0', up: true, ...options })
  ip(undefined, 'address', 'add', '192.0.2.1/24', 'dev', 'views0')
  ip(undefined, 'address', 'add', '2001:db8::1/64', 'dev', 'views0', 'nodad')
  return tap
}

function knowGuest(): void {
  ip(undefined, 'neighbour', 'add', GUEST.ip, 'lladdr', GUEST.mac, 'dev', 'views0')
  ip(undefined, 'neighbour', 'add', GUEST.ip6, 'lladdr', GUEST.mac, 'dev', 'views0')
}

/** Calls for every frame that comes until the test is over. */
function listen(queue: FrameQueue, each: (packet: PacketView, batch: FrameBatch, index: number) => void): void {
  const stopping = new AbortController()
  onTestFinished(() => stopping.abort())
  const packet = new PacketView()
  const loop = async () => {
    for await (const batch of queue.batches({ signal: stopping.signal })) {
      for (let i = 0; i < batch.length; i++) if (packet.of(batch, i)) each(packet, batch, i)
    }
  }
  loop().catch(error => {
    if (!stopping.signal.aborted) throw error
  })
}

async function until(condition: () => boolean): Promise<void> {
  for (const end = Date.now() + 5000; !condition() && Date.now() < end; ) await sleep(5)
}

async function udpSocket(type: 'udp4' | 'udp6'): Promise<Socket> {
  const socket = createSocket(type)
  onTestFinished(() => void socket.close())
  socket.bind(0, type === 'udp4' ? '192.0.2.1' : '2001:db8::1')
  await once(socket, 'listening')
  return socket
}

/** Makes an answer of a frame where it is: it goes back to where it came from. */
function turnRound(packet: PacketView): void {
  const { ethernet, ipv4, ipv6, udp } = packet
  if (ethernet) {
    ethernet.destination = ethernet.sourceNumber
    ethernet.source = GUEST.mac
  }
  if (ipv4) {
    const from = ipv4.sourceNumber
    ipv4.source = ipv4.destinationNumber
    ipv4.destination = from
    ipv4.ttl = 17
  }
  if (ipv6) {
    const from = ipv6.source
    ipv6.source = ipv6.destination
    ipv6.destination = from
  }
  if (udp) {
    const port = udp.sourcePort
    udp.sourcePort = udp.destinationPort
    udp.destinationPort = port
  }
}

test('every frame of the kernel is understood, and its checksums are right', async () => {
  const tap = await newTap()
  const own = ipLink('views0')?.address as string
  const seen = new Map<string, Record<string, unknown>>()
  listen(tap.frames(), packet => {
    expect(packet.checksumsValid).toBe(true)
    const { arp, icmp, ipv4, ipv6, tcp, udp, ethernet } = packet
    expect(ethernet?.source).toBe(own)
    expect(ethernet?.sourceNumber).toBe(macNumber(own))
    if (arp) seen.set('arp', { operation: arp.operation, from: arp.senderIp, mac: arp.senderMac, asked: arp.targetIp })
    if (ipv6 && icmp) seen.set(`icmpv6 ${icmp.type}`, { to: ipv6.destination, hopLimit: ipv6.hopLimit })
    if (ipv4 && icmp) seen.set(`icmp ${icmp.type}`, { to: ipv4.destination, sequence: icmp.sequence, code: icmp.code })
    if (tcp) {
      const { destinationPort, syn, ack, maximumSegmentSize, flags } = tcp
      seen.set(`tcp ${ipv6 ? 6 : 4}`, { destinationPort, syn, ack, maximumSegmentSize, flags })
    }
    if (udp) seen.set(`udp ${ipv6 ? 6 : 4}`, { port: udp.destinationPort, data: Buffer.from(udp.payload()).toString() })
  })
  await ping('192.0.2.9', { count: 1 })
  knowGuest()
  await ping(GUEST.ip, { count: 1 })
  const [four, six] = [await udpSocket('udp4'), await udpSocket('udp6')]
  four.send('four', 7, GUEST.ip)
  six.send('six!', 8, GUEST.ip6)
  for (const host of [GUEST.ip, GUEST.ip6]) {
    const socket = connect({ host, port: 9 }).on('error', () => {})
    onTestFinished(() => void socket.destroy())
  }
  await until(() => seen.size >= 7)
  expect(seen.get('arp')).toEqual({ operation: 1, from: '192.0.2.1', mac: own, asked: '192.0.2.9' })
  expect(seen.get('icmp 8')).toEqual({ to: GUEST.ip, sequence: expect.any(Number), code: 0 })
  expect(seen.get('udp 4')).toEqual({ port: 7, data: 'four' })
  expect(seen.get('udp 6')).toEqual({ port: 8, data: 'six!' })
  const syn = { destinationPort: 9, syn: true, ack: false, flags: 0x02 }
  expect(seen.get('tcp 4')).toEqual({ ...syn, maximumSegmentSize: 1460 })
  expect(seen.get('tcp 6')).toEqual({ ...syn, maximumSegmentSize: 1440 })
  // Reports of groups (hop-by-hop options before ICMPv6), or router solicitations.
  const reports = [...seen].filter(([kind]) => kind.startsWith('icmpv6'))
  expect(reports.length).toBeGreaterThan(0)
})

test('a guest made of views answers ARP and pings, in the memory of the batch', async () => {
  const tap = await newTap()
  const queue = tap.frames()
  const [address, mac] = [ipv4Number(GUEST.ip), macNumber(GUEST.mac)]
  let answered = 0
  listen(queue, (packet, batch, index) => {
    const { arp, ethernet, icmp, ipv4 } = packet
    if (arp && arp.operation === 1 && arp.targetIpNumber === address && ethernet) {
      arp.operation = 2
      arp.targetMac = arp.senderMacNumber
      arp.targetIp = arp.senderIpNumber
      arp.senderMac = mac
      arp.senderIp = address
      ethernet.destination = ethernet.sourceNumber
      ethernet.source = mac
    } else if (icmp?.type === 8 && ipv4?.isTo(address)) {
      turnRound(packet)
      icmp.type = 0
      expect(packet.fillChecksums()).toBe(true)
    } else return
    answered += queue.writeBatch(batch, index, index + 1)
  })
  expect(await ping(GUEST.ip, { count: 5 })).toBe(5)
  expect(answered).toBeGreaterThanOrEqual(6)
})

test.each(['udp4', 'udp6'] as const)('the kernel takes what was rewritten and summed up again: %s', async type => {
  const tap = await newTap()
  knowGuest()
  const queue = tap.frames()
  const path = join(tempFolder(), 'rewritten.pcapng')
  const capture = await Capture.open(path)
  queue.mirror = capture.add('views0').mirror
  listen(queue, (packet, batch, index) => {
    if (!packet.udp || !(packet.ipv4?.isTo(ipv4Number(GUEST.ip)) || packet.ipv6?.isTo(GUEST_IP6))) return
    turnRound(packet)
    const { udp } = packet
    if (udp.payloadLength > 0) udp.bytes[udp.payloadOffset] = 0x21
    expect(packet.checksumsValid).toBe(false)
    expect(packet.fillChecksums()).toBe(true)
    queue.writeBatch(batch, index, index + 1)
  })
  const socket = await udpSocket(type)
  const answers: string[] = []
  socket.on('message', (message, from) =>
    answers.push(`${message.length} ${message.toString('latin1', 0, 2)} ${from.port}`)
  )
  const lengths = [1, 2, 3, 100, 1399, 1400]
  for (const length of lengths) {
    socket.send(Buffer.alloc(length, 'ab'), 4242, type === 'udp4' ? GUEST.ip : GUEST.ip6)
  }
  await until(() => answers.length === lengths.length)
  expect(answers).toEqual(lengths.map(length => `${length} ${'!b'.slice(0, length)} 4242`))
  await capture.close()
  // tcpdump sums up as well.
  const texts = tcpdump(path, '-vv', 'udp', 'and', 'port', '4242').map(({ text }) => text)
  expect(texts.length).toBe(2 * lengths.length)
  for (const text of texts) expect(text).toMatch(/\[udp sum ok\]/)
})

test('fragments of a large datagram are told from whole packets', async () => {
  const tap = await newTap()
  knowGuest()
  const fragments: { version: number; offset: number; ports: boolean; filled: boolean; hash: number }[] = []
  listen(tap.frames(), packet => {
    const { ipv4, ipv6 } = packet
    if (packet.protocol !== IPPROTO.UDP || !(ipv4 ?? ipv6)?.fragment) return
    fragments.push({
      version: ipv4 ? 4 : 6,
      offset: ipv4?.fragmentOffset ?? ipv6?.fragmentOffset ?? -1,
      ports: packet.udp !== undefined,
      filled: packet.fillChecksums(),
      hash: packet.flowHash()
    })
  })
  const [four, six] = [await udpSocket('udp4'), await udpSocket('udp6')]
  four.send(Buffer.alloc(4000), 7, GUEST.ip)
  six.send(Buffer.alloc(4000), 7, GUEST.ip6)
  await until(() => fragments.length >= 6)
  for (const version of [4, 6]) {
    const own = fragments.filter(fragment => fragment.version === version).sort((a, b) => a.offset - b.offset)
    const step = version === 4 ? 1480 : 1448
    expect(own.map(({ offset }) => offset)).toEqual([0, step, 2 * step])
    expect(own.map(({ ports }) => ports)).toEqual([true, false, false])
    expect(own.every(({ filled }) => !filled)).toBe(true)
    expect(new Set(own.map(({ hash }) => hash)).size).toBe(1)
  }
})

test('checksums that the kernel leaves to the reader are what we fill in by half', async () => {
  const tap = await newTap({ vnetHeader: true, offloads: { csum: true, tso4: true, tso6: true } })
  knowGuest()
  const header = new VnetHeader()
  const kinds = new Set<string>()
  listen(tap.frames(), (packet, batch, index) => {
    const transport = packet.tcp ?? packet.udp
    if (!transport || !header.of(batch, index) || !header.needsChecksum) return
    const left = transport.checksum
    expect(packet.checksumsValid).toBe(false)
    transport.checksum = 0
    expect(packet.fillPartialChecksums()).toBe(true)
    expect(transport.checksum).toBe(left)
    kinds.add(`${packet.tcp ? 'tcp' : 'udp'}${packet.ipv4 ? 4 : 6}`)
  })
  const [four, six] = [await udpSocket('udp4'), await udpSocket('udp6')]
  four.send('four', 7, GUEST.ip)
  six.send('six!', 8, GUEST.ip6)
  for (const host of [GUEST.ip, GUEST.ip6]) {
    const socket = connect({ host, port: 9 }).on('error', () => {})
    onTestFinished(() => void socket.destroy())
  }
  await until(() => kinds.size === 4)
  expect([...kinds].sort()).toEqual(['tcp4', 'tcp6', 'udp4', 'udp6'])
})
