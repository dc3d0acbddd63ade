/** Real guests, with virtio-net cards on whatever the test made for them. */
import { randomInt } from 'node:crypto'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ensureSystem, kernelPackage } from '../../scripts/system.mjs'
import { buildInitramfs } from './initramfs.mjs'
import { startQemu } from './qemu.mjs'
import { Qmp } from './qmp.mjs'
import { GuestShell } from './shell.mjs'
import { tempFolder } from './temp.mjs'

const INIT = fileURLToPath(new URL('init.sh', import.meta.url))
const MODULES = ['virtio_pci', 'virtio_net', 'af_packet']
// On a busy machine the emulated timer may come too late for a kernel that checks it, which panics then.
const KERNEL_OPTIONS =
  'console=ttyS0 quiet panic=-1 oops=panic no_timer_check random.trust_cpu=on tsc=reliable mitigations=off'

/** @returns {Promise<string | null>} why no guest can be booted here; installs what it may */
export async function whyNoGuest() {
  return (await ensureSystem(['guest'])).guest
}

/**
 * @typedef {object} Netdev one card; its back end is given by exactly one of `fds`, `ifname` and `netdev`
 * @property {number[]} [fds] of a TAP or macvtap, one per queue; the caller keeps (and closes) its own copies
 * @property {number[]} [vhostFds] of /dev/vhost-net, one per queue
 * @property {string} [ifname] of a TAP that exists, which QEMU opens itself
 * @property {string} [netdev] anything else, as QEMU's -netdev has it, without the id: `stream,server=on,...`
 * @property {string} [mac]
 * @property {number} [queues] with `ifname`; with `fds` it is their number
 * @property {boolean} [vnet] with `ifname`: whether frames carry virtio-net headers (default true)
 * @property {string} [device] more properties of the card: `mrg_rxbuf=off,csum=off`
 */

/** What somebody else needs to boot a guest of their own: the kernel, and an initramfs with that script as its init. */
export async function guestFiles(init) {
  const kernel = await kernelPackage('cloud')
  return { kernel: kernel.image, initramfs: await buildInitramfs(kernel, { init, modules: MODULES }) }
}

/** Card `i` as QEMU's options, with the numbers that its descriptors have in the child. */
function cardArgs(card, i, fdNumbers, vhostNumbers) {
  const queues = card.fds?.length ?? card.queues ?? 1
  const multiqueue = queues > 1
  let backend = card.netdev
  if (card.fds) backend = `tap,fds=${fdNumbers.join(':')}`
  else if (card.ifname)
    backend = `tap,ifname=${card.ifname},script=no,downscript=no,vnet_hdr=${card.vnet === false ? 'off' : 'on'}${multiqueue ? `,queues=${queues}` : ''}`
  if (vhostNumbers.length > 0) backend += `,vhost=on,vhostfds=${vhostNumbers.join(':')}`
  const [kind, ...rest] = backend.split(',')
  return [
    '-netdev',
    [kind, `id=n${i}`, ...rest].join(','),
    '-device',
    [
      'virtio-net-pci',
      `id=card${i}`,
      `netdev=n${i}`,
      `mac=${card.mac ?? macOf(i)}`,
      'romfile=',
      // A pair of rings per queue, and one vector each for the control ring and for configuration changes.
      ...(multiqueue ? ['mq=on', `vectors=${2 * queues + 2}`] : []),
      ...(card.device ? [card.device] : [])
    ].join(',')
  ]
}

const session = randomInt(1 << 16)
let cards = 0
/** Guests of one test may share a bridge, so no two cards get the same address. */
function macOf() {
  const bytes = [0x52, 0x54, session >> 8, session & 0xff, (++cards >> 8) & 0xff, cards & 0xff]
  return bytes.map(byte => byte.toString(16).padStart(2, '0')).join(':')
}

/**
 * Boots a guest and waits until it takes commands.
 *
 * @param {object} [options]
 * @param {Netdev[]} [options.netdevs] in the guest's order: eth0, eth1, ...
 * @param {number} [options.memory] MiB
 * @param {number} [options.cpus] by default as many as the card with most queues has: Linux uses no more queues than that
 * @param {string} [options.netns] name or path of the namespace that QEMU runs in
 * @param {number[]} [options.stdioFds] descriptors for `extraArgs`: the child's 3, 4, ...
 * @param {string[]} [options.extraArgs]
 * @param {string} [options.append] more of the kernel's command line
 * @param {string[]} [options.modules] more of the kernel's modules
 * @param {string[]} [options.programs] of the host, for the guest's /bin; where busybox has one of that name, call it by path
 * @param {Record<string, string>} [options.files] text by path
 * @param {number} [options.timeout] ms to boot within
 */
export async function bootGuest({
  netdevs = [],
  memory = 160,
  cpus = Math.max(1, ...netdevs.map(card => card.fds?.length ?? card.queues ?? 1)),
  netns,
  stdioFds = [],
  extraArgs = [],
  append = '',
  modules = [],
  programs = [],
  files = {},
  timeout = 90_000
} = {}) {
  const reason = await whyNoGuest()
  if (reason) throw new Error(reason)
  const kernel = await kernelPackage('cloud')
  const initramfs = await buildInitramfs(kernel, { init: INIT, modules: [...MODULES, ...modules], programs, files })

  const fds = [...stdioFds]
  const inherit = (more = []) => more.map(fd => fds.push(fd) + 2)
  const cardOptions = netdevs.flatMap((card, i) => cardArgs(card, i, inherit(card.fds), inherit(card.vhostFds)))

  const temp = await tempFolder()
  const qmpPath = join(temp.path, 'qmp')
  const qemu = startQemu(
    [
      ...['-m', `${memory}M`, '-smp', `${cpus}`],
      ...['-kernel', kernel.image, '-initrd', initramfs, '-append', `${KERNEL_OPTIONS} ${append}`],
      ...['-chardev', 'stdio,id=shell,signal=off', '-serial', 'chardev:shell'],
      ...['-qmp', `unix:${qmpPath},server=on,wait=off`],
      ...cardOptions,
      ...extraArgs
    ],
    { consoleLog: join(temp.path, 'console'), fds, netns }
  )
  const guest = new Guest(qemu, qmpPath, temp)
  try {
    await guest.boot(timeout)
  } catch (error) {
    await guest.stop()
    throw error
  }
  return guest
}

export class Guest {
  #qemu
  #temp
  #shell
  #qmp = null
  #stopped = null

  /** Path of the socket that QEMU serves QMP on, to one client at a time. */
  qmpPath

  constructor(qemu, qmpPath, temp) {
    this.#qemu = qemu
    this.#temp = temp
    this.qmpPath = qmpPath
    this.#shell = new GuestShell({ input: qemu.child.stdout, output: qemu.child.stdin })
    qemu.exited.then(async ({ code, signal }) => {
      const log = await this.log()
      this.#shell.fail(new Error(`the guest ended (${signal ?? code}):\n${log.slice(-4000)}`))
    })
  }

  get pid() {
    return this.#qemu.child.pid
  }

  /** Resolves with `{ code, signal }` when QEMU has ended. */
  get exited() {
    return this.#qemu.exited
  }

  /** The console of the guest's kernel so far, and what QEMU wrote to its standard error. */
  log() {
    return this.#qemu.log()
  }

  async boot(timeout) {
    await this.#within(timeout, this.#shell.ready(), 'the guest did not boot')
  }

  /**
   * Runs a shell script in the guest, without input. One at a time: what should go on beside it is started with
   * `... >/tmp/log 2>&1 &`.
   *
   * @param {string} script
   * @param {{ timeout?: number }} [options] ms, after which it is killed (status 137)
   * @returns {Promise<{ status: number, output: string }>} `output` has both of its streams
   */
  run(script, { timeout = 30_000 } = {}) {
    const grace = 30_000
    return this.#within(timeout + grace, this.#shell.run(script, Math.ceil(timeout / 1000)), `no answer to: ${script}`)
  }

  /** Like `run`, and throws unless it succeeds; gives its output, trimmed. */
  async check(script, options) {
    const { status, output } = await this.run(script, options)
    if (status !== 0) throw new Error(`status ${status} of: ${script}\n${output}`)
    return output.trim()
  }

  /** Brings a card up with addresses (`10.0.0.2/24`); IPv6 ones are usable at once, as there is no DAD in the guest. */
  up(device, ...addresses) {
    const add = addresses.map(address => `ip addr add ${address} dev ${device}`)
    return this.check(['set -e', ...add, `ip link set ${device} up`].join('\n'))
  }

  /** Waits for the card with that address (a hot-plugged one takes a moment); gives its name in the guest. */
  nic(mac, { timeout = 30_000 } = {}) {
    return this.check(
      `until name=$(grep -lix '${mac}' /sys/class/net/*/address 2>/dev/null); do usleep 50000; done; basename "$(dirname "$name")"`,
      { timeout }
    )
  }

  /** A QMP connection over a plain socket, made at the first call. QEMU serves one client: close it to use another. */
  async qmp() {
    this.#qmp ??= Qmp.open(this.qmpPath)
    return this.#qmp
  }

  /** Ends QEMU, waits for it, and removes its files. Idempotent. */
  stop() {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  async #stop() {
    await this.#qmp?.then(
      qmp => qmp.close(),
      () => {}
    )
    await this.#qemu.kill()
    await this.#temp.remove()
  }

  async [Symbol.asyncDispose]() {
    await this.stop()
  }

  async #within(ms, promise, complaint) {
    let timer
    const late = new Promise((_, reject) => {
      timer = setTimeout(
        async () => reject(new Error(`${complaint} (${ms} ms)\n${(await this.log()).slice(-4000)}`)),
        ms
      )
    })
    try {
      return await Promise.race([promise, late])
    } finally {
      clearTimeout(timer)
    }
  }
}
