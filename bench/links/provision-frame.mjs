// The frame of every subject that provisions and is written in JavaScript. argv is provision <workload> <peer> <helper>;
// stdin says `create N`, `delete N` and `forget 0`, each of which is answered by a line of JSON. With the word `unwatched`
// behind it the event loop is not watched, which takes a while.
import { execFileSync } from 'node:child_process'
import { createInterface } from 'node:readline'
import { watchEventLoop } from '../event-loop.mjs'

async function timed(work, watched) {
  const eventLoop = watched && (await watchEventLoop())
  const start = process.hrtime.bigint()
  await work()
  const seconds = Number(process.hrtime.bigint() - start) / 1e9
  return { seconds, ...(eventLoop && (await eventLoop.stop())) }
}

/**
 * A subject: open(peer) gives a context, where peer is the number of a process in the other namespace; each workload has
 * create(context, count) and delete(context, count), of the first so many. `forget` lets go of what no longer exists.
 */
export async function provision(subject) {
  const [, workload, peer, helper] = process.argv.slice(2)
  const context = await subject.open?.(Number(peer))
  const work = subject[workload]
  const answer = value => console.log(JSON.stringify(value))
  answer({})
  for await (const line of createInterface({ input: process.stdin })) {
    const [verb, count, unwatched] = line.split(' ')
    if (verb === 'forget') answer((await work.forget?.(context)) ?? {})
    else answer(await timed(() => work[verb](context, Number(count)), !unwatched))
  }
  // Nobody asks any more. What is left goes at once: descriptors of TAPs take minutes to close one by one.
  execFileSync(helper, ['clear'])
  await subject.close?.(context)
}
