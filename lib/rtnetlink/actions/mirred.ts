/** Sends frames, or copies of them, to another link: TCA_MIRRED_* of linux/tc_act/tc_mirred.h. */
import { attributes } from '../../codec/attributes.js'
import { enumeration } from '../../codec/enumeration.js'
import { s32, u32 } from '../../codec/integers.js'
import { struct } from '../../codec/struct.js'
import { invalidArgument } from '../../errors.js'
import { general, times } from '../tc-action.js'
import { actionKind } from '../tc-kind.js'

declare module '../tc-kind.js' {
  interface ActionKinds {
    mirred: typeof mirred
  }
}

const eaction = enumeration(s32, { egressRedirect: 1, egressMirror: 2, ingressRedirect: 3, ingressMirror: 4 })

const options = attributes({
  tm: [1, times, { readOnly: true, volatile: true }],
  parms: [2, struct('tc_mirred', { ...general, eaction, ifindex: u32 })],
  /** The links of a block of filters, instead of one. */
  blockid: [4, u32, { since: '6.8' }]
})

export interface MirredSettings {
  /** Whether the frame itself goes there, or a copy. */
  to: 'redirect' | 'mirror'
  /** Whether the link sends it, or has received it; `egress` by default. */
  direction?: 'egress' | 'ingress' | undefined
  /** The link: verbs take a name as well. */
  dev: number | string | { readonly index: number }
}

export const mirred = actionKind<MirredSettings, typeof options>({
  name: 'mirred',
  options,
  settings: ['to', 'direction', 'dev'],
  toOptions({ to, direction = 'egress', dev }) {
    const word = { redirect: 'Redirect', mirror: 'Mirror' }[to]
    if (word === undefined) throw invalidArgument('to', "'redirect' or 'mirror'", to)
    if (typeof dev !== 'number') throw invalidArgument('dev', 'a link', dev)
    // A mirrored frame goes its way; of a redirected one nothing is left.
    return { parms: { action: to === 'mirror' ? 'pipe' : 'stolen', eaction: `${direction}${word}`, ifindex: dev } }
  },
  toSettings({ parms }) {
    const [, direction, to] = /^(egress|ingress)(\w+)$/.exec(String(parms?.eaction)) ?? []
    return {
      to: to?.toLowerCase() as 'redirect' | 'mirror',
      direction: direction as 'egress' | 'ingress',
      dev: parms?.ifindex ?? 0
    }
  }
})
