/** Dummy links; they have no attributes of their own. */
import { linkKind } from '../link-kind.js'

declare module '../link-kind.js' {
  interface LinkKinds {
    dummy: typeof dummy
  }
}

export const dummy = linkKind('dummy', {})
