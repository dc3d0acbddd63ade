/** What is around the network of guests 192.168.122.0/24 of a host: guests, an uplink to the outside, and another subnet. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { createNamespace, type Namespace } from '../../support/namespace.js'

const run = promisify(execFile)
const PORT = 7000
const GROUPS = ['224.0.0.251', '239.1.1.1']

/** Where each listens. */
export const ADDRESSES = {
  guest: '192.168.122.11',
  other: '192.168.122.12',
  host: '192.168.122.1',
  outside: '203.0.113.2',
  subnet: '10.9.0.2'
} as const

type Place = keyof typeof ADDRESSES

export interface Probe {
  from: Place
  kind: 'tcp' | 'udp' | 'ping' | 'all'
  to: string
  /** Source address, where it is not the kernel's choice. */
  source?: string
  sourcePort?: number
}

export interface Surroundings extends AsyncDisposable {
  readonly host: Namespace
  /** Once the host has the bridge. */
  connectGuests(bridge: string): Promise<void>
  /** What became of each, by what it was; by UDP also who heard it. */
  probe(probes: readonly Probe[]): Promise<Record<string, unknown>>
}

export async function surround(): Promise<Surroundings> {
  const host = await createNamespace()
  const places: Record<Exclude<Place, 'host'>, Namespace> = {
    guest: await createNamespace(),
    other: await createNamespace(),
    outside: await createNamespace(),
    subnet: await createNamespace()
  }
  const at = (place: Place) => (place === 'host' ? host : places[place])
  for (const { tools } of [host, ...Object.values(places)]) tools.ip('link set dev lo up')
  wire(host, 'eth0', '203.0.113.1/24', places.outside, '203.0.113.2/24')
  wire(host, 'lan0', '10.9.0.1/24', places.subnet, '10.9.0.2/24')
  // The host's neighbours know the way, so that it is the host who refuses.
  places.outside.tools.ip('route add 192.168.122.0/24 via 203.0.113.1')
  places.subnet.tools.ip('route add default via 10.9.0.1')
  const listeners = new Map<Place, Listener>()
  return {
    host,
    async connectGuests(bridge) {
      for (const place of ['guest', 'other'] as const) {
        const { tools } = places[place]
        tools.ip(`link add name eth0 type veth peer name vnet-${place} netns ${host.name}`)
        tools.ip(`address add ${ADDRESSES[place]}/24 dev eth0`)
        tools.ip('link set dev eth0 up')
        tools.ip('route add default via 192.168.122.1')
        host.tools.ip(`link set dev vnet-${place} master ${bridge} up`)
      }
      // With the spanning tree on, ports wait before they forward.
      while (!host.tools.bridgeJson(`link show master ${bridge}`).every(({ state }) => state === 'forwarding'))
        await setTimeout(50)
      // What the guest has no right to.
      places.guest.tools.ip('address add 172.30.0.1/32 dev lo')
      for (const place of Object.keys(ADDRESSES) as Place[]) {
        listeners.set(place, await listen(at(place), ADDRESSES[place]))
      }
    },
    async probe(probes) {
      const outcome: Record<string, unknown> = {}
      for (const place of Object.keys(ADDRESSES) as Place[]) {
        const own = probes.filter(({ from }) => from === place)
        if (own.length === 0) continue
        const asked = own.map(probe => ({
          [probe.kind]: probe.to,
          port: PORT,
          from: probe.source,
          fromPort: probe.sourcePort,
          text: nameOf(probe)
        }))
        const results = await probeFrom(at(place), asked)
        for (const [nth, probe] of own.entries()) outcome[nameOf(probe)] = results[nth]
      }
      await setTimeout(300)
      for (const probe of probes.filter(({ kind }) => kind === 'all' || kind === 'udp')) {
        const name = nameOf(probe)
        const heardBy = [...listeners].filter(([, { heard }]) => heard.includes(name)).map(([place]) => place)
        outcome[name] = { result: outcome[name], heardBy }
      }
      return outcome
    },
    async [Symbol.asyncDispose]() {
      for (const { process } of listeners.values()) process.kill('SIGKILL')
      for (const place of Object.values(places)) await place[Symbol.asyncDispose]()
      await host[Symbol.asyncDispose]()
    }
  }
}

function nameOf({ from, kind, to, source, sourcePort }: Probe): string {
  return `${kind} ${from}${source ? ` (${source})` : ''}${sourcePort ? `:${sourcePort}` : ''} -> ${to}`
}

function wire(host: Namespace, link: string, address: string, far: Namespace, farAddress: string): void {
  far.tools.ip(`link add name eth0 type veth peer name ${link} netns ${host.name}`)
  far.tools.ip(`address add ${farAddress} dev eth0`)
  far.tools.ip('link set dev eth0 up')
  host.tools.ip(`address add ${address} dev ${link}`)
  host.tools.ip(`link set dev ${link} up`)
}

interface Listener {
  process: ChildProcess
  /** What came to all. */
  heard: string[]
}

const program = (name: string) => fileURLToPath(new URL(`../programs/${name}.mjs`, import.meta.url))

async function listen({ path }: Namespace, address: string): Promise<Listener> {
  const args = [`--net=${path}`, process.execPath, program('listeners'), String(PORT), address, ...GROUPS]
  const child = spawn('nsenter', args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const heard: string[] = []
  const begun = once(child.stdout, 'data')
  child.stdout.setEncoding('utf8').on('data', text => heard.push(...String(text).trim().split('\n')))
  await begun
  return { process: child, heard }
}

async function probeFrom({ path }: Namespace, probes: readonly object[]): Promise<unknown[]> {
  const args = [`--net=${path}`, process.execPath, program('probes'), JSON.stringify(probes)]
  const { stdout } = await run('nsenter', args)
  return JSON.parse(stdout)
}
