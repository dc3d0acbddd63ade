/** Matches what expressions (ematch) say, and everything without any: TCA_BASIC_* of linux/pkt_cls.h. */
import { attributes } from '../../codec/attributes.js'
import { bytes } from '../../codec/strings.js'
import { type ActionSettings, actions, actionsFrom, actionsOf } from '../tc-action.js'
import { handle } from '../tc-handle.js'
import { filterKind } from '../tc-kind.js'

declare module '../tc-kind.js' {
  interface FilterKinds {
    basic: typeof basic
  }
}

const options = attributes({
  classid: [1, handle],
  /** TCA_EMATCH_TREE_*, as it is. */
  ematches: [2, bytes()],
  act: [3, actions],
  police: [4, bytes()],
  pcnt: [5, bytes(), { readOnly: true, volatile: true }]
})

export interface BasicSettings {
  /** The class that frames go to. */
  classid?: string | number | undefined
  /** Expressions in the kernel's layout. */
  ematches?: Uint8Array | undefined
  actions?: ActionSettings[] | undefined
}

export const basic = filterKind<BasicSettings, typeof options>({
  name: 'basic',
  options,
  settings: ['classid', 'ematches', 'actions'],
  toOptions: ({ classid, ematches, actions }) => ({ classid, ematches, act: actionsFrom(actions) }),
  toSettings: ({ classid, ematches, act }) => ({ classid, ematches, actions: actionsOf(act) })
})
