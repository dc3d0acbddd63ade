/** A port of ours on one side, the kernel's vxlan device on the other. */
import { describe, expect, test } from 'vitest'
import { type Pipe, VxlanPort } from '../../lib/index.js'
import { has } from '../support/features.js'
import { ping } from '../tap/support/kernel-stack.js'
import { needsTun } from '../tap/support/needs.js'
import { ip } from '../tap/support/system.js'
import { openPipe } from './support/forwarders.js'
import { until } from './support/frames.js'
import { closedAfterwards } from './support/probe.js'
import { udp } from './support/streams.js'
import { transferTcp } from './support/tcp.js'
import { createUnderlay, openStation, SUPER_FRAMES, snmp, type Underlay } from './support/underlay.js'

needsTun()

const VNI = 4242

async function scene(
  family: 'ipv4' | 'ipv6',
  offloads: boolean,
  more = ''
): Promise<{ underlay: Underlay; port: VxlanPort; pipe: Pipe }> {
  const underlay = createUnderlay()
  const { a, b } = underlay
  const port = closedAfterwards(
    await VxlanPort.open({ vni: VNI, netns: a.netns, remote: { address: b[family] }, local: { address: a[family] } })
  )
  const addresses = ['10.7.0.1/24', 'fd07::1/64']
  const tap = await openStation(a.netns, addresses, { ...(offloads ? SUPER_FRAMES : {}), mtu: port.mtu })
  const link = `link add vx0 type vxlan id ${VNI} local ${b[family]} remote ${a[family]} dstport 4789 dev wire ${more}`
  ip(b.netns, ...link.trim().split(' '))
  ip(b.netns, 'link', 'set', 'vx0', 'mtu', String(port.mtu), 'up')
  ip(b.netns, 'address', 'add', '10.7.0.2/24', 'dev', 'vx0')
  ip(b.netns, 'address', 'add', 'fd07::2/64', 'dev', 'vx0', 'nodad')
  // Only now, so that no frame meets nobody.
  const pipe = await openPipe(tap, port, { merge: offloads })
  return { underlay, port, pipe }
}

const received = (netns: string) => JSON.parse(ip(netns, '-s', '-j', 'link', 'show', 'vx0'))[0].stats64

describe.skipIf(!has('vxlan')).each([
  ['IPv4, plain frames', 'ipv4', false],
  ['IPv4, super-frames', 'ipv4', true],
  ['IPv6, plain frames', 'ipv6', false],
  ['IPv6, super-frames', 'ipv6', true]
] as const)('over %s', (_, family, offloads) => {
  test('pings and TCP pass whole, both ways and in both families', { timeout: 60_000 }, async () => {
    const { underlay, port, pipe } = await scene(family, offloads)
    const { a, b } = underlay
    expect(await ping('10.7.0.2', { netns: a.netns })).toBe(3)
    expect(await ping('fd07::1', { netns: b.netns })).toBe(3)
    for (const prefix of ['10.7.0.', 'fd07::']) {
      const there = await transferTcp(a.netns, b.netns, `${prefix}2`)
      expect(there.received).toBe(there.sent)
      const back = await transferTcp(b.netns, a.netns, `${prefix}1`)
      expect(back.received).toBe(back.sent)
    }
    // Frames that were given to the port are frames that the device has received.
    const sent = () => pipe.b.counters.txFrames
    await until(() => received(b.netns).rx.packets === sent(), `${received(b.netns).rx.packets} of ${sent()} arrive`)
    expect(port.faults).toMatchObject({ malformed: 0, foreign: 0, tooLong: 0, kernelDrops: 0 })
    expect(Object.values(pipe.b.counters.drops).every(count => count === 0)).toBe(true)
    // Neither side has seen a wrong checksum.
    for (const { netns } of [a, b]) expect(snmp(netns, 'Tcp', 'InCsumErrors')).toBe(0)
  })
})

describe.skipIf(!has('vxlan'))('as the device may be set', () => {
  test('datagrams without a checksum are taken over IPv6, too', { timeout: 60_000 }, async () => {
    const { underlay } = await scene('ipv6', false, 'udp6zerocsumtx')
    expect(await ping('10.7.0.1', { netns: underlay.b.netns })).toBe(3)
  })

  test('UDP super-frames that it leaves to a card arrive datagram by datagram', { timeout: 60_000 }, async () => {
    const { underlay, port } = await scene('ipv4', false)
    const [from, to] = [
      { netns: underlay.b.netns, address: '10.7.0.2' },
      { netns: underlay.a.netns, address: '10.7.0.1' }
    ]
    expect(await ping(to.address, { netns: from.netns })).toBe(3)
    expect(await udp(from, to, 1000, 1200)).toEqual({ datagrams: 1000, wrong: 0 })
    expect(port.faults).toMatchObject({ malformed: 0, foreign: 0 })
  })
})
