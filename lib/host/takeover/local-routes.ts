/**
 * The local routes of IPv6 addresses: the kernel makes them in a work queue (addrconf_dad_work), for addresses without a
 * detection of duplicates as well. Until then nothing that comes for the address is taken, unless another link has it too.
 */
import { setTimeout } from 'node:timers/promises'
import type { Address } from '../../link/addresses.js'
import type { Netlink } from '../../link/netlink.js'
import type { Operation } from '../way-back.js'
import type { Target } from './addresses.js'

const LOCAL = 255
/** Milliseconds. */
const PATIENCE = 2000
const PAUSE = 5

const countOf = (addresses: readonly Address[]): number => addresses.filter(({ family }) => family === 'inet6').length

/** Resolves when the link takes what comes for the addresses, or after a while. */
export async function becomeLocal(net: Netlink, { index }: Target, addresses: readonly Address[]): Promise<void> {
  const count = countOf(addresses)
  for (let waited = 0; count > 0 && waited < PATIENCE; waited += PAUSE) {
    const routes = await net.routes.list({ family: 'inet6', table: LOCAL })
    if (routes.filter(({ type, oif }) => type === 'local' && oif === index).length >= count) return
    await setTimeout(PAUSE)
  }
}

export function awaitLocal({ index, name }: Target, addresses: readonly Address[]): Operation[] {
  const count = countOf(addresses)
  if (count === 0) return []
  const command = `until [ $(ip -6 route show table local type local dev ${name} | wc -l) -ge ${count} ]; do sleep 0.01; done`
  return [{ op: 'awaitLocal', index, count, milliseconds: PATIENCE, command, bestEffort: true }]
}
