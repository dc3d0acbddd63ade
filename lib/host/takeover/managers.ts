/** Who else looks after a NIC: DHCP clients and network managers of this namespace, found without asking them. */
import { existsSync } from 'node:fs'
import { readdir, readFile, readlink } from 'node:fs/promises'
import type { Netlink } from '../../link/netlink.js'
import type { Finding } from '../finding.js'
import type { Target } from './addresses.js'

/** As the kernel has their names (15 bytes). */
const CLIENTS = new Set(['dhclient', 'dhcpcd', 'udhcpc', 'udhcpc6', 'dhcp6c', 'pump'])

export async function managersOf(net: Netlink, nic: Target): Promise<Finding[]> {
  const netns = await net.openNetns()
  try {
    const wanted = await readlink(`/proc/self/fd/${netns.fds[0]}`)
    const own = wanted === (await readlink('/proc/self/ns/net'))
    // What is below /run is of the namespace that the managers are in: the process's own, as a rule.
    return [...(own ? await stateFiles(nic) : []), ...(await clients(wanted, nic))]
  } finally {
    await netns.close()
  }
}

async function stateFiles({ index, name }: Target): Promise<Finding[]> {
  const findings: Finding[] = []
  const manager = await contentOf(`/run/NetworkManager/devices/${index}`)
  if (/^managed=true$/m.test(manager) || /^connection-uuid=/m.test(manager)) {
    const message = `NetworkManager manages ${name} and would take it back: nmcli device set ${name} managed no`
    findings.push({ code: 'network-manager', message, about: name })
  }
  const networkd = await contentOf(`/run/systemd/netif/links/${index}`)
  if (existsSync('/run/systemd/netif') && /^NETWORK_FILE=./m.test(networkd)) {
    const message = `systemd-networkd manages ${name} and would set it up again: make it Unmanaged=yes`
    findings.push({ code: 'systemd-networkd', message, about: name })
  }
  return findings
}

async function clients(netns: string, { name }: Target): Promise<Finding[]> {
  const findings: Finding[] = []
  for (const pid of (await readdir('/proc')).filter(entry => /^\d+$/.test(entry))) {
    const command = (await contentOf(`/proc/${pid}/comm`)).trim()
    if (!CLIENTS.has(command)) continue
    const place = await readlink(`/proc/${pid}/ns/net`).catch(() => undefined)
    if (place !== undefined && place !== netns) continue
    const words = (await contentOf(`/proc/${pid}/cmdline`)).split('\0')
    const named = words.slice(1).filter(word => word !== '' && !word.startsWith('-') && !word.includes('/'))
    // One that names no link looks after all of them.
    if (named.length > 0 && !words.includes(name)) continue
    const message = `${command} (process ${pid}) keeps the address of ${name}, and would renew it there: stop it first`
    findings.push({ code: 'dhcp-client', message, about: name })
  }
  return findings
}

const contentOf = (path: string): Promise<string> => readFile(path, 'utf8').catch(() => '')
