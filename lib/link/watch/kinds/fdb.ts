/** Forwarding entries as they are watched. */
import { NLM_F_DUMP } from '../../../netlink/constants.js'
import { encodeRequest } from '../../../netlink/request.js'
import { neighbourMessage } from '../../../rtnetlink/neighbour.js'
import { RTM } from '../../../rtnetlink/verbs.js'
import { FdbEntry } from '../../fdb.js'
import type { IndexInterest } from '../events.js'
import { indexTest, type Kind } from '../kind.js'
import { AGEING, sameNeighbour } from './neighbours.js'

/** A bridge has one entry an address and VLAN, which may move between its ports; a VXLAN has one a destination. */
export function fdbKey(it: FdbEntry): string {
  const where = it.master === undefined ? `self ${it.index}` : `master ${it.master}`
  const how = [it.dst, it.port, it.vni, it.srcVni, it.ifindex, it.nhId]
  return `${where} ${it.lladdr} ${it.vlan ?? 0}${it.master === undefined ? ` ${how.join(' ')}` : ''}`
}

export function watchedFdb(interest: IndexInterest): Kind<FdbEntry> {
  const hasIndex = indexTest(interest.index)
  const dump = (index: number | undefined) =>
    encodeRequest(
      'RTM_GETNEIGH',
      RTM.RTM_GETNEIGH,
      neighbourMessage,
      { family: 'bridge', index },
      { flags: NLM_F_DUMP }
    )
  return {
    object: 'fdb',
    list: 'fdb',
    headerLength: neighbourMessage.headerLength,
    view: message => new FdbEntry(message),
    key: fdbKey,
    scope: it => String(it.index),
    same: (a, b) => sameNeighbour(a, b, AGEING),
    wanted: it => hasIndex(it.index),
    readAll: () => [dump(undefined)],
    read: scope => [dump(Number(scope))]
  }
}
