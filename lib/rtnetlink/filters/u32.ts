/** Matches bits of a frame: TCA_U32_* of linux/pkt_cls.h, net/sched/cls_u32.c. */
import { attributes } from '../../codec/attributes.js'
import { type Codec, refuse } from '../../codec/codec.js'
import { bitset } from '../../codec/enumeration.js'
import { be16, be32, s16, s32, u8, u16, u32 } from '../../codec/integers.js'
import { bytes, interfaceName } from '../../codec/strings.js'
import { arrayOf, padding, struct } from '../../codec/struct.js'
import { type ActionSettings, actions, actionsFrom, actionsOf } from '../tc-action.js'
import { handle } from '../tc-handle.js'
import { filterKind } from '../tc-kind.js'

declare module '../tc-kind.js' {
  interface FilterKinds {
    u32: typeof u32Filter
  }
}

const selectorHeader = struct('tc_u32_sel', {
  flags: bitset(u8, { terminal: 1, offset: 2, varoffset: 4, eat: 8 }),
  offshift: u8,
  nkeys: u8,
  _pad: padding(1),
  offmask: be16,
  off: u16,
  offoff: s16,
  hoff: s16,
  hmask: be32
})
const key = struct('tc_u32_key', { mask: be32, value: be32, off: s32, offmask: s32 })
const keys = arrayOf(key)
/** The structs, for tests. */
export const u32Structs = { selector: selectorHeader, key }

/** 32 bits at a place counted from the network header, in bytes: -14 is the beginning of an Ethernet frame. */
export interface U32Match {
  value: number
  mask: number
  at: number
}

interface Selector {
  flags?: { terminal?: boolean } | undefined
  keys: U32Match[]
}

const MOST = 128

const selector: Codec<Selector, Selector> = {
  expects: `at most ${MOST} matches { value, mask, at }`,
  write(writer, { flags, keys: given }) {
    if (!Array.isArray(given) || given.length > MOST) refuse(this, given)
    selectorHeader.write(writer, { flags, nkeys: given.length })
    keys.write(
      writer,
      given.map(({ value, mask, at }) => ({ value, mask, off: at }))
    )
  },
  read(data, offset, length) {
    const { flags, nkeys } = selectorHeader.read(data, offset, length)
    const room = Math.max(0, length - selectorHeader.size)
    return {
      flags,
      keys: keys
        .read(data, offset + selectorHeader.size, Math.min(room, nkeys * key.size))
        .map(({ value, mask, off }) => ({ value, mask, at: off }))
    }
  }
}

const options = attributes({
  classid: [1, handle],
  hash: [2, u32],
  link: [3, u32],
  /** Buckets of a table of one's own, instead of a filter. */
  divisor: [4, u32],
  sel: [5, selector],
  police: [6, bytes()],
  act: [7, actions],
  indev: [8, interfaceName],
  /** How often each part matched, where the kernel counts it. */
  pcnt: [9, bytes(), { readOnly: true, volatile: true }],
  mark: [10, struct('tc_u32_mark', { value: u32, mask: u32, success: u32 })],
  flags: [11, bitset(u32, { skipHw: 1, skipSw: 2, inHw: 4, notInHw: 8, verbose: 16 })]
})

export interface U32Settings {
  /** All have to match; everything by default. */
  match?: U32Match[] | undefined
  /** The class that frames go to. */
  classid?: string | number | undefined
  /** The link that frames came in by. */
  indev?: string | undefined
  actions?: ActionSettings[] | undefined
}

export const u32Filter = filterKind<U32Settings, typeof options>({
  name: 'u32',
  options,
  settings: ['match', 'classid', 'indev', 'actions'],
  toOptions: ({ match = [], classid, indev, actions }) => ({
    classid,
    sel: { flags: { terminal: true }, keys: match },
    indev,
    act: actionsFrom(actions)
  }),
  toSettings: ({ classid, sel, indev, act }) => ({
    match: sel?.keys,
    classid,
    indev,
    actions: actionsOf(act)
  })
})
