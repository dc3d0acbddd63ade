import type { Qmp } from './qmp.mjs'

/** One card. Its back end is given by exactly one of `fds`, `ifname` and `netdev`. */
export interface Netdev {
  /** Of a TAP or macvtap, one per queue. The caller keeps (and closes) its own copies. */
  fds?: readonly number[]
  /** Of /dev/vhost-net, one per queue. */
  vhostFds?: readonly number[]
  /** Of a TAP that exists, which QEMU opens itself. */
  ifname?: string
  /** Anything else, as QEMU's -netdev has it, without the id: `stream,server=on,...`. */
  netdev?: string
  mac?: string
  /** With `ifname`; with `fds` it is their number. */
  queues?: number
  /** With `ifname`: whether frames carry virtio-net headers (default true). */
  vnet?: boolean
  /** More properties of the card: `mrg_rxbuf=off,csum=off`. */
  device?: string
}

export interface GuestOptions {
  /** In the guest's order: eth0, eth1, ... */
  netdevs?: readonly Netdev[]
  /** MiB, 160 by default. */
  memory?: number
  /** By default as many as the card with most queues has: Linux uses no more queues than that. */
  cpus?: number
  /** Name or path of the network namespace that QEMU runs in. */
  netns?: string | undefined
  /** Descriptors for `extraArgs`: the child's 3, 4, ... */
  stdioFds?: readonly number[]
  extraArgs?: readonly string[]
  /** More of the kernel's command line. */
  append?: string
  /** More of the kernel's modules. */
  modules?: readonly string[]
  /** Programs of the host for the guest's /bin. Where busybox has one of that name, call it by path. */
  programs?: readonly string[]
  /** Text by path. */
  files?: Record<string, string>
  /** ms to boot within. */
  timeout?: number
}

export interface Guest extends AsyncDisposable {
  readonly pid: number
  /** Path of the socket that QEMU serves QMP on, to one client at a time. */
  readonly qmpPath: string
  /** When QEMU has ended. */
  readonly exited: Promise<{ code: number | null; signal: string | null }>
  /** The console of the guest's kernel so far, and what QEMU wrote to its standard error. */
  log(): Promise<string>
  /** Runs a shell script without input; killed (status 137) after `timeout` ms. One at a time, in order. */
  run(script: string, options?: { timeout?: number }): Promise<{ status: number; output: string }>
  /** Like `run`, and throws unless it succeeds; gives its output, trimmed. */
  check(script: string, options?: { timeout?: number }): Promise<string>
  /** Brings a card up with addresses (`10.0.0.2/24`). */
  up(device: string, ...addresses: string[]): Promise<string>
  /** Waits for the card with that address (a hot-plugged one takes a moment); gives its name in the guest. */
  nic(mac: string, options?: { timeout?: number }): Promise<string>
  /** A QMP connection over a plain socket, made at the first call. QEMU serves one client: close it to use another. */
  qmp(): Promise<Qmp>
  /** Ends QEMU, waits for it, and removes its files. Idempotent. */
  stop(): Promise<void>
}

/** Why no guest can be booted here, or null; installs what it may. */
export function whyNoGuest(): Promise<string | null>
/** What somebody else needs to boot a guest of their own: the kernel, and an initramfs with that script as its init. */
export function guestFiles(init: string): Promise<{ kernel: string; initramfs: string }>

/** Boots a guest and waits until it takes commands. */
export function bootGuest(options?: GuestOptions): Promise<Guest>
