/** Ifb links; they have no attributes of their own. */
import { linkKind } from '../link-kind.js'

declare module '../link-kind.js' {
  interface LinkKinds {
    ifb: typeof ifb
  }
}

export const ifb = linkKind('ifb', {})
