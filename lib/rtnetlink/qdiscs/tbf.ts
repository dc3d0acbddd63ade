/** The token bucket filter: TCA_TBF_* of linux/pkt_sched.h, net/sched/sch_tbf.c. */
import { attributes } from '../../codec/attributes.js'
import { u32, u64 } from '../../codec/integers.js'
import { bytes } from '../../codec/strings.js'
import { struct } from '../../codec/struct.js'
import { invalidArgument } from '../../errors.js'
import { qdiscKind } from '../tc-kind.js'
import { bytesIn, rateFields, ratespec, ticksOf } from '../tc-rate.js'
import { bitsOf, type Duration, microseconds, type Rate, rateInBytes, type Size, sizeInBytes } from '../tc-units.js'

declare module '../tc-kind.js' {
  interface QdiscKinds {
    tbf: typeof tbf
  }
}

const options = attributes({
  parms: [
    1,
    struct('tc_tbf_qopt', {
      rate: ratespec,
      peakrate: ratespec,
      /** Bytes that may wait. */
      limit: u32,
      /** Ticks. */
      buffer: u32,
      mtu: u32
    })
  ],
  /** Rate tables, which the kernel does not want any more. */
  rtab: [2, bytes(), { writeOnly: true }],
  ptab: [3, bytes(), { writeOnly: true }],
  /** Bytes per second. */
  rate64: [4, u64],
  prate64: [5, u64],
  /** Bytes; they go before the ticks. */
  burst: [6, u32, { writeOnly: true }],
  pburst: [7, u32, { writeOnly: true }]
})

export interface TbfSettings {
  rate: Rate
  /** Bytes that go at once after a silence. Longer frames are dropped, but those of offloads are cut up. */
  burst: Size
  /** Bytes that may wait; or say `latency`. */
  limit?: Size | undefined
  /** How long a frame may wait. */
  latency?: Duration | undefined
  /** What a burst may go out at; needs `mtu`. */
  peakrate?: Rate | undefined
  /** Bytes that may go beyond the peak rate: at least the longest frame. */
  mtu?: Size | undefined
  overhead?: number | undefined
  mpu?: number | undefined
}

export const tbf = qdiscKind<TbfSettings, typeof options>({
  name: 'tbf',
  options,
  settings: ['rate', 'burst', 'limit', 'latency', 'peakrate', 'mtu', 'overhead', 'mpu'],
  toOptions({ rate, burst, limit, latency, peakrate, mtu, overhead, mpu }) {
    const bytes = rateInBytes(rate, 'rate')
    const size = sizeInBytes(burst, 'burst')
    if (size === 0) throw invalidArgument('burst', 'at least the length of a frame', burst)
    if ((limit === undefined) === (latency === undefined)) {
      throw invalidArgument('limit', 'either limit or latency', limit)
    }
    const own = rateFields(bytes, { overhead, mpu })
    const peak = peakrate === undefined ? undefined : rateInBytes(peakrate, 'peakrate')
    const top = peak === undefined ? undefined : rateFields(peak, { overhead, mpu })
    if (peak !== undefined && mtu === undefined) throw invalidArgument('mtu', 'bytes: a peak rate needs it', mtu)
    const most = mtu === undefined ? 0 : sizeInBytes(mtu, 'mtu')
    return {
      parms: {
        rate: own.spec,
        peakrate: top?.spec,
        limit: limit === undefined ? inTime(bytes, size, latency) : sizeInBytes(limit, 'limit'),
        buffer: ticksOf(size, bytes, 'burst'),
        mtu: peak === undefined ? 0 : ticksOf(most, peak, 'mtu')
      },
      rate64: own.rate64,
      prate64: top?.rate64,
      burst: size,
      pburst: peak === undefined ? undefined : most
    }
  },
  toSettings({ parms, rate64, prate64 }) {
    const rate = rate64 ?? BigInt(parms?.rate.rate ?? 0)
    const peak = prate64 ?? BigInt(parms?.peakrate.rate ?? 0)
    return {
      rate: bitsOf(rate),
      burst: bytesIn(parms?.buffer ?? 0, rate),
      limit: parms?.limit,
      ...(peak ? { peakrate: bitsOf(peak), mtu: bytesIn(parms?.mtu ?? 0, peak) } : {}),
      overhead: parms?.rate.overhead,
      mpu: parms?.rate.mpu
    }
  }
})

/** What goes in a time, and the burst. */
function inTime(rate: bigint, burst: number, latency: Duration | undefined): number {
  const bytes = (rate * BigInt(microseconds(latency ?? 0, 'latency'))) / 1_000_000n + BigInt(burst)
  if (bytes > 0xffffffffn) throw invalidArgument('latency', 'less: 4 GiB wait at most', latency)
  return Number(bytes)
}
