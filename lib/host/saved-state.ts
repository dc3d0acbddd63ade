/** What a state file has. */
import { LinkwrightError } from '../errors.js'
import type { HostIdentity } from './host-identity.js'
import type { ProcessIdentity } from './process-identity.js'
import type { SavedOperation } from './way-back.js'

/**
 * `applying` and `applied` await confirmation; where the process died meanwhile, the guard has restored and the state is
 * `undone`, unless the guard was killed as well.
 */
export type PlanStatus = 'planned' | 'applying' | 'applied' | 'confirmed' | 'undone' | 'failed'

export interface SavedLink {
  readonly index: number
  readonly name: string
  /** It may be gone by then. */
  readonly mayGo?: boolean | undefined
}

export interface SavedState {
  readonly version: 1
  readonly status: PlanStatus
  readonly host: HostIdentity
  /** Who undoes it unless it is confirmed: the process that applies it, and its guard. */
  readonly keepers: readonly ProcessIdentity[]
  /** Links that have to be there, as they were called. */
  readonly links: readonly SavedLink[]
  /** A link that the plan made: nothing else may have come to depend on it. */
  readonly made: readonly number[]
  readonly commands: readonly string[]
  readonly back: readonly SavedOperation[]
}

/** Whether it is still open if it stays. */
export const isOpen = ({ status }: SavedState): boolean => status === 'applying' || status === 'applied'

/** @throws LinkwrightError `ERR_STALE_STATE` for what is no state of ours */
export function parseState(text: string, path: string): SavedState {
  try {
    const state: unknown = JSON.parse(text)
    if (isState(state)) return state as unknown as SavedState
  } catch {
    // Told below.
  }
  throw new LinkwrightError(`${path} is no state file of a plan`, { code: 'ERR_STALE_STATE', path })
}

type Fields = Record<string, unknown>

const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null
const isText = (value: unknown): value is string => typeof value === 'string'
const isNumber = (value: unknown): value is number => Number.isInteger(value)
const isOptional = (value: unknown, is: (value: unknown) => boolean) => value === undefined || is(value)
const listOf = (value: unknown, is: (value: unknown) => boolean) => Array.isArray(value) && value.every(is)

const STATUSES = new Set<unknown>(['applying', 'applied', 'confirmed', 'undone', 'failed'])

function isState(state: unknown): boolean {
  return (
    isFields(state) &&
    state.version === 1 &&
    STATUSES.has(state.status) &&
    isFields(state.host) &&
    listOf(state.keepers, each => isFields(each) && isNumber(each.pid) && isNumber(each.startTime)) &&
    listOf(state.links, each => isFields(each) && isNumber(each.index) && isText(each.name)) &&
    listOf(state.made, isNumber) &&
    listOf(state.commands, isText) &&
    listOf(state.back, isOperation)
  )
}

function isOperation(value: unknown): boolean {
  if (!isFields(value) || !isText(value.command)) return false
  const isFlag = (flag: unknown) => isOptional(flag, each => typeof each === 'boolean')
  if (!isFlag(value.bestEffort) || !isOptional(value.settled, each => listOf(each, isNumber))) return false
  switch (value.op) {
    case 'netlink':
      return isNumber(value.protocol) && isText(value.requests) && isFlag(value.atomic)
    case 'write':
      // Nothing else is written by any step.
      return isText(value.path) && /^\/proc\/sys\/(?!.*\/\.\.?\/)/.test(value.path) && isText(value.content)
    case 'signal':
      return isNumber(value.pid) && isNumber(value.startTime) && isNumber(value.signal)
    case 'stop':
      return isText(value.program) && isText(value.argument) && isNumber(value.milliseconds)
    case 'remove':
      return isText(value.path)
    case 'await':
      return isNumber(value.index) && isNumber(value.milliseconds)
    case 'awaitLocal':
      return isNumber(value.index) && isNumber(value.count) && isNumber(value.milliseconds)
    default:
      return false
  }
}
