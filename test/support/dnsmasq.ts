/** A network with guests, and what the tests of dnsmasq need. */
import { accessSync, chmodSync, constants, mkdtempSync, rmSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { Dnsmasq, type DnsmasqOptions, Tap } from '../../lib/index.js'
import { GuestStack } from './guest-stack.js'
import type { Namespace } from './namespace.js'

/** Why there is none here; `undefined` if there is. */
export function whyNoDnsmasq(): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin']
  const found = folders.some(folder => {
    try {
      accessSync(`${folder}/dnsmasq`, constants.X_OK)
      return true
    } catch {
      return false
    }
  })
  return found ? undefined : 'dnsmasq is not installed: apt-get install dnsmasq-base'
}

/**
 * Waits until links send: a busy kernel drops what comes before it has heard of a new carrier, and nothing here is sent
 * twice. Of a link that always had one the state is unknown.
 */
export async function whenUp(ns: Namespace, ...names: string[]): Promise<void> {
  const ready = ['up', 'unknown']
  for (const name of names)
    await ns.net.links.waitFor(name, link => ready.includes(String(link?.operstate)), { timeout: 20_000 })
}

export class Network implements AsyncDisposable {
  readonly directory = mkdtempSync('/run/dnsmasq-')
  bridgeMac = ''
  readonly #open: Dnsmasq[] = []
  readonly #taps: Tap[] = []
  readonly #guests: GuestStack[] = []

  private constructor(readonly ns: Namespace) {
    // dnsmasq goes through it as a user of its own.
    chmodSync(this.directory, 0o755)
  }

  /** A bridge with 192.0.2.1/24 and 2001:db8::1/64. */
  static async make(ns: Namespace): Promise<Network> {
    const network = new Network(ns)
    const bridge = await ns.net.links.create({ kind: 'bridge', name: 'br0', up: true, ipv6: true })
    network.bridgeMac = bridge.address ?? ''
    ns.tools.ip('addr add 192.0.2.1/24 dev br0')
    ns.tools.ip('addr add 2001:db8::1/64 dev br0 nodad')
    return network
  }

  get router() {
    return { ip: '192.0.2.1', mac: this.bridgeMac }
  }

  options(more: Partial<DnsmasqOptions> = {}): DnsmasqOptions {
    return {
      name: 'net0',
      interface: 'br0',
      netns: this.ns.name,
      addresses: ['192.0.2.1/24'],
      dhcp4: { ranges: [{ start: '192.0.2.100', end: '192.0.2.199' }] },
      directory: `${this.directory}/net0`,
      ...more
    }
  }

  async serve(more: Partial<DnsmasqOptions> = {}): Promise<Dnsmasq> {
    const dnsmasq = await Dnsmasq.open(this.options(more))
    this.#open.push(dnsmasq)
    return dnsmasq
  }

  async guest(number: number): Promise<GuestStack> {
    const tap = await Tap.open({
      netns: this.ns.name,
      name: `vnet${number}`,
      master: 'br0',
      up: true,
      vnetHeader: false
    })
    await whenUp(this.ns, `vnet${number}`, 'br0')
    // The MAC of the bridge follows its lowest port.
    this.bridgeMac = (await this.ns.net.links.get('br0')).address ?? ''
    const guest = new GuestStack(tap, `52:54:00:00:00:${number.toString(16).padStart(2, '0')}`)
    this.#taps.push(tap)
    this.#guests.push(guest)
    return guest
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const guest of this.#guests) guest[Symbol.dispose]()
    for (const dnsmasq of this.#open) await dnsmasq.close()
    for (const tap of this.#taps) await tap.close()
    rmSync(this.directory, { recursive: true, force: true })
  }
}

/** Waits for what becomes true by itself. */
export async function eventually(condition: () => boolean | Promise<boolean>, milliseconds = 10_000): Promise<boolean> {
  for (const end = Date.now() + milliseconds; Date.now() < end; await delay(20)) if (await condition()) return true
  return false
}
