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
import { isRunning } from './process-identity.js'
import { isOpen, parseState, type SavedState } from './saved-state.js'

export const outcomeFileOf = (path: string): string => `${path}.outcome`

/** What the guard said of a plan that the file was of before. */
export function removeOutcome(path: string): void {
  rmSync(outcomeFileOf(path), { force: true })
}

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
  const state = parseState(text, path)
  // What was written after the guard had ended.
  if (!isOpen(state)) return { state, restoration: undefined }
  const outcome = outcomeIn(outcomeFileOf(path))
  if (outcome?.outcome === 'restored') {
    const status = outcome.restoration.failures.length > 0 ? 'failed' : 'undone'
    return { state: { ...state, status }, restoration: outcome.restoration }
  }
  return { state: outcome ? { ...state, status: 'confirmed' } : state, restoration: undefined }
}

/**
 * Somebody who still looks after the plan, and would undo it or confirm it, must not be anticipated.
 *
 * @throws LinkwrightError `EBUSY` with the process
 */
export function assertNotKept(state: SavedState, path: string): void {
  const keeper = isOpen(state) ? state.keepers.find(isRunning) : undefined
  if (!keeper) return
  throw new LinkwrightError(`EBUSY: process ${keeper.pid} is at the plan of ${path}`, {
    code: 'EBUSY',
    link: path,
    diagnosis: 'it confirms the plan, or it is undone when the process ends'
  })
}

/** Before a file is replaced. @throws LinkwrightError `EBUSY`, see {@link assertNotKept} */
export function assertNotInUse(path: string): void {
  let found: SavedState
  try {
    found = readState(path).state
  } catch {
    // None, or nobody's who could have been told to keep it.
    return
  }
  assertNotKept(found, path)
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

function outcomeIn(path: string): ReturnType<typeof readOutcome> {
  try {
    return readOutcome(readOwn(path))
  } catch {
    return undefined
  }
}
