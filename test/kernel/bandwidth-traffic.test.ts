/** Limits of ports are kept by real traffic, both ways, within 10 %. */
import { describe } from 'vitest'
import { Pipe, Tap } from '../../lib/index.js'
import { has } from '../support/features.js'
import { type Namespace, test } from '../support/namespace.js'
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

describe.skipIf(missing)(missing ? `limits (skipped: this kernel has no ${missing})` : 'limits', () => {
  test.for<[string, number, Way[]]>([
    ['veth', 1, ['inbound', 'outbound']],
    ['veth', 100, ['inbound', 'outbound']],
    ['TAP', 1, ['inbound', 'outbound', 'outbound IPv6', 'inbound datagrams']],
    ['TAP', 100, ['inbound', 'outbound', 'inbound IPv6', 'outbound datagrams']]
  ])('of a %s at %d Mbit/s: %s', { timeout: 300_000 }, async ([kind, rate, ways], { ns, other }) => {
    await using _port = await PORTS[kind]?.(ns, other)
    address(ns, 'port', HOST, HOST6)
    address(other, 'guest', GUEST, GUEST6)
    await ns.net.bandwidth.set('port', { inbound: { rate: `${rate}mbit` }, outbound: { rate: rate * 1e6 } })
    for (const way of ways) {
      const [from, to] = way.startsWith('inbound') ? [ns, other] : [other, ns]
      const [v4, v6] = way.startsWith('inbound') ? [GUEST, GUEST6] : [HOST, HOST6]
      const datagrams = way.endsWith('datagrams') ? { datagrams: 2 * rate } : {}
      await expectRate({ from: from.name, to: to.name, address: way.endsWith('IPv6') ? v6 : v4, rate, ...datagrams })
    }
  })
})
