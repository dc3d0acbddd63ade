/** Traffic control: `struct tcmsg` and TCA_* of linux/rtnetlink.h, for qdiscs, classes and filters. */
import { attributes, choice } from '../codec/attributes.js'
import type { AnyCodec, Codec } from '../codec/codec.js'
import { hostLittleEndian } from '../codec/endian.js'
import { enumeration, maskedBits } from '../codec/enumeration.js'
import { be16, flag, s8, s16, s32, u8, u16, u32 } from '../codec/integers.js'
import { message } from '../codec/message.js'
import { bytes, string } from '../codec/strings.js'
import { padding, struct } from '../codec/struct.js'
import { filterHandle, filterParent, handle, qdiscParent, type TcHandle } from './tc-handle.js'
import { classKinds, filterKinds, qdiscKinds, type TcKind } from './tc-kind.js'
import { statistics } from './tc-statistics.js'

const before = { family: u8, _pad1: padding(1), _pad2: padding(2), index: s32 }

type HandleCodec = Codec<TcHandle, string> & { readonly size: 4 }
const head: { handle: HandleCodec; parent: HandleCodec } = { handle, parent: qdiscParent }

/** `refcount` is how many queues and classes a qdisc serves. */
const qdiscHeader = struct('tcmsg', { ...before, ...head, refcount: u32 })
/** `leaf` is the qdisc of the class. */
const classHeader = struct('tcmsg', { ...before, ...head, leaf: handle })
/** ETH_P_* of linux/if_ether.h: which frames a filter sees, by tc's names. */
export const filterProtocol = enumeration(
  be16,
  { all: 0x0003, ip: 0x0800, arp: 0x0806, '802.1Q': 0x8100, ipv6: 0x86dd, '802.1ad': 0x88a8 },
  { open: true }
)

/** tcm_info has the priority in its upper half, and the EtherType as it is in a frame in the lower. */
const info = hostLittleEndian
  ? { protocol: filterProtocol, priority: u16 }
  : { priority: u16, protocol: filterProtocol }
const filterHeader = struct('tcmsg', {
  ...before,
  handle: filterHandle,
  parent: filterParent as HandleCodec,
  ...(info as { protocol: typeof filterProtocol; priority: typeof u16 })
})

/** TCA_STAB: how the sizes of frames are reckoned. */
const sizeTable = attributes({
  base: [
    1,
    struct('tc_sizespec', {
      cellLog: u8,
      sizeLog: u8,
      cellAlign: s16,
      overhead: s32,
      linklayer: u32,
      mpu: u32,
      mtu: u32,
      tsize: u32
    })
  ],
  data: [2, bytes()]
})

function table(find: (kind: string) => TcKind | undefined) {
  return {
    kind: [1, string({ max: 15 })],
    /** By kind; bytes for one that is not known here. */
    options: [2, choice('kind', kind => find(kind)?.options)],
    /** Superseded by stats2. */
    stats: [3, bytes(), { readOnly: true, volatile: true }],
    /** What only this kind counts. */
    xstats: [
      4,
      choice('kind', kind => find(kind)?.statistics as AnyCodec | undefined),
      { readOnly: true, volatile: true }
    ],
    /** struct tc_estimator */
    rate: [5, struct('tc_estimator', { interval: s8, ewmaLog: u8 })],
    fcnt: [6, u32, { readOnly: true }],
    stats2: [7, statistics, { readOnly: true, volatile: true }],
    stab: [8, sizeTable],
    /** Asks for qdiscs that are not listed otherwise. */
    dumpInvisible: [10, flag, { writeOnly: true, since: '4.11' }],
    /** The chain of a filter. */
    chain: [11, u32, { since: '4.13' }],
    hwOffload: [12, u8, { readOnly: true, since: '4.16' }],
    ingressBlock: [13, u32, { since: '4.16' }],
    egressBlock: [14, u32, { since: '4.16' }],
    dumpFlags: [15, maskedBits(u32, { terse: 1 }), { writeOnly: true, since: '5.8' }],
    extWarnMsg: [16, string(), { readOnly: true, since: '6.3' }]
  } as const
}

export const qdiscMessage = message(
  qdiscHeader,
  table(kind => qdiscKinds.find(kind))
)
/** The kind of a class is that of its qdisc. */
export const classMessage = message(
  classHeader,
  table(kind => classKinds.find(kind))
)
export const filterMessage = message(
  filterHeader,
  table(kind => filterKinds.find(kind))
)
