/** Checks of options, one for each. */
import { invalidArgument } from '../errors.js'
import { Netlink } from '../link/netlink.js'
import { checkKeys } from '../options.js'

/** Throws for a value that is wrong; a result is ignored. */
export type Check = (value: unknown, path: string) => unknown

type Checks = Readonly<Record<string, Check>>

/** The names in each set of checks. */
const known = new WeakMap<Checks, ReadonlySet<string>>()

function keysOf(checks: Checks): ReadonlySet<string> {
  let keys = known.get(checks)
  if (!keys) {
    keys = new Set(Object.keys(checks))
    known.set(checks, keys)
  }
  return keys
}

/** Checks what is given, and that there is nothing else. */
export function checkOptions(options: object, checks: Checks, path?: string): void {
  checkKeys(options, keysOf(checks))
  for (const [key, value] of Object.entries(options)) {
    if (value !== undefined) checks[key]?.(value, path === undefined ? key : `${path}.${key}`)
  }
}

function expecting(expected: string, holds: (value: unknown) => boolean): Check {
  return (value, path) => {
    if (!holds(value)) throw invalidArgument(path, expected, value)
  }
}

function integer(min: number, max: number, expected: string): Check {
  return expecting(expected, value => Number.isInteger(value) && (value as number) >= min && (value as number) <= max)
}

/** Longest classic BPF program (BPF_MAXINSNS of 8 bytes). */
const LONGEST_FILTER = 4096 * 8

export const boolean = expecting('true or false', value => typeof value === 'boolean')
export const object = expecting('an object', value => typeof value === 'object' && value !== null)
export const signal = expecting('an AbortSignal', value => value instanceof AbortSignal)
export const netlink = expecting('an open Netlink', value => value instanceof Netlink)
export const ifindex = integer(1, 0x7fffffff, 'an ifindex')
export const identity = integer(0, 0xfffffffe, 'a numeric id')
export const mode = integer(0, 0o7777, 'permissions from 0 to 0o7777')
export const descriptor = integer(0, 0x7fffffff, 'an open descriptor')
export const sndbuf = integer(1, 0x7fffffff, 'a number of bytes from 1 to 2147483647')
export const vnetHeaderSize = integer(10, 64, 'a size from 10 to 64 bytes')
export const bpf = expecting(
  'a Uint8Array of 1 to 4096 instructions of 8 bytes',
  value => value instanceof Uint8Array && value.length > 0 && value.length % 8 === 0 && value.length <= LONGEST_FILTER
)
export const names = expecting(
  'an array of names',
  value => Array.isArray(value) && value.every(name => typeof name === 'string' && name !== '')
)

/** The namespace is looked at when it is opened; here, that it is said once. */
export function onePlace({ netns, net }: { netns?: unknown; net?: Netlink | undefined }): void {
  if (netns !== undefined && net) throw invalidArgument('netns', 'nothing beside net, whose namespace it is', netns)
}

export const anything: Check = () => {}
