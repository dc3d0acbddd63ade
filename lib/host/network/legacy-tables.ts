/** Tables of iptables-legacy: they drop like those of nf_tables, and netlink does not tell of them. */
import { readdir, readFile, readlink } from 'node:fs/promises'
import type { Netlink } from '../../link/netlink.js'
import type { Finding } from '../finding.js'

const FAMILIES = [
  { file: 'ip_tables_names', program: 'iptables-legacy' },
  { file: 'ip6_tables_names', program: 'ip6tables-legacy' }
] as const

/** A table is there once somebody has looked at it; whether it drops anything is not known. */
export async function legacyTables(net: Netlink): Promise<Finding[]> {
  const folder = await folderOf(net)
  if (folder === undefined) return []
  const found = await Promise.all(
    FAMILIES.map(async ({ file, program }) => {
      const tables = (await readFile(`${folder}/${file}`, 'utf8').catch(() => '')).split('\n').filter(Boolean)
      if (tables.length === 0) return []
      const message = `tables of ${program} (${tables.join(', ')}) cannot be looked into: whether they drop, ${program}-save says`
      return [{ code: 'iptables-legacy', message, about: program }]
    })
  )
  return found.flat()
}

/** What /proc shows of the namespace of a socket: by a process that is in it, this one as a rule. */
async function folderOf(net: Netlink): Promise<string | undefined> {
  const netns = await net.openNetns()
  try {
    const wanted = await readlink(`/proc/self/fd/${netns.fds[0]}`)
    for (const pid of ['self', ...(await readdir('/proc')).filter(name => /^\d+$/.test(name))]) {
      if ((await readlink(`/proc/${pid}/ns/net`).catch(() => undefined)) === wanted) return `/proc/${pid}/net`
    }
    return undefined
  } finally {
    await netns.close()
  }
}
