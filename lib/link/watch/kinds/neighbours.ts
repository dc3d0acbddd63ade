/** Neighbours as they are watched. */
import type { AttributesView } from '../../../codec/attributes.js'
import { viewBytes } from '../../../codec/attributes.js'
import { hostLittleEndian } from '../../../codec/endian.js'
import { sameApartFromVolatile } from '../../../codec/volatile.js'
import { NLM_F_DUMP } from '../../../netlink/constants.js'
import { encodeRequest } from '../../../netlink/request.js'
import { neighbourMessage } from '../../../rtnetlink/neighbour.js'
import { RTM } from '../../../rtnetlink/verbs.js'
import { Neighbour } from '../../neighbours.js'
import type { IndexInterest } from '../events.js'
import { indexTest, type Kind } from '../kind.js'

/** NUD_* */
const INCOMPLETE = 0x01
const REACHABLE = 0x02
const STALE = 0x04
const DELAY = 0x08
const FAILED = 0x20
const NOARP = 0x40

export function watchedNeighbours(interest: IndexInterest): Kind<Neighbour> {
  const hasIndex = indexTest(interest.index)
  const dump = (family: 'inet' | 'inet6', ifindex: number | undefined) =>
    encodeRequest('RTM_GETNEIGH', RTM.RTM_GETNEIGH, neighbourMessage, { family, ifindex }, { flags: NLM_F_DUMP })
  const both = (ifindex: number | undefined) => [dump('inet', ifindex), dump('inet6', ifindex)]
  return {
    object: 'neighbour',
    list: 'neighbours',
    headerLength: neighbourMessage.headerLength,
    view: message => new Neighbour(message),
    key: it => `${it.index} ${it.dst}`,
    scope: it => String(it.index),
    same: (a, b) => sameNeighbour(a, b, UNANNOUNCED),
    wanted: it => hasIndex(it.index) && (stateOf(it) & ~NOARP) !== 0,
    readAll: () => both(undefined),
    read: scope => both(Number(scope))
  }
}

/** States that an entry passes into without a word, and what they are counted as. */
const UNANNOUNCED = new Map([
  [DELAY, STALE],
  [INCOMPLETE, FAILED]
])

/** An entry of a database turns from reachable to stale as it ages, when it is looked at. */
export const AGEING = new Map([[STALE, REACHABLE]])

/** Whether two entries are the same, apart from what changes by itself. */
export function sameNeighbour(a: AttributesView, b: AttributesView, states: ReadonlyMap<number, number>): boolean {
  const one = stateOf(a)
  const other = stateOf(b)
  if ((states.get(one) ?? one) !== (states.get(other) ?? other)) return false
  for (const at of [FAMILY, INDEX, INDEX + 1, INDEX + 2, INDEX + 3, FLAGS, TYPE]) {
    if (headerByte(a, at) !== headerByte(b, at)) return false
  }
  return sameApartFromVolatile(a, b, neighbourMessage.attributes)
}

/** Places in struct ndmsg. */
const [FAMILY, INDEX, STATE, FLAGS, TYPE] = [0, 4, 8, 10, 11]

function headerByte(view: AttributesView, at: number): number {
  const { data, start } = viewBytes(view)
  return data.getUint8(start - neighbourMessage.headerLength + at)
}

function stateOf(view: AttributesView): number {
  const { data, start } = viewBytes(view)
  return data.getUint16(start - neighbourMessage.headerLength + STATE, hostLittleEndian)
}
