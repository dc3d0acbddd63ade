/** A chunk of links: created in one exchange, finished in another where there is something left to do. */
import { setImmediate } from 'node:timers/promises'
import type { BatchResult } from '../../netlink/socket.js'
import type { CreateLink } from '../link-options.js'
import { type CreationContext, type CreationOptions, Doors, type Settled } from './context.js'
import { finish } from './finishing.js'
import { Namespaces } from './namespaces.js'
import { changesAfter, isPrepared, type Known, type Prepared, prepare, stepsAfter } from './preparation.js'
import { finishTogether, linkIn, stepsHere, type Unfinished, wantsVerification } from './steps.js'

/** Lets the event loop turn between chunks that are answered at once. */
export class Turns {
  #last: Promise<unknown> | undefined

  async next(): Promise<void> {
    const before = this.#last
    this.#last = before ? before.then(() => setImmediate()) : Promise.resolve()
    await this.#last
  }
}

/** Never rejects: every item has a result. */
export async function createChunk(
  outer: CreationContext,
  chunk: readonly CreateLink[],
  refused: (Error | undefined)[],
  known: Known,
  turns: Turns,
  options: CreationOptions
): Promise<Settled[]> {
  const doors = new Doors(outer.open)
  const context = { ...outer, open: doors.open }
  using namespaces = new Namespaces()
  const items = chunk.map((given, at) => (refused[at] ? { reason: refused[at] } : prepare(given, known, namespaces)))
  const ready = items.filter(isPrepared)
  try {
    const requests = ready.flatMap(({ request, look }) => (look ? [request, look] : [request]))
    const answers = await context.socket.batch(requests)
    await turns.next()
    const settled: (Settled | Promise<Settled>)[] = []
    const unfinished: Unfinished[] = []
    const together: number[] = []
    let answered = 0
    for (const [at, item] of items.entries()) {
      if (!isPrepared(item)) {
        settled[at] = { status: 'rejected', reason: item.reason }
        continue
      }
      const answer = answers[answered++] as BatchResult
      const look = item.look && answers[answered++]
      const result = settle(context, item, answer, look, options)
      if ('steps' in result) {
        unfinished.push(result)
        together.push(at)
      } else settled[at] = result
    }
    if (unfinished.length > 0) {
      const finished = await finishTogether(context, unfinished, options)
      for (const [nth, at] of together.entries()) settled[at] = finished[nth] as Settled
    }
    return settled.some(result => result instanceof Promise) ? await Promise.all(settled) : (settled as Settled[])
  } catch (reason) {
    return items.map(item => ({ status: 'rejected', reason: isPrepared(item) ? reason : item.reason }))
  } finally {
    await doors.close()
  }
}

/** A result at once where the link is finished, which is the rule; else what it takes, or what finishes it. */
function settle(
  context: CreationContext,
  item: Prepared,
  answer: BatchResult,
  look: BatchResult | undefined,
  options: CreationOptions
): Settled | Promise<Settled> | Unfinished {
  if (answer.error !== undefined) {
    return context.explain(answer.error, item.resolved).then(reason => ({ status: 'rejected', reason }))
  }
  const seen = look && linkIn(look)
  const created = linkIn(answer) ?? seen
  const unwanted = options.undo && options.cancel.givenUp !== undefined
  if (created && !unwanted && !wantsVerification(item.request, options.verify)) {
    if (!stepsAfter(item)) return { status: 'fulfilled', value: created }
    if (!changesAfter(item) && seen?.index === created.index) return { status: 'fulfilled', value: seen }
    const unfinished = stepsHere(item, created, options)
    if (unfinished) return unfinished
  }
  return finish(context, item, created, options).then(
    value => ({ status: 'fulfilled', value }),
    reason => ({ status: 'rejected', reason })
  )
}
