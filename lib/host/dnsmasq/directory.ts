/** The private directory of one network's dnsmasq. */
import { fstatSync } from 'node:fs'
import { chmod, chown, lstat, mkdir, readdir, rename, rm, rmdir, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { addon, type NativeDescriptors } from '../../addon.js'
import { LinkwrightError, nativeError } from '../../errors.js'
import type { Files } from './configuration.js'
import type { Identity } from './identity.js'

/** Tells a directory of ours from all others. */
export const LOCK = 'linkwright.lock'

/** Another one may remove the file while it is locked here. */
const LOOKS = 5

/**
 * Locked by whoever manages the network. Root's is 0710 with the group that dnsmasq has after its start, which reads
 * reservations and hosts again when it is told to; it can neither list nor write there. Anybody else's is 0700.
 */
export class PrivateDirectory implements Files {
  readonly configuration: string
  readonly reservations: string
  readonly hosts: string
  readonly leases: string
  readonly pid: string
  readonly #lock: NativeDescriptors
  readonly #gid: number | undefined

  private constructor(
    readonly path: string,
    lock: NativeDescriptors,
    gid: number | undefined
  ) {
    const files = filesIn(path)
    this.configuration = files.configuration
    this.reservations = files.reservations
    this.hosts = files.hosts
    this.leases = files.leases
    this.pid = files.pid
    this.#lock = lock
    this.#gid = gid
  }

  /**
   * Makes it where it is missing, in a directory that is there.
   *
   * @throws LinkwrightError `EBUSY` when another manager has it, `EPERM` when it is another user's or open to others,
   * `ENOTEMPTY` when it has files of others
   */
  static async open(path: string, identity: Identity | undefined): Promise<PrivateDirectory> {
    let isNew = false
    try {
      for (let look = 0; look < LOOKS; look++) {
        isNew = await make(path)
        await checkOwner(path)
        await checkContent(path)
        if (identity) {
          await checkWay(path, identity)
          await chown(path, 0, identity.gid)
        }
        await chmod(path, identity ? 0o710 : 0o700)
        const lock = await addon().lockFile(join(path, LOCK))
        if (await isStill(join(path, LOCK), lock)) return new PrivateDirectory(path, lock, identity?.gid)
        await lock.close()
      }
    } catch (error) {
      if (isNew) await rmdir(path).catch(() => {})
      if ((error as { code?: string }).code !== 'EAGAIN') throw nativeError(error, { link: path })
    }
    throw new LinkwrightError(`EBUSY: ${path} is in use: another manager has this network's dnsmasq`, {
      code: 'EBUSY',
      link: path
    })
  }

  /** Replaces a file at once, so that nobody reads half of it; not if `check`, which gets the new one, throws. */
  async write(file: string, text: string, check: (path: string) => Promise<void> = async () => {}): Promise<void> {
    const next = `${file}.new`
    await rm(next, { force: true })
    await writeFile(next, text, { mode: 0o640, flag: 'wx' })
    if (this.#gid !== undefined) await chown(next, 0, this.#gid)
    await chmod(next, 0o640)
    try {
      await check(next)
      await rename(next, file)
    } catch (error) {
      await rm(next, { force: true })
      throw error
    }
  }

  /** Gives it back, with its files where they are. */
  async unlock(): Promise<void> {
    await this.#lock.close()
  }

  /** Removes what is ours; what somebody else put there stays, and the directory with it. */
  async remove(): Promise<void> {
    for (const file of [this.configuration, this.reservations, this.hosts, this.leases, this.pid]) {
      await rm(file, { force: true })
      await rm(`${file}.new`, { force: true })
    }
    await rm(join(this.path, LOCK), { force: true })
    await this.#lock.close()
    await rmdir(this.path).catch(() => {})
  }
}

/** Where they are, locked or not. */
export function filesIn(path: string): Files {
  return {
    configuration: join(path, 'dnsmasq.conf'),
    reservations: join(path, 'reservations'),
    hosts: join(path, 'hosts'),
    leases: join(path, 'leases'),
    pid: join(path, 'dnsmasq.pid')
  }
}

/** `/run/linkwright/NAME`, or in the directory for temporary files for who is not root. */
export function defaultDirectory(name: string): string {
  const uid = process.getuid?.() ?? 0
  return uid === 0 ? join('/run/linkwright', name) : join(tmpdir(), `linkwright-${uid}`, name)
}

/** The parents of the default directory, through which dnsmasq goes to its files. */
export async function makeParent(): Promise<void> {
  const uid = process.getuid?.() ?? 0
  const parent = uid === 0 ? '/run/linkwright' : join(tmpdir(), `linkwright-${uid}`)
  const made = await mkdir(parent, { recursive: true })
  await checkOwner(parent)
  // What mkdir() makes depends on the umask.
  if (made !== undefined) await chmod(parent, uid === 0 ? 0o711 : 0o700)
}

/** Whether dnsmasq, once it is not root any more, gets to the directory. */
async function checkWay(path: string, { user, gid }: Identity): Promise<void> {
  if (user === 'root') return
  for (let above = dirname(path); ; above = dirname(above)) {
    const { mode, gid: group } = await stat(above)
    if ((mode & (group === gid ? 0o010 : 0o001)) === 0) {
      const diagnosis = `${above} is closed to ${user}, who reads reservations there: chmod o+x ${above}`
      throw new LinkwrightError(`EACCES: ${user} cannot get to ${path}; ${diagnosis}`, {
        code: 'EACCES',
        link: path,
        path: 'directory',
        diagnosis
      })
    }
    if (above === '/') return
  }
}

/** Nobody else's directory gets our modes. */
async function checkContent(path: string): Promise<void> {
  const names = await readdir(path)
  if (names.length === 0 || names.includes(LOCK)) return
  throw new LinkwrightError(`ENOTEMPTY: ${path} has files of others`, {
    code: 'ENOTEMPTY',
    link: path,
    path: 'directory'
  })
}

async function make(path: string): Promise<boolean> {
  try {
    await mkdir(path, { mode: 0o700 })
    return true
  } catch (error) {
    if ((error as { code?: string }).code !== 'EEXIST') throw error
    return false
  }
}

async function checkOwner(path: string): Promise<void> {
  const found = await lstat(path)
  if (found.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o022) === 0) return
  throw new LinkwrightError(`EPERM: ${path} is no directory of this user alone`, {
    code: 'EPERM',
    link: path,
    diagnosis: 'others could change what dnsmasq is told'
  })
}

/** Whether the path still leads to what is locked. */
async function isStill(path: string, lock: NativeDescriptors): Promise<boolean> {
  const locked = fstatSync(lock.fds[0] as number)
  const named = await lstat(path).catch(() => undefined)
  return named?.ino === locked.ino && named.dev === locked.dev
}
