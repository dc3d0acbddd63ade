/** First in, first out; it holds so many bytes. net/sched/sch_fifo.c */
import { u32 } from '../../codec/integers.js'
import { struct } from '../../codec/struct.js'
import { asTheyAre, qdiscKind } from '../tc-kind.js'

declare module '../tc-kind.js' {
  interface QdiscKinds {
    bfifo: typeof bfifo
  }
}

const options = struct('tc_fifo_qopt', { limit: u32 })

export interface BfifoSettings {
  /** Bytes that wait; the link's txqlen times its MTU by default. */
  limit?: number | undefined
}

export const bfifo = qdiscKind<BfifoSettings, typeof options>({
  ...asTheyAre,
  name: 'bfifo',
  options,
  toOptions: settings => (settings.limit === undefined ? undefined : settings)
})
