/** Our NAT network beside libvirt's: what reaches whom, and as whom, is the same in all. */
import { expect, test } from 'vitest'
import { type NetworksSpec, planNetworks } from '../../lib/index.js'
import { hasLibvirt, startLibvirt } from './support/libvirt.js'
import { ADDRESSES, type Probe, surround } from './support/surroundings.js'

const { guest, other, host, outside, subnet } = ADDRESSES
const KINDS = ['tcp', 'udp', 'ping'] as const

const each = (from: Probe['from'], to: readonly string[], rest: Partial<Probe> = {}): Probe[] =>
  to.flatMap(target => KINDS.map(kind => ({ from, kind, to: target, ...rest })))

const PROBES: Probe[] = [
  ...each('guest', [host, other, outside, subnet, '203.0.113.1', '10.9.0.1']),
  ...each('host', [guest]),
  ...each('outside', [guest, host]),
  ...each('subnet', [guest, host, outside]),
  // A source that is not of the network.
  ...each('guest', [outside, host], { source: '172.30.0.1' }),
  { from: 'guest', kind: 'tcp', to: outside, sourcePort: 600 },
  { from: 'guest', kind: 'udp', to: outside, sourcePort: 601 },
  { from: 'guest', kind: 'all', to: '255.255.255.255', source: guest },
  { from: 'guest', kind: 'all', to: '192.168.122.255', source: guest },
  { from: 'guest', kind: 'all', to: '224.0.0.251', source: guest },
  { from: 'guest', kind: 'all', to: '239.1.1.1', source: guest },
  { from: 'outside', kind: 'all', to: '192.168.122.255' },
  { from: 'host', kind: 'all', to: '192.168.122.255', source: host },
  { from: 'host', kind: 'all', to: '224.0.0.251', source: host }
]

const installed = await hasLibvirt()

/** As /etc/libvirt/qemu/networks/default.xml has it, but for the guests' own addresses, which are given by hand here. */
const NETWORK: NetworksSpec = {
  networks: { virbr0: { kind: 'nat', addresses: [`${host}/24`], stp: true, forwardDelay: 2 } }
}

test.skipIf(!installed)(
  `a NAT network has the effect of libvirt's${installed ? '' : ': libvirt is not installed'}`,
  async () => {
    const theirs = await (async () => {
      await using around = await surround()
      await using libvirt = await startLibvirt(around.host)
      await libvirt.virsh('net-start', 'default')
      await around.connectGuests('virbr0')
      return await around.probe(PROBES)
    })()
    const ours = await (async () => {
      await using around = await surround()
      const plan = await planNetworks(around.host.net, NETWORK)
      await plan.apply()
      await around.connectGuests('virbr0')
      return await around.probe(PROBES)
    })()
    // That the probes can tell at all: as whom a guest is seen outside, who is refused, and who hears.
    expect(theirs).toMatchObject({
      [`tcp guest -> ${outside}`]: { from: '203.0.113.1' },
      [`tcp outside -> ${guest}`]: 'ECONNREFUSED',
      [`udp guest (172.30.0.1) -> ${outside}`]: { heardBy: [] },
      [`all guest (${guest}) -> 255.255.255.255`]: { heardBy: expect.arrayContaining(['other', 'host']) }
    })
    expect(ours).toEqual(theirs)
  },
  120_000
)
