// The generator in C, in the namespace of the devices.
import { compileC } from '../build.mjs'

const SOURCES = ['generator.c', 'pattern.c', 'marker.c', 'stopped.c', 'flood.c', 'program.c']
const HEADERS = ['pattern.h', 'marker.h', 'stopped.h', 'flood.h', 'program.h']

const compile = () =>
  compileC(
    'frames-generator',
    [...SOURCES, ...HEADERS].map(file => `limit/${file}`),
    []
  )

const PATIENCE_MS = 15_000

export class Generator {
  #process

  constructor(process) {
    this.#process = process
  }

  static async start(sandbox) {
    const generator = new Generator(sandbox.converse(await compile(), []))
    await generator.#answer()
    return generator
  }

  async #answer(more = 0) {
    return JSON.parse(await this.#process.answer(PATIENCE_MS + more))
  }

  /** Stops the process, fills the queues of the devices, lets it go on; marked: waits until all has arrived. */
  async burst(pid, { pattern, size, frames, marked, devices }) {
    this.#process.say(`burst ${pid} ${pattern} ${size} ${frames} ${marked ? 1 : 0} ${devices.join(' ')}`)
    const result = await this.#answer()
    if (result.refused) throw new Error(`${result.refused} of ${result.refused + result.sent} frames found no room`)
    const expected = marked ? 2 * devices.length : 0
    if (result.markers !== expected) throw new Error(`${result.markers} of ${expected} marked frames arrived`)
    return result
  }

  echo(device, size, { untimed, timed, milliseconds }) {
    this.#process.say(`echo ${device} ${size} ${untimed} ${timed} ${milliseconds}`)
    return this.#answer(milliseconds)
  }

  flood(device, size, milliseconds) {
    this.#process.say(`flood ${device} ${size} ${milliseconds}`)
    return this.#answer(milliseconds)
  }

  close = () => this.#process.kill()
}
