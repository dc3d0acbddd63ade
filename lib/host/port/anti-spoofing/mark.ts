/**
 * Telling one life of an ifindex from the next. The kernel counts ifindexes up, but gives out one that is free when it is
 * asked for it (`IFLA_INDEX`, TUNSETIFINDEX). So a port gets an alternative name that nobody else has: it goes with the
 * link, stays when that is renamed, and the ruleset knows it.
 */
import { randomBytes } from 'node:crypto'
import type { Link } from '../../../link/link.js'

const PREFIX = 'linkwright-port-'
const BYTES = 8

export function newMark(): string {
  return PREFIX + randomBytes(BYTES).toString('hex')
}

/** One, or several where two managers said something of a port at the same time. */
export function marksOf({ altnames }: Link): string[] {
  return altnames.filter(name => name.startsWith(PREFIX))
}
