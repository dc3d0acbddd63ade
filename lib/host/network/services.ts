/** The dnsmasq of a network: what it is asked for, whether it serves, and the step that starts it. */
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Netlink } from '../../link/netlink.js'
import type { NetnsRef } from '../../netns.js'
import type { Files } from '../dnsmasq/configuration.js'
import { defaultDirectory, filesIn, LOCK } from '../dnsmasq/directory.js'
import { Dnsmasq } from '../dnsmasq/dnsmasq.js'
import { isElsewhere, isRunning, isServing } from '../dnsmasq/inspection.js'
import { configurationArgument } from '../dnsmasq/leftover.js'
import type { DnsmasqOptions } from '../dnsmasq/options.js'
import { findDnsmasq } from '../dnsmasq/program.js'
import type { Finding } from '../finding.js'
import type { Step } from '../step.js'
import type { Operation } from '../way-back.js'
import type { GuestNetwork, NetworkSpec } from './spec.js'

/** Milliseconds that it is given to end on the way back, before it is killed. */
const ENDING = 5_000

/** Its options, but for the namespace and the directory; `undefined` for a network without DHCP and DNS. */
export function servicesOf(name: string, network: GuestNetwork): DnsmasqOptions | undefined {
  const { kind, addresses = [], mtu, dhcp4, dhcp6, dns, domain, reservations, hosts } = network
  if (!dhcp4 && !dhcp6 && !dns) return undefined
  const upstream = kind === 'isolated' ? 'none' : 'resolv.conf'
  const forLinks = mtu === undefined ? {} : { mtu }
  return {
    name,
    interface: name,
    addresses,
    ...(dhcp4 ? { dhcp4: { ...(kind === 'isolated' ? { router: false as const } : {}), ...forLinks, ...dhcp4 } } : {}),
    ...(dhcp6 ? { dhcp6: { ...(kind === 'isolated' ? { router: false } : {}), ...forLinks, ...dhcp6 } } : {}),
    dns: dns === false ? false : { upstream, ...dns },
    domain,
    reservations,
    hosts
  }
}

/** With everything that it takes to start it, or to take it over. */
export function dnsmasqOf(
  name: string,
  network: NetworkSpec,
  netns: NetnsRef | undefined,
  runtimeDirectory: string | undefined
): DnsmasqOptions | undefined {
  if (network.kind === 'bridge' || network.kind === 'direct') return undefined
  const options = servicesOf(name, network)
  if (!options) return undefined
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
  const directory = runtimeDirectory === undefined ? {} : { directory: `${runtimeDirectory}/${name}` }
  return { ...(given as unknown as DnsmasqOptions), ...(netns === undefined ? {} : { netns }), ...directory }
}

export interface ServicesPart {
  readonly steps: readonly Step[]
  readonly warnings: readonly Finding[]
  readonly conflicts: readonly Finding[]
}

/** Nothing where it serves already, just so. */
export async function serviceSteps(
  net: Netlink,
  options: DnsmasqOptions | undefined,
  made: boolean
): Promise<ServicesPart> {
  if (!options || (!made && (await isServing(net, options)))) {
    return { steps: [], warnings: [], conflicts: [] }
  }
  const files = filesIn(options.directory ?? defaultDirectory(options.name))
  const runs = await isRunning(files)
  const conflicts = await conflictsOf(net, options, files)
  const message = `the dnsmasq of ${options.name} gets other settings, which undoing leaves as they are`
  return {
    steps: [starting(net, options, files, runs ? [] : ending(files, options.directory === undefined))],
    warnings: runs ? [{ code: 'dnsmasq-changed', message, about: options.name }] : [],
    conflicts
  }
}

async function conflictsOf(net: Netlink, { name, program }: DnsmasqOptions, files: Files): Promise<Finding[]> {
  const found: Finding[] = []
  await findDnsmasq(program).catch((error: Error) => {
    found.push({ code: 'no-dnsmasq', message: error.message, about: name })
  })
  if (await isElsewhere(net, files)) {
    const message = `a dnsmasq of ${dirname(files.configuration)} serves another namespace: give another runtimeDirectory`
    found.push({ code: 'dnsmasq-elsewhere', message, about: name })
  }
  return found
}

function starting(net: Netlink, options: DnsmasqOptions, files: Files, back: Step['back']): Step {
  return {
    name: 'dnsmasq',
    commands: [`dnsmasq ${configurationArgument(files)}`],
    back,
    async apply({ signal }) {
      const netns = await net.openNetns()
      try {
        const dnsmasq = await Dnsmasq.open({ ...options, netns: { fd: netns.fds[0] as number }, signal })
        // From here on it runs by itself, until a `Network` looks after it.
        await dnsmasq.leave()
      } finally {
        await netns.close()
      }
    }
  }
}

/** @param isDefault whether its directory is where one is by default */
function ending(files: Files, isDefault: boolean): Operation[] {
  const parent = dirname(dirname(files.configuration))
  const argument = configurationArgument(files)
  const remove = (path: string): Operation => ({ op: 'remove', path, command: `rm -fd ${path}` })
  return [
    { op: 'stop', program: 'dnsmasq', argument, milliseconds: ENDING, command: `pkill -f -- ${argument}` },
    // A draft that was being written when this process died is left as well.
    ...Object.values(files).flatMap(file => [remove(file), remove(`${file}.new`)]),
    remove(join(dirname(files.configuration), LOCK)),
    remove(dirname(files.configuration)),
    // It goes with the last network, if it was not there before.
    ...(isDefault && !existsSync(parent) ? [remove(parent)] : [])
  ]
}
