/** A network's dnsmasq looked at from outside. */
import { fstatSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import type { Netlink } from '../../link/netlink.js'
import { checkOptions } from './check-options.js'
import { configurationText, type Files, hostsText, reservationsText } from './configuration.js'
import { defaultDirectory, filesIn } from './directory.js'
import { findIdentity } from './identity.js'
import { findLeftover } from './leftover.js'
import type { DnsmasqOptions } from './options.js'
import { namespaceOf } from './proc.js'

/** Whether one runs that was started with its configuration. */
export async function isRunning(files: Files): Promise<boolean> {
  const child = await findLeftover(files)
  child?.leave()
  return child !== undefined
}

/** Whether one runs that was started with its configuration, in another namespace. */
export async function isElsewhere(net: Netlink, files: Files): Promise<boolean> {
  const child = await findLeftover(files)
  if (!child) return false
  child.leave()
  const place = await namespaceOf(child.pid)
  return place !== undefined && place !== (await namespaceName(net))
}

/** Whether one runs in the namespace with just this configuration, reservations and hosts. */
export async function isServing(net: Netlink, options: DnsmasqOptions): Promise<boolean> {
  const subnets = checkOptions(options)
  const files = filesIn(options.directory ?? defaultDirectory(options.name))
  const link = await net.links.get(options.interface).catch(() => undefined)
  const identity = await findIdentity(options.user)
  if (!link) return false
  const namespace = await namespaceName(net)
  const wanted = [
    [files.configuration, configurationText(options, subnets, { files, identity, index: link.index, namespace })],
    [files.reservations, reservationsText(options.reservations ?? [])],
    [files.hosts, hostsText(options.hosts ?? [])]
  ] as const
  for (const [file, text] of wanted) {
    if ((await readFile(file, 'utf8').catch(() => undefined)) !== text) return false
  }
  const child = await findLeftover(files)
  child?.leave()
  return child !== undefined && (await namespaceOf(child.pid)) === namespace
}

/** As `/proc/PID/ns/net` reads. */
async function namespaceName(net: Netlink): Promise<string> {
  const netns = await net.openNetns()
  try {
    return `net:[${fstatSync(netns.fds[0] ?? -1).ino}]`
  } finally {
    await netns.close()
  }
}
