/** Bringing a network's dnsmasq up: everything it needs, or nothing is left. */
import { fstatSync } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import type { Descriptors } from '../../descriptors.js'
import { LinkwrightError } from '../../errors.js'
import { Netlink } from '../../link/netlink.js'
import { checkOptions, type Subnets } from './check-options.js'
import { configurationText, hostsText, reservationsText } from './configuration.js'
import { defaultDirectory, makeParent, PrivateDirectory } from './directory.js'
import { findIdentity } from './identity.js'
import { findLeftover } from './leftover.js'
import { awaitedSockets } from './listening.js'
import type { DnsmasqOptions } from './options.js'
import { namespaceOf } from './proc.js'
import { findDnsmasq, testConfiguration } from './program.js'
import { Server, type ServerPlace } from './server.js'
import { addressNumber } from './subnet.js'

/** Milliseconds. */
const START_TIMEOUT = 15_000
const STOP_TIMEOUT = 5_000

export interface Opened {
  readonly subnets: Subnets
  readonly directory: PrivateDirectory
  readonly place: ServerPlace
  readonly server: Server
  readonly adopted: boolean
  /** Keeps the namespace that it was opened in. */
  readonly netns: Descriptors | undefined
}

interface Link {
  readonly index: number
  readonly namespace: string
  readonly netns: Descriptors | undefined
}

export async function openDnsmasq(options: DnsmasqOptions, signal: AbortSignal): Promise<Opened> {
  const subnets = checkOptions(options)
  const program = await findDnsmasq(options.program)
  const identity = await findIdentity(options.user)
  const link = await findLink(options, subnets)
  let directory: PrivateDirectory | undefined
  let isNew = true
  try {
    if (options.directory === undefined) await makeParent()
    directory = await PrivateDirectory.open(options.directory ?? defaultDirectory(options.name), identity)
    isNew = !(await exists(directory.configuration))
    const place: ServerPlace = {
      program,
      files: directory,
      netns: link.netns && { fd: link.netns.fds[0] as number },
      namespace: link.namespace,
      interface: options.interface,
      awaited: awaitedSockets(options, subnets),
      startTimeout: options.startTimeout ?? START_TIMEOUT,
      stopTimeout: options.stopTimeout ?? STOP_TIMEOUT
    }
    const text = configurationText(options, subnets, { files: directory, identity, ...link })
    const found = await bringUp(options, text, directory, place, signal)
    return { subnets, directory, place, netns: link.netns, ...found }
  } catch (error) {
    // Leases of an earlier life are worth keeping for the next attempt.
    if (isNew) await directory?.remove()
    else await directory?.unlock()
    await link.netns?.close()
    throw error
  }
}

/** Takes over one that serves this very configuration, or starts one in place of whatever there is of ours. */
async function bringUp(
  options: DnsmasqOptions,
  text: string,
  directory: PrivateDirectory,
  place: ServerPlace,
  signal: AbortSignal
): Promise<{ server: Server; adopted: boolean }> {
  const child = await findLeftover(directory)
  const leftover = child && Server.adopt(child, place)
  try {
    const before = await readFile(directory.configuration, 'utf8').catch(() => undefined)
    const isSame = before === text && child !== undefined && (await namespaceOf(child.pid)) === place.namespace
    if (!isSame) await directory.write(directory.configuration, text, path => testConfiguration(place.program, path))
    await directory.write(directory.reservations, reservationsText(options.reservations ?? []))
    await directory.write(directory.hosts, hostsText(options.hosts ?? []))
    if (leftover && isSame && (await servesAgain(leftover, signal))) return { server: leftover, adopted: true }
    signal.throwIfAborted()
    await leftover?.stop()
    return { server: await Server.start(place, signal), adopted: false }
  } catch (error) {
    // Whoever is first to succeed takes it over.
    leftover?.leave()
    throw error
  }
}

async function servesAgain(server: Server, signal: AbortSignal): Promise<boolean> {
  try {
    await server.reload()
    await server.ready(signal)
    return true
  } catch {
    return false
  }
}

async function findLink(options: DnsmasqOptions, { inet, inet6 }: Subnets): Promise<Link> {
  const { interface: name, netns } = options
  await using net = await Netlink.open({ netns })
  const { index } = await net.links.get(name)
  const addresses = await net.addresses.list({ link: index })
  const there = new Set(addresses.map(({ local, address }) => addressNumber(local ?? address ?? '0.0.0.0')))
  for (const [at, { address }] of [...inet, ...inet6].entries()) {
    if (there.has(addressNumber(address))) continue
    throw new LinkwrightError(`EADDRNOTAVAIL: ${address} is not an address of ${name}`, {
      code: 'EADDRNOTAVAIL',
      link: name,
      path: `addresses[${at}]`,
      diagnosis: `net.addresses.add({ link: '${name}', address: '${address}/…' }) first`
    })
  }
  if (netns === undefined) return { index, namespace: (await namespaceOf('self')) ?? '', netns: undefined }
  const held = await net.openNetns()
  const { ino } = fstatSync(held.fds[0] as number)
  return { index, namespace: `net:[${ino}]`, netns: held }
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false
  )
}
