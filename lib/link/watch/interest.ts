/** Checks what a watch is asked for. */
import { invalidArgument, LinkwrightError } from '../../errors.js'
import { Cancellation } from '../../netlink/cancellation.js'
import { checkKeys } from '../../options.js'
import { plainRef } from '../references.js'
import type { WatchInterest, WatchOptions } from './events.js'

/** What each sort of object can be narrowed by. */
const NARROWED: Record<keyof WatchInterest, ReadonlySet<string>> = {
  links: new Set(['index', 'name', 'kind', 'master']),
  addresses: new Set(['index']),
  routes: new Set(['table']),
  rules: new Set(),
  neighbours: new Set(['index']),
  fdb: new Set(['index'])
}
const LISTS = Object.keys(NARROWED) as (keyof WatchInterest)[]
const KEYS: ReadonlySet<string> = new Set<keyof WatchOptions>([
  ...LISTS,
  'namespaces',
  'recheck',
  'signal',
  'receiveBuffer'
])

/** What cannot be read of another namespace than the socket's. */
const OWN_ONLY = ['routes', 'rules', 'neighbours', 'fdb'] as const

/** Throws `ERR_INVALID_ARG_VALUE`, or `ERR_UNSUPPORTED` for what the kernel has no request for. */
export function checkWatchOptions(options: WatchOptions): void {
  checkKeys(options, KEYS)
  const { namespaces, recheck, receiveBuffer, signal } = options
  for (const list of LISTS) checkInterest(list, options[list])
  if (!LISTS.some(list => options[list])) throw invalidArgument('links', `one of ${LISTS.join(', ')}`, undefined)
  if (namespaces !== undefined && namespaces !== 'own' && namespaces !== 'all') {
    throw invalidArgument('namespaces', "'own' or 'all'", namespaces)
  }
  const unreadable = namespaces === 'all' && OWN_ONLY.find(list => options[list])
  if (unreadable) {
    const message = `${unreadable}: the kernel does not give them across namespaces; open a watch in each namespace`
    throw new LinkwrightError(message, { code: 'ERR_UNSUPPORTED', path: unreadable })
  }
  if (recheck !== undefined && !(typeof recheck === 'number' && recheck > 0)) {
    throw invalidArgument('recheck', 'milliseconds', recheck)
  }
  if (receiveBuffer !== undefined && !isInteger(receiveBuffer, 1, 0x3fffffff)) {
    throw invalidArgument('receiveBuffer', 'a number of bytes', receiveBuffer)
  }
  // Throws for what is no signal.
  new Cancellation({ signal })
}

function checkInterest(list: keyof WatchInterest, interest: unknown): void {
  if (interest === undefined || typeof interest === 'boolean') return
  if (typeof interest !== 'object' || interest === null || Array.isArray(interest)) {
    throw invalidArgument(list, 'a boolean or an object', interest)
  }
  for (const [key, value] of Object.entries(interest)) {
    if (!NARROWED[list].has(key)) {
      throw invalidArgument(`${list}.${key}`, `one of ${[...NARROWED[list]].join(', ')}`, value)
    }
    if (value !== undefined) checkNarrowing(`${list}.${key}`, key, value)
  }
}

function checkNarrowing(path: string, key: string, value: unknown): void {
  if (key === 'index' && !(Array.isArray(value) && value.every(one => isInteger(one, 1, 0x7fffffff)))) {
    throw invalidArgument(path, 'an array of ifindexes', value)
  }
  if (key === 'name' && !(Array.isArray(value) && value.every(one => typeof one === 'string'))) {
    throw invalidArgument(path, 'an array of names', value)
  }
  if (key === 'kind' && typeof value !== 'string') throw invalidArgument(path, 'a kind of link', value)
  if (key === 'table' && !isInteger(value, 1, 0xffffffff)) throw invalidArgument(path, 'a routing table', value)
  if (key === 'master') plainRef(value as string, path)
}

function isInteger(value: unknown, from: number, to: number): boolean {
  return Number.isInteger(value) && (value as number) >= from && (value as number) <= to
}
