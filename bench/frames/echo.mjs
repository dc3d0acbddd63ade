// Round trips with one frame outstanding; the generator asks without sleeping, so the time is the subject's.
import { Contestant } from './contestant.mjs'
import { raise } from './devices.mjs'
import { BURST, QUEUE } from './workloads.mjs'

const EFFORT = {
  full: { untimed: 2_000, timed: 10_000, milliseconds: 5_000 },
  quick: { untimed: 500, timed: 2_000, milliseconds: 2_000 }
}

export async function echo({ sandbox, generator, quick }, { size }, { argument, command }) {
  const contestant = await Contestant.start(sandbox, command, [argument, size, BURST])
  try {
    await raise(sandbox, ['lw0'], `txqueuelen ${QUEUE}`)
    const { answered, lost, p50, p99 } = await generator.echo('lw0', size, EFFORT[quick ? 'quick' : 'full'])
    if (!answered) throw new Error('no frame came back')
    await contestant.end()
    return { p50: p50 * 1e6, p99: p99 * 1e6, lost, check: 'echoed' }
  } finally {
    await contestant.kill()
  }
}
