// More frames than the subject can read: what its heap and its timers do meanwhile.
import { Contestant } from './contestant.mjs'
import { count, raise } from './devices.mjs'
import { BURST, QUEUE } from './workloads.mjs'

const EFFORT = { full: { warmUpMs: 1_000, timedMs: 3_000 }, quick: { warmUpMs: 300, timedMs: 500 } }

export async function flood({ sandbox, generator, quick }, { size }, { argument, command }) {
  const { warmUpMs, timedMs } = EFFORT[quick ? 'quick' : 'full']
  const contestant = await Contestant.start(sandbox, command, [argument, size, BURST])
  try {
    await raise(sandbox, ['lw0'], `txqueuelen ${QUEUE}`)
    await generator.flood('lw0', size, warmUpMs)
    contestant.say('begin')
    await contestant.answer()
    const before = count(sandbox, ['lw0'])
    const { seconds } = await generator.flood('lw0', size, timedMs)
    contestant.say('end')
    const { frames, ...found } = JSON.parse(await contestant.answer())
    const after = count(sandbox, ['lw0'])
    await contestant.end()
    const queued = after.tx_packets - before.tx_packets
    const dropped = after.tx_dropped - before.tx_dropped
    // Some may be from before, and as many may be left.
    if (frames > queued + QUEUE) throw new Error(`${frames} frames read of ${queued}`)
    const offered = queued + dropped
    const rates = { rate: frames / seconds, offered: offered / seconds, lostShare: dropped / offered }
    return { ...rates, ...found, check: 'flooded' }
  } finally {
    await contestant.kill()
  }
}
