/**
 * What the tests need of the system beyond npm: tools from Debian packages, and kernels to boot.
 *
 * Nothing here throws for want of something: the answer is a reason, which the tests that need it are skipped with.
 */
import { execFile } from 'node:child_process'
import {
  access,
  constants,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
  writeFile
} from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { gunzipSync } from 'node:zlib'

const run = promisify(execFile)
const CACHE = join(dirname(fileURLToPath(import.meta.url)), '..', '.cache')
const SEARCH = [...new Set([...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/sbin', '/usr/bin', '/bin'])].filter(
  Boolean
)

/** Tools (by name) and files (by path), and the package that brings each. */
const PACKAGES = {
  make: 'make',
  'g++': 'g++',
  gcc: 'gcc',
  python3: 'python3-minimal',
  'clang-format': 'clang-format',
  'clang-tidy': 'clang-tidy',
  ip: 'iproute2',
  bridge: 'iproute2',
  tc: 'iproute2',
  nft: 'nftables',
  dnsmasq: 'dnsmasq-base',
  ping: 'iputils-ping',
  libvirtd: 'libvirt-daemon-system',
  virsh: 'libvirt-clients',
  unshare: 'util-linux',
  nsenter: 'util-linux',
  setpriv: 'util-linux',
  strace: 'strace',
  ethtool: 'ethtool',
  tcpdump: 'tcpdump',
  tshark: 'tshark',
  iperf3: 'iperf3',
  modprobe: 'kmod',
  depmod: 'kmod',
  xz: 'xz-utils',
  'qemu-system-x86_64': 'qemu-system-x86',
  '/bin/busybox': 'busybox-static',
  '/usr/include/linux/netlink.h': 'linux-libc-dev',
  '/usr/include/libmnl/libmnl.h': 'libmnl-dev'
}

/** What each part of the checks needs. */
export const FEATURES = {
  build: ['make', 'g++', 'python3'],
  headers: ['gcc', '/usr/include/linux/netlink.h', '/usr/include/libmnl/libmnl.h'],
  sanitize: ['g++', 'gcc'],
  lint: ['clang-format', 'clang-tidy'],
  network: ['ip', 'bridge', 'tc', 'unshare', 'nsenter', 'ping', 'python3'],
  nftables: ['nft'],
  dnsmasq: ['dnsmasq', 'python3'],
  /** To compare with. It is not installed unless it is asked for: its daemon starts by itself. */
  libvirt: ['libvirtd', 'virsh', 'ping', 'nft'],
  trace: ['strace'],
  traffic: ['iperf3', 'ethtool', 'tcpdump'],
  dissect: ['tshark'],
  guest: ['qemu-system-x86_64', '/bin/busybox', 'modprobe', 'depmod', 'setpriv', 'nsenter'],
  vm: ['qemu-system-x86_64', '/bin/busybox', 'modprobe', 'depmod', 'setpriv', 'xz']
}

/** The kernel that a feature boots. */
const KERNELS = { guest: 'cloud', vm: 'full' }

/** What `npm test` uses; the other commands ask for theirs themselves. */
const FOR_TESTS = ['build', 'headers', 'network', 'nftables', 'dnsmasq', 'trace', 'traffic', 'dissect', 'guest']

const say = text => process.stderr.write(`system: ${text}\n`)

const allows = (path, mode) =>
  access(path, mode).then(
    () => true,
    () => false
  )

async function findTool(name) {
  for (const folder of SEARCH) {
    const path = join(folder, name)
    if (await allows(path, constants.X_OK)) return path
  }
  return null
}

/** Whether an ELF file runs without a loader, as everything in an initramfs without libraries must. */
async function isStatic(path) {
  const file = await open(path).catch(() => null)
  if (!file) return false
  try {
    const { buffer } = await file.read(Buffer.alloc(4096), 0, 4096, 0)
    if (buffer.readUInt32BE(0) !== 0x7f454c46) return false
    const [start, size, count] = [Number(buffer.readBigUInt64LE(32)), buffer.readUInt16LE(54), buffer.readUInt16LE(56)]
    const PT_INTERP = 3
    return Array.from({ length: count }, (_, i) => buffer.readUInt32LE(start + i * size)).every(
      type => type !== PT_INTERP
    )
  } finally {
    await file.close()
  }
}

async function present(need) {
  if (need === '/bin/busybox') return isStatic(need)
  if (need.startsWith('/')) return allows(need)
  return (await findTool(need)) !== null
}

// ---- apt

const APT = [
  '-q',
  '-o',
  'DPkg::Lock::Timeout=300',
  '-o',
  'Acquire::Retries=2',
  '-o',
  'Acquire::http::Timeout=30',
  '-o',
  'APT::Sandbox::User=root'
]

/** apt waits for dpkg's lock by itself, and for no other: of two that fetch the lists at once, one fails at once. */
async function apt(args, options = {}) {
  const patience = Date.now() + 120_000
  for (;;)
    try {
      return await run('apt-get', [...APT, ...args], {
        env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' },
        maxBuffer: 1 << 26,
        timeout: 15 * 60_000,
        ...options
      })
    } catch (error) {
      if (!/[Uu]nable to lock|Could not get lock/.test(error.stderr) || Date.now() > patience) throw error
      await sleep(1000)
    }
}

const lastLine = error => (error.stderr || error.message || String(error)).trim().split('\n').at(-1)

let updated
/** At most once per process: the lists of packages are good for as long as this runs. */
function update() {
  if (!updated) {
    say('apt-get update')
    updated = apt(['update']).then(
      () => true,
      error => {
        say(lastLine(error))
        return false
      }
    )
  }
  return updated
}

/** Lists may be missing (a container image) or older than the mirror: then fetch them, once, and try again. */
async function withFreshLists(attempt) {
  const fresh = updated
  try {
    return await attempt()
  } catch (error) {
    if (fresh || process.getuid() !== 0 || !(await update())) throw error
    return attempt()
  }
}

async function install(packages) {
  if (process.env.LINKWRIGHT_INSTALL === '0') throw new Error('LINKWRIGHT_INSTALL=0')
  if (process.getuid() !== 0) throw new Error('not root')
  if (!(await findTool('apt-get'))) throw new Error('no apt-get here')
  say(`installing ${packages.join(' ')}`)
  await withFreshLists(() => apt(['install', '-y', '--no-install-recommends', ...packages]))
}

const packagesOf = needs => [...new Set(needs.map(need => PACKAGES[need]))].join(' ')

let installing = Promise.resolve()

/** Installs what is missing, one call after the other: who waited may find its needs met. */
function installMissing(missing) {
  installing = installing.then(async () => {
    const needs = await missing()
    return needs.length === 0 ? null : install(packagesOf(needs).split(' ')).then(() => null, lastLine)
  })
  return installing
}

/**
 * Makes what the given features need present, if it may: installs packages as root, and unpacks kernels.
 *
 * @param {(keyof typeof FEATURES)[]} features
 * @returns {Promise<Record<string, string | null>>} per feature `null`, or why what needs it cannot run
 */
export async function ensureSystem(features = FOR_TESTS) {
  const needs = [...new Set(features.flatMap(feature => FEATURES[feature]))]
  const missing = async () => {
    const found = await Promise.all(needs.map(present))
    return needs.filter((_, i) => !found[i])
  }
  const failure = await installMissing(missing)
  const left = await missing()
  if (left.length > 0)
    say(`please install: apt-get install ${packagesOf(left)} (${failure ?? 'installed, and still missing'})`)
  const reasons = {}
  for (const feature of features) {
    const lacks = FEATURES[feature].filter(need => left.includes(need))
    if (lacks.length > 0) reasons[feature] = `${lacks.join(', ')} missing: apt-get install ${packagesOf(lacks)}`
    else if (KERNELS[feature]) reasons[feature] = (await kernelPackage(KERNELS[feature])).reason ?? null
    else reasons[feature] = null
  }
  return reasons
}

// ---- kernels

const META = { cloud: 'linux-image-cloud-amd64', full: 'linux-image-amd64' }
const NAME = {
  cloud: /^linux-image-[\d.]+.*-cloud-amd64(-unsigned)?$/,
  full: /^linux-image-[\d.]+(?!.*-cloud-).*-amd64(-unsigned)?$/
}

/** The packages that the metapackage depends on; several when it gives alternatives. */
async function kernelNames(flavour) {
  return withFreshLists(async () => {
    const { stdout } = await run('apt-cache', ['depends', META[flavour]])
    const names = [...stdout.matchAll(/Depends: (\S+)/g)]
      .map(match => match[1])
      .filter(name => NAME[flavour].test(name))
    if (names.length === 0) throw new Error(`apt knows no kernel behind ${META[flavour]}`)
    return names
  })
}

async function download(names, folder) {
  let failure
  for (const name of names)
    try {
      await withFreshLists(() => apt(['download', name], { cwd: folder }))
      return name
    } catch (error) {
      failure = error
    }
  throw failure
}

/**
 * The ELF image inside a bzImage, or null. QEMU starts it directly (PVH), which spares the guest the unpacking: with
 * software emulation that is 5 s of the full kernel's 8.
 */
async function unpackImage(vmlinuz, vmlinux) {
  const image = await readFile(vmlinuz)
  if (image.toString('latin1', 0x202, 0x206) !== 'HdrS') return null
  const start = ((image[0x1f1] || 4) + 1) * 512 + image.readUInt32LE(0x248)
  // The payload's last four bytes are the unpacked size, which is no part of the stream.
  const payload = image.subarray(start, start + image.readUInt32LE(0x24c) - 4)
  const elf = await decompress(payload).catch(() => null)
  if (elf?.readUInt32BE(0) !== 0x7f454c46) return null
  await writeFile(vmlinux, elf)
  return vmlinux
}

const MAGIC = { fd377a58: 'xz', '28b52ffd': 'zstd', '02214c18': 'lz4' }

function decompress(bytes) {
  if (bytes.readUInt16BE(0) === 0x1f8b) return gunzipSync(bytes)
  const tool = MAGIC[bytes.toString('hex', 0, 4)]
  if (!tool) throw new Error('unknown compression')
  return new Promise((resolve, reject) => {
    const child = execFile(tool, ['-dc'], { encoding: 'buffer', maxBuffer: 1 << 29 }, (error, stdout) =>
      error ? reject(error) : resolve(stdout)
    )
    child.stdin.on('error', () => {})
    child.stdin.end(bytes)
  })
}

/** Removes what processes left that died while they unpacked. */
async function sweep(folder) {
  for (const name of await readdir(folder)) {
    const pid = /^\.partial-(\d+)-/.exec(name)?.[1]
    if (pid && !(await allows(`/proc/${pid}`))) await rm(join(folder, name), { recursive: true, force: true })
  }
}

async function unpackKernel(flavour, folder) {
  const work = await mkdtemp(join(folder, `.partial-${process.pid}-`))
  try {
    const name = await download(await kernelNames(flavour), work)
    const deb = (await readdir(work)).find(file => file.endsWith('.deb'))
    const root = join(work, 'root')
    await mkdir(root)
    await run('dpkg-deb', ['-x', join(work, deb), root])
    if (!(await readdir(root)).includes('lib')) await symlink('usr/lib', join(root, 'lib'))
    const [release] = await readdir(join(root, 'lib/modules'))
    await run((await findTool('depmod')) ?? 'depmod', ['-b', root, release])
    await unpackImage(join(root, 'boot', `vmlinuz-${release}`), join(root, 'boot', 'vmlinux'))
    // Whoever is first wins; a complete tree is never replaced under those that use it.
    await rename(root, join(folder, name)).catch(error => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error
    })
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

async function cachedKernel(flavour, folder) {
  const names = (await readdir(folder)).filter(name => NAME[flavour].test(name))
  const name = names.sort((a, b) => a.localeCompare(b, 'en', { numeric: true })).at(-1)
  if (!name) return null
  const root = join(folder, name)
  const [release] = await readdir(join(root, 'lib/modules'))
  const boot = await readdir(join(root, 'boot'))
  const vmlinuz = join(root, 'boot', `vmlinuz-${release}`)
  return {
    root,
    release,
    vmlinuz,
    image: boot.includes('vmlinux') ? join(root, 'boot/vmlinux') : vmlinuz,
    modules: join(root, 'lib/modules', release)
  }
}

const kernels = new Map()

/**
 * The distribution's current kernel, unpacked and never installed.
 *
 * @param {'cloud' | 'full'} flavour the small one for guests, or the one with every module
 * @returns {Promise<{ root: string, release: string, vmlinuz: string, image: string, modules: string } | { reason: string }>}
 *   `root` is what `modprobe -d` takes, `image` what QEMU starts fastest
 */
export function kernelPackage(flavour) {
  if (!kernels.has(flavour))
    kernels.set(
      flavour,
      findKernel(flavour).catch(error => ({ reason: `no ${flavour} kernel: ${lastLine(error)}` }))
    )
  return kernels.get(flavour)
}

async function findKernel(flavour) {
  if (process.arch !== 'x64') return { reason: `no ${flavour} kernel for ${process.arch}` }
  const folder = join(CACHE, 'kernels')
  await mkdir(folder, { recursive: true })
  await sweep(folder)
  const cached = await cachedKernel(flavour, folder)
  if (cached) return cached
  say(`unpacking the ${flavour} kernel`)
  await unpackKernel(flavour, folder)
  return cachedKernel(flavour, folder)
}
