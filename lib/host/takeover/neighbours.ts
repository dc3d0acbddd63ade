/** Neighbours that somebody set by hand, and those answered for (proxies). */
import { constants } from 'node:os'
import { hostLittleEndian } from '../../codec/endian.js'
import type { Neighbour } from '../../link/neighbours.js'
import { NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE } from '../../netlink/constants.js'
import { neighbourMessage } from '../../rtnetlink/neighbour.js'
import { requestOf, type Told, toldBy, viewOf } from '../rewriting.js'
import type { Change } from '../step.js'
import type { Target } from './addresses.js'

const { EEXIST, ENOENT, ENODEV, ENXIO } = constants.errno

/** NDA_*: what only tells, counts or ages. */
const TOLD_ONLY = new Set([3, 4, 10])
/** NUD_STALE, NTF_ROUTER; struct ndmsg has the state at 8, the flags at 10. */
const STALE = 0x04
const ROUTER = 0x80

export function isStatic({ state, flags }: Neighbour): boolean {
  return Boolean(flags.proxy) || Boolean(state.permanent) || Boolean(flags.extLearned)
}

/** Whether the kernel knows where to send to: the link that takes over need not ask again. */
export function isKnown({ state, lladdr }: Neighbour): boolean {
  return lladdr !== undefined && Boolean(state.reachable || state.stale || state.delay || state.probe)
}

/**
 * A neighbour that is taken for what it was (NUD_STALE): used at once, and asked after a while. Without, the answer to the
 * first question may come by the other link, and the next is asked a second later.
 */
export function seedingNeighbour(neighbour: Neighbour, to: Target): Change {
  const { header, attributes } = told(neighbour, to)
  viewOf(header).setUint16(8, STALE, hostLittleEndian)
  header[10] = (header[10] ?? 0) & ROUTER
  const flags = NLM_F_CREATE | NLM_F_REPLACE
  const request = requestOf('RTM_NEWNEIGH', flags, { header, attributes }, about(neighbour, to))
  const command = `ip neighbour replace ${neighbour.dst} lladdr ${neighbour.lladdr} dev ${to.name} nud stale`
  return { request, command, settled: [] }
}

export function addingNeighbour(neighbour: Neighbour, to: Target): Change {
  const request = requestOf('RTM_NEWNEIGH', NLM_F_CREATE | NLM_F_EXCL, told(neighbour, to), about(neighbour, to))
  return { request, command: `ip neighbour add ${words(neighbour, to)}`, settled: [EEXIST] }
}

export function removingNeighbour(neighbour: Neighbour, from: Target): Change {
  const request = requestOf('RTM_DELNEIGH', 0, told(neighbour, from), about(neighbour, from))
  return { request, command: `ip neighbour del ${words(neighbour, from)}`, settled: [ENOENT, ENODEV, ENXIO] }
}

const about = ({ dst }: Neighbour, { name }: Target) => `${dst} on ${name}`

/** struct ndmsg has the index at 4. */
function told(neighbour: Neighbour, { index }: Target): Told {
  const { header, attributes } = toldBy(neighbour, neighbourMessage.headerLength)
  const copy = header.slice()
  viewOf(copy).setInt32(4, index, hostLittleEndian)
  return { header: copy, attributes: attributes.filter(({ type }) => !TOLD_ONLY.has(type)) }
}

function words({ dst, lladdr, flags, state }: Neighbour, { name }: Target): string {
  if (flags.proxy) return `proxy ${dst} dev ${name}`
  return [
    dst,
    ...(lladdr ? ['lladdr', lladdr] : []),
    'dev',
    name,
    'nud',
    state.permanent ? 'permanent' : 'stale',
    ...(flags.router ? ['router'] : []),
    ...(flags.extLearned ? ['extern_learn'] : [])
  ].join(' ')
}
