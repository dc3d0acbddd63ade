/** Guests and an outside world around a host, and what reaches what. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { type ApplyOptions, type NetworksSpec, type Plan, planNetworks } from '../../../lib/index.js'
import { test as base } from '../../firewall/support/firewall.js'
import { createNamespace, type Namespace } from '../../support/namespace.js'

export interface Scene {
  /** The host, which the networks are made in: its `eth0` is 203.0.113.1 and 2001:db8:f::1. */
  readonly host: Namespace
  /** Beyond the host's `eth0`: 203.0.113.2 and 2001:db8:f::2, and 198.51.100.7 further off. */
  readonly outside: Namespace
  /** For private directories of dnsmasq. */
  readonly runtimeDirectory: string
  plan(spec: NetworksSpec): Promise<Plan>
  apply(spec: NetworksSpec, options?: ApplyOptions): Promise<Plan>
  /** A namespace with `eth0` in a bridge of the host's. */
  guest(bridge: string, port: string, addresses?: readonly string[]): Promise<Namespace>
  /** All that a network may have changed; without a key that the kernel draws for the first server of TCP. */
  state(): string
}

const FOLLOWED = ['net/ipv4', 'net/ipv6', 'net/bridge']

export const test = base.extend<{ scene: Scene }>({
  scene: async ({ ns: host, other: outside }, use) => {
    const runtimeDirectory = mkdtempSync('/run/networks-')
    // dnsmasq goes through it as a user of its own.
    chmodSync(runtimeDirectory, 0o755)
    connect(host, outside)
    await settled(host, outside)
    const guests: Namespace[] = []
    await use({
      host,
      outside,
      runtimeDirectory,
      plan: spec => planNetworks(host.net, spec, { runtimeDirectory }),
      async apply(spec, options) {
        const plan = await planNetworks(host.net, spec, { runtimeDirectory })
        await plan.apply(options)
        return plan
      },
      async guest(bridge, port, addresses = []) {
        const guest = await createNamespace()
        guests.push(guest)
        host.tools.ip(`link add name ${port} type veth peer name eth0 netns ${guest.name}`)
        host.tools.exec('sh', '-c', `echo 1 > /proc/sys/net/ipv6/conf/${port}/disable_ipv6`)
        host.tools.ip(`link set dev ${port} master ${bridge} up`)
        guest.tools.ip('link set dev lo up')
        for (const address of addresses) {
          guest.tools.ip(`address add ${address} dev eth0${address.includes(':') ? ' nodad' : ''}`)
        }
        guest.tools.ip('link set dev eth0 up')
        // The kernel takes its time to see the carrier.
        while (host.tools.link(port).linkinfo.info_slave_data.state !== 'forwarding') await setTimeout(20)
        return guest
      },
      state: () => stateOf(host, runtimeDirectory)
    })
    for (const guest of guests) await guest[Symbol.asyncDispose]()
    killIn(host)
    rmSync(runtimeDirectory, { recursive: true, force: true })
  }
})

function connect(host: Namespace, outside: Namespace): void {
  // Nobody else has the addresses, and detecting that takes a second each time.
  for (const { tools } of [host, outside]) tools.exec('sh', '-c', 'echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad')
  host.tools.ip(`link add name eth0 type veth peer name up0 netns ${outside.name}`)
  for (const command of [
    'link set dev lo up',
    'link set dev eth0 up',
    'address add 203.0.113.1/24 dev eth0',
    'address add 2001:db8:f::1/64 dev eth0 nodad',
    'route add default via 203.0.113.2',
    '-6 route add default via 2001:db8:f::2'
  ]) {
    host.tools.ip(command)
  }
  for (const command of [
    'link set dev lo up',
    'link set dev up0 up',
    'address add 203.0.113.2/24 dev up0',
    'address add 198.51.100.7/32 dev lo',
    'address add 2001:db8:f::2/64 dev up0 nodad'
  ]) {
    outside.tools.ip(command)
  }
}

/** Link-local addresses are in use, and nothing changes by itself any more. */
async function settled(...namespaces: Namespace[]): Promise<void> {
  while (namespaces.some(({ tools }) => tools.ip('address show tentative').trim() !== '')) await setTimeout(50)
}

const PASSING = new Set(['carrier_changes', 'carrier_up_count', 'carrier_down_count', 'stats64', 'packets', 'bytes'])

export function stateOf({ tools }: Namespace, runtimeDirectory: string): string {
  const commands = ['link', 'address', 'route show table all', '-6 route show table all', 'rule', '-6 rule']
  const lists = commands.map(command => {
    const found = JSON.parse(tools.ip(`-d -j ${command}`).trim() || '[]', (key, value) =>
      PASSING.has(key) ? undefined : value
    ) as object[]
    return `${command}\n${found.map(each => JSON.stringify(each)).join('\n')}`
  })
  const ruleset = tools.exec('nft', '-j', 'list', 'ruleset')
  const grep = FOLLOWED.map(folder => `/proc/sys/${folder}`).join(' ')
  const sysctls = tools.exec('sh', '-c', `grep -rs . ${grep} | grep -v -e /neigh/ -e tcp_fastopen_key | sort || true`)
  const processes = processesIn(tools.name).join('\n')
  return [...lists, ruleset, sysctls, processes, readdirSync(runtimeDirectory).join(' ')].join('\n\n')
}

/** Programs of a namespace. */
export function processesIn(name: string): string[] {
  const { ino } = statSync(`/run/netns/${name}`)
  return pidsIn(ino).map(pid => readFileSync(`/proc/${pid}/comm`, 'utf8').trim())
}

function pidsIn(ino: number): string[] {
  return readdirSync('/proc').filter(pid => {
    try {
      if (!/^\d+$/.test(pid) || readlinkSync(`/proc/${pid}/ns/net`) !== `net:[${ino}]`) return false
      return !/^\d+ \(.*\) [ZX]/s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
    } catch {
      return false
    }
  })
}

/** A link that was up before: its first time leaves a queueing discipline (noop becomes noqueue). */
export function spareNic({ tools }: Namespace, name: string): void {
  tools.ip(`link add name ${name} type veth peer name ${name}-peer`)
  tools.ip(`link set dev ${name} up`)
  tools.ip(`link set dev ${name} down`)
}

/** What a failed test left running. */
function killIn({ name }: Namespace): void {
  for (const pid of pidsIn(statSync(`/run/netns/${name}`).ino)) {
    try {
      process.kill(Number(pid), 'SIGKILL')
    } catch {
      // It has ended.
    }
  }
}

/** Whether an echo request is answered. */
export function pings({ name }: Namespace, to: string): boolean {
  const args = ['netns', 'exec', name, 'ping', '-n', '-c', '1', '-W', '1', to]
  return spawnSync('ip', args, { stdio: 'ignore' }).status === 0
}

/** The same while this process answers for a guest. */
export async function reaches({ name }: Namespace, to: string): Promise<boolean> {
  const child = spawn('ip', ['netns', 'exec', name, 'ping', '-n', '-c', '1', '-W', '2', to], { stdio: 'ignore' })
  const [code] = await once(child, 'close')
  return code === 0
}

const SERVER = `
import socket, sys, threading
family = socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET
listener = socket.socket(family, socket.SOCK_STREAM)
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind((sys.argv[1], int(sys.argv[2])))
listener.listen()
print('ready', flush=True)
while True:
    connection, peer = listener.accept()
    connection.sendall(('%s %d' % peer[:2]).encode())
    connection.close()
`

const CLIENT = `
import socket, sys
family = socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET
client = socket.socket(family, socket.SOCK_STREAM)
client.settimeout(2)
if len(sys.argv) > 3: client.bind(('', int(sys.argv[3])))
try:
    client.connect((sys.argv[1], int(sys.argv[2])))
    print(client.recv(100).decode())
except OSError as error:
    print(type(error).__name__)
`

/** Tells whoever connects by TCP what it is seen as, until it is disposed of. */
export async function serve(ns: Namespace, address: string, port = 8000): Promise<AsyncDisposable> {
  const child: ChildProcess = spawn(
    'ip',
    ['netns', 'exec', ns.name, '/usr/bin/python3', '-c', SERVER, address, String(port)],
    { stdio: ['ignore', 'pipe', 'inherit'] }
  )
  await once(child.stdout as NodeJS.ReadableStream, 'data')
  return {
    async [Symbol.asyncDispose]() {
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      await ended
    }
  }
}

/** Connects by TCP: `address port` that it is seen as, or why it is not. */
export function connectTo(ns: Namespace, to: string, port = 8000, from?: number): string {
  const words = ['netns', 'exec', ns.name, '/usr/bin/python3', '-c', CLIENT, to, String(port)]
  return execFileSync('ip', from === undefined ? words : [...words, String(from)], { encoding: 'utf8' }).trim()
}
