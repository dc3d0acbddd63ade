/** Matches everything: TCA_MATCHALL_* of linux/pkt_cls.h, net/sched/cls_matchall.c. */
import { attributes } from '../../codec/attributes.js'
import { bitset } from '../../codec/enumeration.js'
import { u32 } from '../../codec/integers.js'
import { bytes } from '../../codec/strings.js'
import { type ActionSettings, actions, actionsFrom, actionsOf } from '../tc-action.js'
import { handle } from '../tc-handle.js'
import { filterKind } from '../tc-kind.js'

declare module '../tc-kind.js' {
  interface FilterKinds {
    matchall: typeof matchall
  }
}

const options = attributes({
  classid: [1, handle],
  act: [2, actions],
  flags: [3, bitset(u32, { skipHw: 1, skipSw: 2, inHw: 4, notInHw: 8, verbose: 16 })],
  pcnt: [4, bytes(), { readOnly: true, volatile: true }]
})

export interface MatchallSettings {
  /** The class that frames go to. */
  classid?: string | number | undefined
  actions?: ActionSettings[] | undefined
}

export const matchall = filterKind<MatchallSettings, typeof options>({
  name: 'matchall',
  options,
  settings: ['classid', 'actions'],
  toOptions: ({ classid, actions }) => ({ classid, act: actionsFrom(actions) }),
  toSettings: ({ classid, act }) => ({ classid, actions: actionsOf(act) })
})
