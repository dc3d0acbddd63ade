/** First in, first out; it holds so many frames. net/sched/sch_fifo.c */
import { u32 } from '../../codec/integers.js'
import { struct } from '../../codec/struct.js'
import { asTheyAre, qdiscKind } from '../tc-kind.js'

declare module '../tc-kind.js' {
  interface QdiscKinds {
    pfifo: typeof pfifo
  }
}

const options = struct('tc_fifo_qopt', { limit: u32 })

export interface PfifoSettings {
  /** Frames that wait; the link's txqlen by default. */
  limit?: number | undefined
}

export const pfifo = qdiscKind<PfifoSettings, typeof options>({
  ...asTheyAre,
  name: 'pfifo',
  options,
  toOptions: settings => (settings.limit === undefined ? undefined : settings)
})
