/** Drops what exceeds a rate: TCA_POLICE_* of linux/pkt_cls.h, net/sched/act_police.c. */
import { attributes } from '../../codec/attributes.js'
import type { InOf } from '../../codec/codec.js'
import { s32, u32, u64 } from '../../codec/integers.js'
import { bytes } from '../../codec/strings.js'
import { struct } from '../../codec/struct.js'
import { control, times } from '../tc-action.js'
import { actionKind } from '../tc-kind.js'
import { bytesIn, rateFields, ratespec, rateTable, ticksOf } from '../tc-rate.js'
import { bitsOf, type Rate, rateInBytes, type Size, sizeInBytes } from '../tc-units.js'

declare module '../tc-kind.js' {
  interface ActionKinds {
    police: typeof police
  }
}

const options = attributes({
  parms: [
    1,
    struct('tc_police', {
      index: u32,
      action: control,
      limit: u32,
      /** Ticks. */
      burst: u32,
      mtu: u32,
      rate: ratespec,
      peakrate: ratespec,
      refcnt: s32,
      bindcnt: s32,
      capab: u32
    })
  ],
  rate: [2, bytes({ size: 1024 }), { writeOnly: true }],
  peakrate: [3, bytes({ size: 1024 }), { writeOnly: true }],
  avrate: [4, u32],
  /** What becomes of frames that do not exceed it. */
  result: [5, control],
  tm: [6, times, { readOnly: true, volatile: true }],
  rate64: [8, u64, { since: '5.5' }],
  peakrate64: [9, u64, { since: '5.5' }],
  pktrate64: [10, u64, { since: '5.13' }],
  pktburst64: [11, u64, { since: '5.13' }]
})

/** The longest that an offload makes; the kernel's own is 2040, and drops all that is longer. */
const LONGEST = 65_536

export interface PoliceSettings {
  rate: Rate
  /** Bytes that go at once. TCP needs what it sends in a round trip, or gets far less than the rate. */
  burst: Size
  /** Bytes of a frame that are let pass at most; 65536 by default. */
  mtu?: Size | undefined
  /** What becomes of the rest; `drop` by default. */
  exceed?: InOf<typeof control> | undefined
  /** What becomes of frames within the rate; `ok` by default, and nothing after it has a say then. */
  conform?: InOf<typeof control> | undefined
}

export const police = actionKind<PoliceSettings, typeof options>({
  name: 'police',
  options,
  settings: ['rate', 'burst', 'mtu', 'exceed', 'conform'],
  toOptions({ rate, burst, mtu = LONGEST, exceed = 'drop', conform }) {
    const bytes = rateInBytes(rate, 'rate')
    const longest = sizeInBytes(mtu, 'mtu')
    const { spec, rate64 } = rateFields(bytes)
    const { cellLog, table } = rateTable(bytes, longest, 'rate')
    return {
      parms: {
        action: exceed,
        burst: ticksOf(sizeInBytes(burst, 'burst'), bytes, 'burst'),
        mtu: longest,
        rate: { ...spec, cellLog, cellAlign: -1 }
      },
      rate: table,
      result: conform,
      rate64
    }
  },
  toSettings({ parms, rate64, result }) {
    const rate = rate64 ?? BigInt(parms?.rate.rate ?? 0)
    return {
      rate: bitsOf(rate),
      burst: bytesIn(parms?.burst ?? 0, rate),
      mtu: parms?.mtu,
      exceed: parms?.action as InOf<typeof control>,
      ...(result === undefined ? {} : { conform: result as InOf<typeof control> })
    }
  }
})
