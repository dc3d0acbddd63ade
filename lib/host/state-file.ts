/** What a later process needs to undo a plan, in a file. */
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync
} from 'node:fs'
import { dirname } from 'node:path'
import { LinkwrightError, nativeError } from '../errors.js'
import { type Restoration, readOutcome } from './guard.js'
import type { HostIdentity } from './host-identity.js'
import type { SavedOperation } from './way-back.js'

/**
 * `applying` and `applied` await confirmation; where the process died meanwhile, the guard has restored and the state is
 * `undone`, unless the guard was killed as well.
 */
export type PlanStatus = 'planned' | 'applying' | 'applied' | 'confirmed' | 'undone' | 'failed'

export interface SavedState {
  readonly version: 1
  readonly status: PlanStatus
  readonly host: HostIdentity
  /** Links that have to be there, as they were called; those that `mayGo` are guests', and may be gone as well. */
  readonly links: readonly { readonly index: number; readonly name: string; readonly mayGo?: boolean }[]
  /** A link that the plan made: nothing else may have come to depend on it. */
  readonly made: readonly number[]
  readonly commands: readonly string[]
  readonly back: readonly SavedOperation[]
}

export const outcomeFileOf = (path: string): string => `${path}.outcome`

/** Replaces the file as a whole, readable for its owner only. */
export function writeState(path: string, state: SavedState): void {
  const draft = `${path}.${process.pid}.new`
  try {
    // Whatever has this name, a link of somebody else's perhaps, is not written to.
    rmSync(draft, { force: true })
    const file = openSync(draft, 'wx', 0o600)
    try {
      writeFileSync(file, `${JSON.stringify(state, null, 2)}\n`)
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
    renameSync(draft, path)
    const folder = openSync(dirname(path), 'r')
    fsyncSync(folder)
    closeSync(folder)
  } catch (error) {
    rmSync(draft, { force: true })
    throw nativeError(error, { link: path })
  }
}

/**
 * @throws LinkwrightError `ENOENT`; `EPERM` or `ELOOP` for a file that somebody else may have written; `ERR_STALE_STATE` for
 * what is no state file of ours
 */
export function readState(path: string): { state: SavedState; restoration: Restoration | undefined } {
  let text: string
  try {
    text = readOwn(path)
  } catch (error) {
    throw nativeError(error, { link: path })
  }
  const state = parsed(text, path)
  // What was written after the guard had ended.
  if (state.status !== 'applying' && state.status !== 'applied') return { state, restoration: undefined }
  const outcome = outcomeIn(outcomeFileOf(path))
  if (outcome?.outcome === 'restored') {
    const status = outcome.restoration.failures.length > 0 ? 'failed' : 'undone'
    return { state: { ...state, status }, restoration: outcome.restoration }
  }
  return { state: outcome ? { ...state, status: 'confirmed' } : state, restoration: undefined }
}

/** What it says is carried out: nobody but this user (or root) may have written it. */
function readOwn(path: string): string {
  const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const found = fstatSync(file)
    const owners = [0, process.geteuid?.()]
    if (found.isFile() && owners.includes(found.uid) && (found.mode & 0o022) === 0) return readFileSync(file, 'utf8')
  } finally {
    closeSync(file)
  }
  throw new LinkwrightError(`EPERM: ${path} is no file of this user alone`, {
    code: 'EPERM',
    link: path,
    diagnosis: 'others could say what is undone'
  })
}

function parsed(text: string, path: string): SavedState {
  try {
    const state = JSON.parse(text) as SavedState
    if (state.version === 1 && Array.isArray(state.back) && state.host) return state
  } catch {
    // Told below.
  }
  throw new LinkwrightError(`${path} is no state file of a plan`, { code: 'ERR_STALE_STATE', path })
}

function outcomeIn(path: string): ReturnType<typeof readOutcome> {
  try {
    return readOutcome(readOwn(path))
  } catch {
    return undefined
  }
}
