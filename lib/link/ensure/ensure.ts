/** Making links what they shall be: read, plan, carry out, and look again, until nothing is left to do. */
import { setTimeout } from 'node:timers/promises'
import { amend, LinkwrightError } from '../../errors.js'
import { Cancellation } from '../../netlink/cancellation.js'
import { Link } from '../link.js'
import { listRequest } from '../link-requests.js'
import { Execution } from './execution.js'
import { type EnsureContext, Journal } from './journal.js'
import { type EnsureLink, type EnsureOptions, policyOf } from './options.js'
import { EnsurePlan } from './plan.js'
import { planMoves } from './planning.js'
import { Snapshot } from './snapshot.js'
import { type Move, type Moves, movesIn } from './steps.js'
import { wantedLinks } from './wanted.js'

/** Looks at the links until they stay as they were made. */
const ROUNDS = 12
/** How often the same may fail, or be undone by somebody, before it is an error. */
const TIMES = 3
/** Milliseconds to wait for others, growing with each round that failed. */
const WAIT = 5

/** Failures that the next look may explain: others created, removed or changed something meanwhile. */
const OVERTAKEN = new Set([
  'EEXIST',
  'ENODEV',
  'ENOENT',
  'EBUSY',
  'EINVAL',
  'EADDRINUSE',
  'EOPNOTSUPP',
  'ENETDOWN',
  'ENOTCONN',
  'ELOOP',
  'ENXIO',
  'ERR_NOT_APPLIED'
])

export async function ensureLinks(
  context: EnsureContext,
  specs: Iterable<EnsureLink>,
  options: EnsureOptions
): Promise<EnsurePlan> {
  const policy = policyOf(options)
  const wanted = wantedLinks(specs, policy.owner)
  const cancel = new Cancellation(options)
  const giveUp = new AbortController()
  const settle = cancel.watch(() => giveUp.abort(cancel.givenUp?.reason))
  const { signal } = giveUp
  const journal = new Journal()
  const attempts = new Attempts()
  const done: Moves[] = []
  try {
    cancel.throwIfGivenUp()
    for (let round = 1; ; round++) {
      const links = await context.socket.dumpAs(listRequest({}), payload => new Link(payload), { signal })
      const snapshot = new Snapshot(links)
      const moves = planMoves({ wanted, snapshot, policy })
      if (options.dryRun) return new EnsurePlan([moves])
      if (movesIn(moves).length === 0) return new EnsurePlan(done)
      attempts.checkRepeated(moves)
      if (round > ROUNDS) throw neverSettled(movesIn(moves))
      const { onProgress } = options
      const execution = new Execution(context, journal, moves, { snapshot, owner: policy.owner, signal, onProgress })
      done.push(moves)
      await execution.run()
      if (attempts.note(moves, execution.failures))
        await setTimeout(round * WAIT * (0.5 + Math.random()), undefined, { signal })
    }
  } catch (error) {
    const reason = cancel.givenUp?.reason ?? error
    if (journal.isEmpty) throw reason
    throw explained(reason, await journal.takeBack(context, policy.owner))
  } finally {
    settle()
  }
}

/** What was tried before: tells others in the way from a kernel that does not want to. */
class Attempts {
  readonly #failed = new Map<string, number>()
  readonly #sent = new Map<string, number>()

  /** Throws for a change that was made and is not there, time and again. */
  checkRepeated(moves: Moves): void {
    for (const { step, differences, existing, wanted } of movesIn(moves)) {
      if (step.action !== 'change') continue
      for (const { path, from, to } of differences) {
        if ((this.#sent.get(key(existing?.index, path, from, to)) ?? 0) < TIMES) continue
        const full = `${wanted?.path}.${path}`
        throw new LinkwrightError(
          `${full}: ${step.link} has ${JSON.stringify(from)} again after each of ${TIMES} changes to ${JSON.stringify(to)}: ` +
            'the kernel did not apply it, or somebody puts it back',
          { code: 'ERR_NOT_APPLIED', link: step.link, path: full }
        )
      }
    }
  }

  /** Whether any step failed. Throws its error if it is not because of others. */
  note(moves: Moves, failures: ReadonlyMap<Move, unknown>): boolean {
    for (const { step, differences, existing } of movesIn(moves)) {
      if (step.action !== 'change' || step.outcome !== 'done') continue
      for (const { path, from, to } of differences) {
        const sent = key(existing?.index, path, from, to)
        this.#sent.set(sent, (this.#sent.get(sent) ?? 0) + 1)
      }
    }
    for (const [move, reason] of failures) {
      const { step } = move
      if (!(reason instanceof LinkwrightError)) throw reason
      step.outcome = 'overtaken'
      step.error = reason
      const failed = key(step.action, step.link, step.changes, reason.code)
      const times = (this.#failed.get(failed) ?? 0) + 1
      this.#failed.set(failed, times)
      if (!OVERTAKEN.has(reason.code) || times >= TIMES) throw failure(move, reason)
    }
    return failures.size > 0
  }
}

function key(...parts: unknown[]): string {
  return JSON.stringify(parts)
}

/** The error of a step, by its name. */
function failure({ step, wanted }: Move, reason: LinkwrightError): LinkwrightError {
  const { code, errno, syscall, extack, attribute, allowed, diagnosis } = reason
  const path = [wanted?.path, reason.path].filter(Boolean).join('.') || undefined
  return new LinkwrightError(`to ${step.action} ${step.link}: ${reason.message}`, {
    code,
    errno,
    syscall,
    link: step.link,
    extack,
    path,
    attribute,
    allowed,
    diagnosis,
    cause: reason
  })
}

function neverSettled(moves: readonly Move[]): LinkwrightError {
  const names = moves.slice(0, 3).map(({ step }) => `${step.action} ${step.link}`)
  return new LinkwrightError(
    `others kept changing links during each of ${ROUNDS} rounds; left to do: ${names.join(', ')}${moves.length > 3 ? ', …' : ''}`,
    { code: 'ERR_NOT_SETTLED', link: moves[0]?.step.link }
  )
}

/** Says what became of what was done before. */
function explained(error: unknown, left: readonly string[]): unknown {
  if (!(error instanceof LinkwrightError)) return error
  const undone =
    left.length === 0 ? 'what was done before is taken back' : `not everything could be taken back: ${left.join('; ')}`
  return amend(error, { diagnosis: undone })
}
