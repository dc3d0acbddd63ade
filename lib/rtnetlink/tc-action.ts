/** Actions of filters: TCA_ACT_* of linux/pkt_cls.h. */
import { type AttributesView, attributes, attributesIn, choice, type In } from '../codec/attributes.js'
import { type Codec, refuse, within } from '../codec/codec.js'
import { enumeration, maskedBits } from '../codec/enumeration.js'
import { s32, u32, u64 } from '../codec/integers.js'
import { bytes, string } from '../codec/strings.js'
import { struct } from '../codec/struct.js'
import { invalidArgument } from '../errors.js'
import { type ActionKinds, actionKinds, type OfKind, optionsOf } from './tc-kind.js'
import { statistics } from './tc-statistics.js'

/** TC_ACT_*: what becomes of a frame. */
export const control = enumeration(
  s32,
  {
    /** The next filter has its say. */
    continue: -1,
    ok: 0,
    reclassify: 1,
    drop: 2,
    /** The next action has its turn. */
    pipe: 3,
    stolen: 4,
    queued: 5,
    repeat: 6,
    redirect: 7,
    trap: 8
  },
  { open: true }
)

/** The beginning of the options of most actions (tc_gen). */
export const general = { index: u32, capab: u32, action: control, refcnt: s32, bindcnt: s32 } as const

/** struct tcf_t, in hundredths of a second. */
export const times = struct('tcf_t', { install: u64, lastuse: u64, expires: u64, firstuse: u64 })

const action = attributes({
  kind: [1, string({ max: 15 })],
  options: [2, choice('kind', kind => actionKinds.find(kind)?.options)],
  /** Of an action that filters share. */
  index: [3, u32],
  stats: [4, statistics, { readOnly: true, volatile: true }],
  cookie: [6, bytes({ max: 16 }), { since: '4.11' }],
  flags: [7, maskedBits(u32, { noPercpuStats: 1, skipHw: 2, skipSw: 4 }), { since: '5.4' }],
  hwStats: [8, maskedBits(u32, { immediate: 1, delayed: 2 }), { since: '5.7' }],
  usedHwStats: [9, maskedBits(u32, { immediate: 1, delayed: 2 }), { readOnly: true, since: '5.7' }],
  inHwCount: [10, u32, { readOnly: true, since: '5.19' }]
})
/** The table of one action, for tests. */
export const actionTable = action.table

export type ActionIn = In<(typeof action)['table']>
export type ActionOut = InstanceType<(typeof action)['View']>

const MOST = 32

/** A row of actions, taken one after the other: nested, numbered from 1. */
export const actions: Codec<ActionIn[], ActionOut[]> = {
  expects: `an array of at most ${MOST} actions`,
  write(writer, given) {
    if (!Array.isArray(given) || given.length > MOST) refuse(this, given)
    for (const [index, one] of given.entries()) {
      within(index, () => writer.attribute(index + 1, () => action.write(writer, one)))
    }
  },
  read(data, offset, length) {
    const found: ActionOut[] = []
    for (const each of attributesIn(data, offset, offset + length))
      found.push(action.read(data, each.offset, each.length))
    return found
  },
  locate(data, start, end, target) {
    for (const { type, offset, length } of attributesIn(data, start, end)) {
      if (target >= offset + length) continue
      const inside = action.locate(data, offset, offset + length, target)
      return inside && { ...inside, path: [`[${type - 1}]`, ...inside.path] }
    }
    return undefined
  }
}

/** What an action is and does, as settings. */
export function actionSettings(view: ActionOut): object {
  const kind = actionKinds.find(view.kind)
  const options = view.options as AttributesView | Uint8Array | undefined
  return {
    kind: view.kind,
    ...(kind && options ? kind.toSettings(options as never) : {})
  }
}

/** One of the actions of a filter: its kind, and the kind's settings beside it. */
export type ActionSettings = OfKind<ActionKinds>

/** Actions as the kernel takes them. */
export function actionsFrom(given: readonly ActionSettings[] | undefined): ActionIn[] | undefined {
  if (given === undefined) return undefined
  if (!Array.isArray(given)) throw invalidArgument('actions', 'an array of actions', given)
  return given.map(({ kind, ...settings }, index) => {
    const found = actionKinds.find(kind)
    if (!found) throw invalidArgument(`actions[${index}].kind`, `one of ${actionKinds.names.join(', ')}`, kind)
    let options: object | undefined
    within(`actions[${index}]`, () => {
      options = optionsOf(found, settings)
    })
    return { kind, options }
  })
}

/** Actions as they were read, as settings. */
export function actionsOf(views: readonly ActionOut[] | undefined): ActionSettings[] {
  return (views ?? []).map(view => actionSettings(view) as ActionSettings)
}
