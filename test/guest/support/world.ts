/** A host for networks of guests, and the network that its NICs are in: a switch, and behind it a router that serves DHCP. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { Dnsmasq, type NetworksSpec, type Plan, planNetworks } from '../../../lib/index.js'
import { stateOf } from '../../host/support/network.js'
import { whenUp } from '../../support/dnsmasq.js'
import type { Namespace } from '../../support/namespace.js'
import type { Scene } from './scene.js'

/** Of the host's eth0. */
export const HOST = { ipv4: '203.0.113.1', ipv6: '2001:db8:f::1' }
/** Of the router, which has `FURTHER` as well, and ways to the networks behind the host. */
export const ROUTER = { ipv4: '203.0.113.2', ipv6: '2001:db8:f::2' }
export const FURTHER = '198.51.100.7'
export const LAN_PREFIX = '2001:db8:f:0:'

const BEHIND_HOST = [122, 123, 124].flatMap(subnet => [`192.168.${subnet}.0/24`, `fd00:${subnet}::/64`])

export interface World {
  /** Its NICs are eth0, which has addresses, and more without. */
  readonly host: Namespace
  /** The switch is the bridge `lan` of this namespace; `up0` is its port to eth0. */
  readonly outside: Namespace
  readonly runtimeDirectory: string
  plan(spec: NetworksSpec): Promise<Plan>
  /** All of the host that a network may have changed. */
  state(): string
}

export async function world(scene: Scene, nics = 1): Promise<World> {
  const [host, outside] = [await scene.namespace(), await scene.namespace()]
  const runtimeDirectory = mkdtempSync('/run/networks-')
  scene.later(() => rmSync(runtimeDirectory, { recursive: true }))
  // dnsmasq goes through it as a user of its own.
  chmodSync(runtimeDirectory, 0o755)
  // Nobody else has the addresses, and the host's do not change by what the router advertises.
  for (const setting of ['accept_dad', 'accept_ra'])
    for (const { tools } of [host, outside])
      tools.exec('sh', '-c', `echo 0 > /proc/sys/net/ipv6/conf/default/${setting}`)
  outside.tools.ip('link add name lan type bridge')
  for (let number = 0; number < nics; number++) {
    host.tools.ip(`link add name eth${number} type veth peer name up${number} netns ${outside.name}`)
    host.tools.ip(`link set dev eth${number} up`)
    outside.tools.ip(`link set dev up${number} master lan up`)
  }
  for (const command of [
    'link set dev lo up',
    'link set dev lan up',
    `address add ${ROUTER.ipv4}/24 dev lan`,
    `address add ${ROUTER.ipv6}/64 dev lan nodad`,
    `address add ${FURTHER}/32 dev lo`,
    ...BEHIND_HOST.map(to => `route add ${to} via ${to.includes(':') ? HOST.ipv6 : HOST.ipv4}`)
  ]) {
    outside.tools.ip(command)
  }
  for (const command of [
    'link set dev lo up',
    `address add ${HOST.ipv4}/24 dev eth0`,
    `address add ${HOST.ipv6}/64 dev eth0 nodad`,
    `route add default via ${ROUTER.ipv4}`,
    `-6 route add default via ${ROUTER.ipv6}`
  ]) {
    host.tools.ip(command)
  }
  await whenUp(outside, 'lan')
  while ([host, outside].some(({ tools }) => tools.ip('address show tentative').trim() !== '')) await delay(50)
  const dnsmasq = await Dnsmasq.open({
    name: 'lan',
    interface: 'lan',
    netns: outside.name,
    addresses: [`${ROUTER.ipv4}/24`, `${ROUTER.ipv6}/64`],
    dhcp4: { ranges: [{ start: '203.0.113.100', end: '203.0.113.199' }] },
    dhcp6: { mode: 'ra-only' },
    dns: false,
    directory: `${runtimeDirectory}/lan`
  })
  scene.later(() => dnsmasq.close())
  return {
    host,
    outside,
    runtimeDirectory,
    plan: spec => planNetworks(host.net, spec, { runtimeDirectory }),
    state: () => stateOf(host, runtimeDirectory)
  }
}
