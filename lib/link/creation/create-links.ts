/** Creating links, one or many: look-ups ahead, chunks one after the other, and the way back. */
import { setImmediate } from 'node:timers/promises'
import { amend, LinkwrightError } from '../../errors.js'
import { chunksOf } from '../chunks.js'
import { Ipv6Defaults, isIpv6OffByDefault } from '../ipv6.js'
import type { CreateLink } from '../link-options.js'
import { Progress } from '../progress.js'
import { References } from '../references.js'
import { createChunk, Turns } from './chunk.js'
import type { CreationContext, CreationOptions, Settled } from './context.js'
import { refusal } from './preparation.js'
import { independent, LookAhead } from './source.js'
import { type Elsewhere, removeMade, undone } from './undo.js'

/** Links per exchange: the next is encoded while the kernel makes these, and the event loop turns in between. */
const CHUNK = 32
/** Exchanges under way at a time: more than the engine puts into one round, so that it never waits for us. */
const IN_FLIGHT = 8

export type LinkSource = Iterable<CreateLink> | AsyncIterable<CreateLink>

/**
 * Creates links in the order given, a result each. Giving up stops sending; what the kernel has in hand is waited for, so
 * that the results are what is.
 */
export async function createLinks(
  context: CreationContext,
  all: LinkSource,
  options: CreationOptions
): Promise<Settled[]> {
  const references = new References(names => context.links.getMany(names))
  const ipv6 = new Ipv6Defaults({
    linkOf: name => references.linkOf(name),
    find: indexes => context.links.findMany(indexes),
    isOff: () => isIpv6OffByDefault(context.socket, context.ownNetns)
  })
  const load = async (links: CreateLink[]) => {
    await references.load(links)
    await ipv6.load(links)
  }
  // What fails is met with again when it is their turn.
  const ahead = Array.isArray(all) ? new LookAhead(all, CHUNK, links => void load(links).catch(() => {})) : undefined
  const results: Promise<Settled[]>[] = []
  const progress = new Progress(options.onProgress)
  const turns = new Turns()
  const total = Array.isArray(all) ? all.length : undefined
  const elsewhere = new Map<number, Elsewhere>()
  const inodes = new Map<CreateLink, bigint>()
  let given = 0
  let done = 0
  let failed = false
  const finished = (settled: Settled[]): Settled[] => {
    failed ||= settled.some(({ status }) => status === 'rejected')
    done += settled.length
    progress.report(done, total)
    return settled
  }
  try {
    for await (const chunk of independent(chunksOf(all, CHUNK))) {
      if (results.length >= IN_FLIGHT) await results[results.length - IN_FLIGHT]
      if (results.length > 0) await setImmediate()
      if (progress.failed) break
      for (const [at, item] of chunk.entries()) {
        if (item?.netns !== undefined) elsewhere.set(given + at, { netns: item.netns, given: item })
      }
      given += chunk.length
      ahead?.reach(given)
      const givenUp = options.cancel.givenUp ?? (failed && options.allOrNone ? { reason: undefined } : undefined)
      if (givenUp) {
        const unmade = chunk.map((): Settled => ({ status: 'rejected', reason: givenUp.reason }))
        results.push(Promise.resolve(finished(unmade)))
      } else {
        const refused = chunk.map(given => refusal(given, references))
        const encodable = chunk.filter((_, at) => refused[at] === undefined)
        await load(encodable)
        results.push(createChunk(context, chunk, refused, { references, ipv6, inodes }, turns, options).then(finished))
      }
    }
    await Promise.all(results)
    progress.end()
  } catch (error) {
    // The source or the callback threw. What is under way is waited for: nothing is made after the end.
    const made = (await Promise.all(results)).flat()
    if (options.allOrNone) await removeMade(context, made, elsewhere, inodes)
    throw error
  }
  const settled = (await Promise.all(results)).flat()
  const named = settled.length === 1 ? settled : settled.map(numbered)
  if (!failed || !options.allOrNone) return named
  return undone(named, await removeMade(context, named, elsewhere, inodes))
}

/** Errors say which of many they are about. */
function numbered(result: Settled, item: number): Settled {
  if (result.status === 'fulfilled' || !(result.reason instanceof LinkwrightError)) return result
  return { status: 'rejected', reason: amend(result.reason, { item }) }
}
