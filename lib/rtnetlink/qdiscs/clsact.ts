/** What comes in and what goes out: two places for filters. net/sched/sch_ingress.c */
import { qdiscKind } from '../tc-kind.js'

declare module '../tc-kind.js' {
  interface QdiscKinds {
    clsact: typeof clsact
  }
}

export const clsact = qdiscKind<object, never>({
  name: 'clsact',
  settings: [],
  toOptions: () => undefined,
  toSettings: () => ({})
})
