/** Watchers of links hear what becomes of them. */
import { expect, onTestFinished, test } from 'vitest'
import { type LinkWatcher, watchLink } from '../../lib/link/link-watch.js'
import { until } from '../forward/support/frames.js'
import { openNetlink } from '../tap/support/devices.js'

test('all that watch a link hear that it is gone, those too that came in that moment', {
  timeout: 30_000
}, async () => {
  const net = await openNetlink()
  for (let round = 0; round < 30; round++) {
    const { index } = await net.links.create({ kind: 'veth', name: 'watched', peer: { name: 'watched1' } })
    const left: number[] = []
    let watchers = 0
    const watch = async () => {
      const number = watchers++
      const watcher: LinkWatcher = { up() {}, down() {}, left: () => left.push(number) }
      const watching = await watchLink(index, undefined, watcher)
      onTestFinished(() => watching[Symbol.asyncDispose]())
    }
    await watch()
    const deleted = net.links.delete('watched')
    const late: Promise<void>[] = []
    for (let more = 0; more < 10; more++) {
      late.push(watch())
      await new Promise(setImmediate)
    }
    await Promise.all([deleted, ...late])
    await until(() => left.length === watchers, `all ${watchers} hear of it, not ${left}`)
    expect(new Set(left).size).toBe(watchers)
  }
})
