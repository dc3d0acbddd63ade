/** Has a forwarder open and nothing else to do: it keeps the process, unless it shall not or is closed. */
import { Pipe, Switch, Tap } from '../../../dist/index.js'

const [what] = process.argv.slice(2)
const taps = [await Tap.open({ name: 'fi0', up: true }), await Tap.open({ name: 'fi1', up: true })]
globalThis.kept = await {
  pipe: async () => (await Pipe.open(...taps)).unref(),
  switch: async () => (await Switch.open({ ports: taps })).unref(),
  again: async () => (await Switch.open({ ports: taps })).unref().ref(),
  closed: async () => {
    const pipe = await Pipe.open(...taps)
    await pipe.close()
    return pipe
  },
  ref: () => Pipe.open(...taps),
  collected: async () => {
    const warnings = []
    process.on('warning', ({ code, message }) => warnings.push([code, message]))
    await (async () => {
      await Pipe.open(taps[0], taps[1])
    })()
    for (let tries = 0; warnings.length === 0 && tries < 200; tries++) {
      globalThis.gc()
      await new Promise(resolve => setTimeout(resolve, 20))
    }
    // Its queues are free again, as soon as it is closed.
    let again
    for (let tries = 0; !again && tries < 200; tries++) {
      again = await Pipe.open(taps[0], taps[1]).catch(() => new Promise(resolve => setTimeout(resolve, 20)))
    }
    await again.close()
    process.stdout.write(`${JSON.stringify(warnings)}\n`)
  }
}[what]()
console.log('idle')
