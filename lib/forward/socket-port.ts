/** What ports over sockets have in common. */
import { isIP } from 'node:net'
import { addon, SOCKET_PORT_FAULT } from '../addon.js'
import { invalidArgument, nativeError } from '../errors.js'
import { type NetnsRef, withNetns } from '../netns.js'
import { anything, type Check, signal as signalCheck } from '../tap/checks.js'
import { Port } from './port.js'

/** What a port met besides good frames, since it was opened. */
export interface SocketPortFaults {
  /** Datagrams or records that hold no frame: shorter than an Ethernet header, too long, or with a wrong header. */
  malformed: number
  /** Datagrams of somebody other than the peer, or of another VNI. */
  foreign: number
  /** Frames that were not sent because they are longer than the way out allows (EMSGSIZE). */
  tooLong: number
  /** How often the kernel refused to segment datagrams (UDP_SEGMENT); they were sent one by one then. */
  unsegmented: number
  /** Frames that the kernel dropped because its receive buffer was full (SO_MEMINFO). */
  kernelDrops: number
}

const NONE: SocketPortFaults = { malformed: 0, foreign: 0, tooLong: 0, unsegmented: 0, kernelDrops: 0 }

export interface BufferOptions {
  /** Bytes that may wait in the kernel to be sent (SO_SNDBUF; as root above net.core.wmem_max too); 1 MiB by default. */
  sendBuffer?: number | undefined
  /** Bytes that may wait in the kernel to be received (SO_RCVBUF); 4 MiB by default. */
  receiveBuffer?: number | undefined
}

export interface SocketPortOptions extends BufferOptions {
  /** What it is called in errors and events. */
  name?: string | undefined
  /** The namespace to open the socket in. It stays there whatever namespace it is used from. */
  netns?: NetnsRef | undefined
  signal?: AbortSignal | undefined
}

export abstract class SocketPort extends Port {
  readonly #slots = new Float64Array(Object.keys(SOCKET_PORT_FAULT).length)
  #faults = NONE

  /** Counted since the port was opened; the last ones once it is closed. */
  get faults(): SocketPortFaults {
    const slots = this.#slots
    if (addon().socketPortFaults(this.native, slots)) {
      const [malformed = 0, foreign = 0, tooLong = 0, unsegmented = 0, kernelDrops = 0] = slots
      this.#faults = { malformed, foreign, tooLong, unsegmented, kernelDrops }
    }
    return this.#faults
  }
}

const MIB = 1024 * 1024

export function buffers({ sendBuffer = MIB, receiveBuffer = 4 * MIB }: BufferOptions): {
  sendBuffer: number
  receiveBuffer: number
} {
  return { sendBuffer, receiveBuffer }
}

const bytes: Check = (value, path) => {
  if (!Number.isInteger(value) || (value as number) < 1 || (value as number) > 0x3fffffff) {
    throw invalidArgument(path, 'a number of bytes from 1 to 1073741823', value)
  }
}

export const portName: Check = (value, path) => {
  if (typeof value !== 'string' || value === '') throw invalidArgument(path, 'a name', value)
}

export const BUFFER_CHECKS: Record<keyof BufferOptions, Check> = { sendBuffer: bytes, receiveBuffer: bytes }

export const SOCKET_PORT_CHECKS: Record<keyof SocketPortOptions, Check> = {
  ...BUFFER_CHECKS,
  name: portName,
  netns: anything,
  signal: signalCheck
}

/** Refuses what is no IPv4 or IPv6 address, with the scope of a link-local one behind a `%`. */
export function checkAddress(value: unknown, path: string): asserts value is string {
  if (typeof value !== 'string' || isIP(value) === 0) throw invalidArgument(path, 'an IPv4 or IPv6 address', value)
}

/** @param least 1, or 0 where the kernel may choose */
export function checkPort(value: unknown, path: string, least: 0 | 1): asserts value is number {
  if (!Number.isInteger(value) || (value as number) < least || (value as number) > 65_535) {
    throw invalidArgument(path, `a UDP port from ${least} to 65535`, value)
  }
}

export function formatEndpoint({ address, port }: { address: string; port: number }): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}

/** Opens a port in a namespace. What the signal comes too late for is closed again. */
export async function openPort<T extends { port: { close(): Promise<void> } }>(
  what: string,
  options: { netns?: NetnsRef | undefined; signal?: AbortSignal | undefined },
  open: (netns: number) => Promise<T>,
  diagnose: (code: string | undefined, syscall: string) => string | undefined
): Promise<T> {
  const { netns, signal } = options
  signal?.throwIfAborted()
  try {
    const opened = await withNetns(netns, open)
    if (signal?.aborted) {
      await opened.port.close()
      signal.throwIfAborted()
    }
    return opened
  } catch (error) {
    const { code, syscall = '' } = error as { code?: string; syscall?: string }
    throw nativeError(error, { link: what, diagnosis: diagnose(code, syscall) })
  }
}
