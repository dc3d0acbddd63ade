/** Whom dnsmasq becomes when it is started as root. */
import { readFile } from 'node:fs/promises'
import { invalidArgument } from '../../errors.js'

export interface Identity {
  readonly user: string
  readonly group: string
  readonly gid: number
}

/** The usual ones, as distributions have them; `nobody` is everywhere. */
const USERS = ['dnsmasq', 'nobody']

/**
 * `undefined` for a process that is not root: dnsmasq stays what it is. Root where nobody else is, in a user namespace
 * with one user.
 */
export async function findIdentity(wanted: string | undefined): Promise<Identity | undefined> {
  if (process.getuid?.() !== 0) return undefined
  const [users, groups, uids, gids] = await Promise.all([
    table('/etc/passwd'),
    table('/etc/group'),
    idMap('/proc/self/uid_map'),
    idMap('/proc/self/gid_map')
  ])
  for (const name of wanted === undefined ? [...USERS, 'root'] : [wanted]) {
    const user = users.find(([each]) => each === name)
    const gid = Number(user?.[3])
    const group = groups.find(([, , id]) => Number(id) === gid)
    if (user && group && uids(Number(user[2])) && gids(gid)) return { user: name, group: group[0] as string, gid }
  }
  throw invalidArgument('user', 'a user of this system, with a group', wanted ?? USERS.join(' or '))
}

async function table(path: string): Promise<string[][]> {
  const text = await readFile(path, 'utf8').catch(() => '')
  return text.split('\n').map(line => line.split(':'))
}

/** Which ids this user namespace has. */
async function idMap(path: string): Promise<(id: number) => boolean> {
  const text = await readFile(path, 'utf8')
  const ranges = text
    .trim()
    .split('\n')
    .map(line => line.trim().split(/\s+/).map(Number))
  return id => ranges.some(([first = 0, , count = 0]) => id >= first && id < first + count)
}
