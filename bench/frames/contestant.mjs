// A subject's process: it makes its devices lw0, lw1, ..., says "ready", and works until its standard input ends.
import { readdirSync, readFileSync } from 'node:fs'

const SILENCE_MS = 12_000 // longer than the generator waits for frames to come back

export class Contestant {
  #process

  constructor(process) {
    this.#process = process
  }

  /** Arguments: the workload, bytes a frame, frames a burst, and for the tunnel which end it is. */
  static async start(sandbox, [command, ...leading], args) {
    const contestant = new Contestant(sandbox.converse(command, [...leading, ...args.map(String)]))
    try {
      const line = await contestant.answer()
      if (line !== 'ready') throw new Error(`said ${line} instead of ready`)
      return contestant
    } catch (error) {
      await contestant.kill()
      throw error
    }
  }

  get pid() {
    return this.#process.pid
  }

  answer = () => this.#process.answer(SILENCE_MS)

  say(line) {
    this.#process.say(line)
  }

  /** Frames and seconds of the burst that it has just finished. */
  async burst() {
    const line = await this.answer()
    const [frames, seconds] = line.split(' ').map(Number)
    if (!(frames > 0 && seconds > 0)) throw new Error(`said ${line} instead of frames and seconds`)
    return { frames, seconds }
  }

  /** Seconds of processor time of its threads up to now. */
  cpuSeconds() {
    const tasks = `/proc/${this.pid}/task`
    const nanoseconds = readdirSync(tasks).map(thread => {
      try {
        return Number(readFileSync(`${tasks}/${thread}/schedstat`, 'latin1').split(' ')[0])
      } catch {
        return 0 // a thread that ended
      }
    })
    return nanoseconds.reduce((sum, each) => sum + each, 0) / 1e9
  }

  /** What it says of itself at its end. It is killed then: a program may have threads that do not end by themselves. */
  async end() {
    this.#process.endInput()
    const report = JSON.parse(await this.answer())
    await this.kill()
    return report
  }

  kill = () => this.#process.kill()
}
