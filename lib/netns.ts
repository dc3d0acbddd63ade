/** Network namespaces, and how to name one. */
import { closeSync, constants, openSync } from 'node:fs'
import { invalidArgument, nativeError } from './errors.js'

/**
 * A network namespace: a name of `ip netns`, a path (`/proc/812/ns/net`), a process id, an open descriptor, or
 * `{ new: true }` for one that is made for the purpose and lives as long as what was opened in it.
 */
export type NetnsRef = string | number | { readonly fd: number } | { readonly new: true }

/** The addon's marks for "the process's own" and "a new one". */
const OWN = -1
const NEW = -2

/** An open namespace. `close` leaves a descriptor that the caller gave alone. */
export interface OpenNetns extends Disposable {
  readonly fd: number
  close(): void
}

/**
 * Opens an existing namespace.
 * Throws `ENOENT` for one that does not exist and `ERR_INVALID_ARG_VALUE` for something else.
 */
export function openNetns(ref: NetnsRef): OpenNetns {
  if (typeof ref === 'object' && ref !== null && 'fd' in ref && Number.isInteger(ref.fd) && ref.fd >= 0) {
    return disposable(ref.fd, () => {})
  }
  const path = pathOf(ref)
  try {
    const fd = openSync(path, constants.O_RDONLY)
    return disposable(fd, () => closeSync(fd))
  } catch (error) {
    throw nativeError(error, {
      link: path,
      diagnosis:
        (error as { code?: string }).code === 'ENOENT' ? `no such network namespace: ${describe(ref)}` : undefined
    })
  }
}

/** Hands a descriptor of the namespace, or a mark for it, to `use`, which must not keep it. */
export function withNetns<T>(ref: NetnsRef | undefined, use: (fd: number) => T): T {
  if (ref === undefined) return use(OWN)
  if (typeof ref === 'object' && ref !== null && 'new' in ref && ref.new === true) return use(NEW)
  using netns = openNetns(ref)
  return use(netns.fd)
}

function disposable(fd: number, close: () => void): OpenNetns {
  return { fd, close, [Symbol.dispose]: close }
}

function pathOf(ref: NetnsRef): string {
  if (typeof ref === 'number' && Number.isInteger(ref) && ref > 0) return `/proc/${ref}/ns/net`
  if (typeof ref === 'string' && ref.includes('/')) return ref
  if (typeof ref === 'string' && ref !== '' && ref !== '.' && ref !== '..') return `/run/netns/${ref}`
  throw invalidArgument('netns', 'a name, a path, a process id or { fd } (or, to open a socket, { new: true })', ref)
}

function describe(ref: NetnsRef): string {
  return typeof ref === 'number' ? `process ${ref}` : String(ref)
}
