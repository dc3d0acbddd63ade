/** What comes in: a place for filters, before anything else sees the frames. net/sched/sch_ingress.c */
import { qdiscKind } from '../tc-kind.js'

declare module '../tc-kind.js' {
  interface QdiscKinds {
    ingress: typeof ingress
  }
}

export const ingress = qdiscKind<object, never>({
  name: 'ingress',
  settings: [],
  toOptions: () => undefined,
  toSettings: () => ({})
})
