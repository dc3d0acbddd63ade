/** TAP devices of two namespaces, joined by a tunnel over a wire between them. */
import { describe, expect, test } from 'vitest'
import { type Pipe, UdpPort } from '../../lib/index.js'
import { ping } from '../tap/support/kernel-stack.js'
import { needsTun } from '../tap/support/needs.js'
import { openPipe } from './support/forwarders.js'
import { until } from './support/frames.js'
import { closedAfterwards } from './support/probe.js'
import { transferTcp } from './support/tcp.js'
import { createUnderlay, openStation, SUPER_FRAMES, snmp, type Underlay } from './support/underlay.js'

needsTun()

interface Tunnel {
  underlay: Underlay
  ports: [UdpPort, UdpPort]
  /** The first end of each is the TAP. */
  pipes: [Pipe, Pipe]
}

async function openTunnel(family: 'ipv4' | 'ipv6', addresses: [string, string], offloads: boolean): Promise<Tunnel> {
  const underlay = createUnderlay()
  const { a, b } = underlay
  const open = async (netns: string, local: number, remote: { address: string; port: number }) =>
    closedAfterwards(await UdpPort.open({ netns, local: { port: local }, remote }))
  const ports: [UdpPort, UdpPort] = [
    await open(a.netns, 4000, { address: b[family], port: 4001 }),
    await open(b.netns, 4001, { address: a[family], port: 4000 })
  ]
  const tap = { ...(offloads ? SUPER_FRAMES : {}), mtu: ports[0].mtu }
  const taps = [
    await openStation(a.netns, [addresses[0]], tap),
    await openStation(b.netns, [addresses[1]], tap)
  ] as const
  const options = { merge: offloads }
  return {
    underlay,
    ports,
    pipes: [await openPipe(taps[0], ports[0], options), await openPipe(taps[1], ports[1], options)]
  }
}

/** What one end has sent, the other has received. */
async function expectNothingLost({ ports, pipes: [near, far] }: Tunnel): Promise<void> {
  const sums = () => [
    near.b.counters.txFrames,
    near.b.counters.txBytes,
    far.b.counters.txFrames,
    far.b.counters.txBytes
  ]
  const received = () => [
    far.b.counters.rxFrames,
    far.b.counters.rxBytes,
    near.b.counters.rxFrames,
    near.b.counters.rxBytes
  ]
  await until(() => String(sums()) === String(received()), `${sums()} frames and bytes arrive, not ${received()}`)
  for (const port of ports) expect(port.faults).toMatchObject({ malformed: 0, foreign: 0, tooLong: 0 })
}

describe.each([
  ['IPv4 over IPv4, plain frames', 'ipv4', '10.7.0', false],
  ['IPv4 over IPv4, super-frames', 'ipv4', '10.7.0', true],
  ['IPv6 over IPv4, super-frames', 'ipv4', 'fd07::', true],
  ['IPv4 over IPv6, super-frames', 'ipv6', '10.7.0', true],
  ['IPv6 over IPv6, plain frames', 'ipv6', 'fd07::', false]
] as const)('%s', (_, family, prefix, offloads) => {
  const host = (number: number) => (prefix.includes(':') ? `${prefix}${number}` : `${prefix}.${number}`)
  const length = prefix.includes(':') ? 64 : 24

  test('pings and TCP pass whole, and every frame is accounted for', { timeout: 60_000 }, async () => {
    const tunnel = await openTunnel(family, [`${host(1)}/${length}`, `${host(2)}/${length}`], offloads)
    const { a, b } = tunnel.underlay
    expect(await ping(host(2), { netns: a.netns })).toBe(3)
    const there = await transferTcp(a.netns, b.netns, host(2))
    expect(there.received).toBe(there.sent)
    const back = await transferTcp(b.netns, a.netns, host(1))
    expect(back.received).toBe(back.sent)
    await expectNothingLost(tunnel)
  })
})

test('runs of frames leave as one buffer (UDP_SEGMENT) and come in as one (UDP_GRO)', { timeout: 60_000 }, async () => {
  const tunnel = await openTunnel('ipv4', ['10.7.0.1/24', '10.7.0.2/24'], true)
  const { a, b } = tunnel.underlay
  const { sent, received } = await transferTcp(a.netns, b.netns, '10.7.0.2', 16 << 20)
  expect(received).toBe(sent)
  await expectNothingLost(tunnel)
  const frames = tunnel.pipes[0].b.counters.txFrames
  // At least 16 MiB in segments of 1,458 bytes at most.
  expect(frames).toBeGreaterThan(11_000)
  // The kernel counts what is sent at once as one datagram, and what is received so.
  expect(snmp(a.netns, 'Udp', 'OutDatagrams')).toBeLessThan(frames / 4)
  expect(snmp(b.netns, 'Udp', 'InDatagrams')).toBeLessThan(frames / 4)
  expect(tunnel.ports[0].faults.unsegmented).toBe(0)
})
