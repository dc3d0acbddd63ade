/** Limits of ports are kept by real traffic, both ways, within 10 %. */
import { describe, test } from 'vitest'
import { Pipe, Tap } from '../../lib/index.js'
import { has } from '../support/features.js'
import { createNamespace, type Namespace } from '../support/namespace.js'
import { needsTun } from '../tap/support/needs.js'
import { expectRate } from './support/throughput.js'

needsTun()

const HOST = '192.0.2.1'
const GUEST = '192.0.2.2'
const HOST6 = '2001:db8::1'
const GUEST6 = '2001:db8::2'

const missing = (['htb', 'mirred', 'ifb'] as const).find(feature => !has(feature))

/** What is measured, seen by the guest. */
type Way = 'inbound' | 'outbound' | 'inbound IPv6' | 'outbound IPv6' | 'inbound datagrams' | 'outbound datagrams'

/** `port` is the host's side; what is behind it is the guest, in `other`. */
const PORTS: Record<string, (ns: Namespace, other: Namespace) => Promise<AsyncDisposable>> = {
  async veth(ns, other) {
    ns.tools.ip(`link add name port up type veth peer name guest netns ${other.name}`)
    other.tools.ip('link set guest up')
    return { async [Symbol.asyncDispose]() {} }
  },
  /** With segments of up to 64 KiB, as a guest with virtio-net sends them. */
  async TAP(ns, other) {
    const options = { vnetHeader: true, offloads: 'auto', up: true, ipv6: true } as const
    const port = await Tap.open({ ...options, name: 'port', netns: ns.name })
    const guest = await Tap.open({ ...options, name: 'guest', netns: other.name })
    const pipe = await Pipe.open(port, guest)
    return {
      async [Symbol.asyncDispose]() {
        await pipe.close()
        await port.close()
        await guest.close()
      }
    }
  }
}

function address(ns: Namespace, link: string, v4: string, v6: string): void {
  ns.tools.ip(`address add ${v4}/24 dev ${link}`)
  ns.tools.ip(`-6 address add ${v6}/64 dev ${link} nodad`)
}

/** A port in namespaces of its own, limited both ways, and one stream through it. */
async function limited(kind: string, rate: number, way: Way): Promise<void> {
  await using ns = await createNamespace()
  await using other = await createNamespace()
  await using _port = await PORTS[kind]?.(ns, other)
  address(ns, 'port', HOST, HOST6)
  address(other, 'guest', GUEST, GUEST6)
  await ns.net.bandwidth.set('port', { inbound: { rate: `${rate}mbit` }, outbound: { rate: rate * 1e6 } })
  const [from, to] = way.startsWith('inbound') ? [ns, other] : [other, ns]
  const [v4, v6] = way.startsWith('inbound') ? [GUEST, GUEST6] : [HOST, HOST6]
  const datagrams = way.endsWith('datagrams') ? { datagrams: 2 * rate } : {}
  await expectRate({ from: from.name, to: to.name, address: way.endsWith('IPv6') ? v6 : v4, rate, ...datagrams })
}

describe.skipIf(missing)(missing ? `limits (skipped: this kernel has no ${missing})` : 'limits', () => {
  // Slow streams take seconds to measure and next to nothing of the machine: side by side.
  test('at 1 Mbit/s', { timeout: 120_000 }, async () => {
    const streams: [string, Way][] = [
      ['veth', 'inbound'],
      ['veth', 'outbound'],
      ['TAP', 'inbound'],
      ['TAP', 'outbound'],
      ['TAP', 'outbound IPv6'],
      ['TAP', 'inbound datagrams']
    ]
    const results = await Promise.allSettled(streams.map(([kind, way]) => limited(kind, 1, way)))
    const failed = results.flatMap((result, at) =>
      result.status === 'rejected' ? [new Error(`${streams[at]?.join(' ')}`, { cause: result.reason })] : []
    )
    if (failed.length > 0)
      throw new AggregateError(failed, failed.map(error => `${error.message}: ${error.cause}`).join('; '))
  })

  test.for<[string, Way]>([
    ['veth', 'inbound'],
    ['veth', 'outbound'],
    ['TAP', 'inbound'],
    ['TAP', 'outbound'],
    ['TAP', 'inbound IPv6'],
    ['TAP', 'outbound datagrams']
  ])('at 100 Mbit/s: %s, %s', { timeout: 60_000 }, async ([kind, way]) => {
    await limited(kind, 100, way)
  })
})
