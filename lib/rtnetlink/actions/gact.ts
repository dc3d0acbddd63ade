/** Generic actions: drop, let pass, go on. TCA_GACT_* of linux/tc_act/tc_gact.h. */
import { attributes } from '../../codec/attributes.js'
import type { InOf } from '../../codec/codec.js'
import { enumeration } from '../../codec/enumeration.js'
import { u16 } from '../../codec/integers.js'
import { struct } from '../../codec/struct.js'
import { control, general, times } from '../tc-action.js'
import { actionKind } from '../tc-kind.js'

declare module '../tc-kind.js' {
  interface ActionKinds {
    gact: typeof gact
  }
}

const options = attributes({
  tm: [1, times, { readOnly: true, volatile: true }],
  parms: [2, struct('tc_gact', general)],
  /** Another fate for some of the frames. */
  prob: [
    3,
    struct('tc_gact_p', { ptype: enumeration(u16, { none: 0, netrand: 1, determ: 2 }), pval: u16, paction: control })
  ]
})

export interface GactSettings {
  /** What becomes of the frame. */
  control: InOf<typeof control>
}

export const gact = actionKind<GactSettings, typeof options>({
  name: 'gact',
  options,
  settings: ['control'],
  toOptions: ({ control }) => ({ parms: { action: control } }),
  toSettings: ({ parms }) => ({ control: parms?.action as InOf<typeof control> })
})
