/** Macvtap links. Their mode is always asked for: what the kernel takes by itself (vepa) is rarely meant. */
import { linkKind } from '../link-kind.js'
import { completeSources, macvlanData } from '../macvlan-data.js'

declare module '../link-kind.js' {
  interface LinkKinds {
    macvtap: typeof macvtap
  }
}

export const macvtap = linkKind('macvtap', macvlanData, { required: ['mode'], lower: true, complete: completeSources })
