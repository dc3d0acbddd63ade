// Provisioning measured: a subject that is spoken with creates links, the kernel is asked what is there, it deletes them,
// the kernel is asked again. Namespaces of its own for each subject and round.
import { readFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { ASIDE } from '../process.mjs'
import { Sandbox } from '../sandbox.mjs'
import { assertLinks, expectedLinks, parseLinks } from './provision-expected.mjs'

/** Untimed runs before the timed one, of fewer links, the same for every subject; slow ones delete few of them. */
const WARM_UPS = 2
const WARM_UP_COUNT = { taps: 200, macvtaps: 200, veth: 200, bridges: 10 }
const WARM_UP_DELETES = 1
const SETTLE_MS = 100 // what the kernel does in the background after so many
const PATIENCE_MS = 300_000
const DESCRIPTORS_BESIDE = 64

/** Those under way, to be cleared if the benchmark is told to end. */
const open = new Set()

export async function clearAll() {
  await Promise.allSettled([...open].map(measurement => measurement.clear()))
}

export class ProvisionArena {
  #workload
  #helper
  #count

  constructor(workload, helper, { quick }) {
    this.#workload = workload
    this.#helper = helper
    this.#count = workload.count[quick ? 'quick' : 'full']
  }

  async measure(subject, { provision: command }) {
    const measurement = await Measurement.start(this.#workload.provisions, this.#helper, subject, command)
    try {
      return await measurement.take(this.#count)
    } finally {
      await measurement.end()
    }
  }

  close() {}
}

class Measurement {
  #kind
  #helper
  #subject
  #here
  #there
  #process
  #clearing

  constructor(kind, helper, subject) {
    this.#kind = kind
    this.#helper = helper
    this.#subject = subject
  }

  static async start(kind, helper, subject, [command, ...args]) {
    const measurement = new Measurement(kind, helper, subject)
    open.add(measurement)
    try {
      measurement.#here = await Sandbox.open()
      if (kind === 'veth') measurement.#there = await Sandbox.open()
      const peer = measurement.#there ? `${measurement.#there.pid}` : '-'
      measurement.#process = measurement.#here.converse(command, [...args, 'provision', kind, peer, helper], ASIDE)
      await measurement.#process.answer()
      return measurement
    } catch (error) {
      await measurement.end()
      throw error
    }
  }

  async take(count) {
    this.#assertDescriptors(count)
    const { deletes } = this.#subject
    for (let i = 0; i < WARM_UPS; i++) {
      const few = Math.min(count, WARM_UP_COUNT[this.#kind])
      await this.#run(few, deletes ? WARM_UP_DELETES : few, 'unwatched')
      await this.clear()
      await this.#ask('forget', 0)
    }
    // To see whether the cost of one depends on how many are deleted.
    const limit = process.env.DELETE_ALL ? undefined : deletes?.[this.#kind]
    return await this.#run(count, Math.min(count, limit ?? count))
  }

  /** Creates and deletes, each verified. */
  async #run(count, deletes, unwatched) {
    const { ipv6 = true, reports } = this.#subject
    const fixtures = await this.#prepare(count, ipv6 && this.#kind === 'taps')
    if (!unwatched) await setTimeout(SETTLE_MS)
    const created = await this.#ask('create', count, unwatched)
    await this.#verify(0, count, fixtures)
    if (!unwatched) await setTimeout(SETTLE_MS)
    const deleted = await this.#ask('delete', deletes, unwatched)
    await this.#verify(deletes, count, fixtures)
    const details = { create: { amount: count, ...created }, delete: { amount: deletes, of: count, ...deleted } }
    const all = { create: count / created.seconds, delete: deletes / deleted.seconds }
    const wanted = Object.entries(all).filter(([key]) => reports === undefined || reports === key)
    return { ...Object.fromEntries(wanted), details, check: '' }
  }

  /** Sets up what is there before; returns the names. */
  async #prepare(count, ipv6) {
    await this.#here.run(this.#helper, ['prepare', this.#kind, `${count}`, ipv6 ? '1' : '0'])
    await this.#there?.run(this.#helper, ['prepare', 'nothing', '1', '0'])
    return (await this.#links(this.#here)).map(({ name }) => name)
  }

  async #ask(verb, count, unwatched) {
    this.#process.say([verb, count, unwatched].join(' ').trim())
    return JSON.parse(await this.#process.answer(PATIENCE_MS))
  }

  #links = async sandbox => parseLinks(await sandbox.run(this.#helper, ['list']))

  async #verify(from, count, fixtures) {
    const { here, there } = expectedLinks(this.#kind, from, count)
    assertLinks(await this.#links(this.#here), here, fixtures)
    if (there) assertLinks(await this.#links(this.#there), there, [])
  }

  // Node, Go and the C program raise their limit themselves, as far as they may.
  #assertDescriptors(count) {
    if (this.#kind !== 'taps' || this.#subject.persistentTaps) return
    const limits = readFileSync(`/proc/${this.#process.pid}/limits`, 'utf8')
    const limit = Number(limits.match(/^Max open files\s+(\d+)/m)?.[1] ?? Number.POSITIVE_INFINITY)
    const needed = count + DESCRIPTORS_BESIDE
    if (limit < needed) {
      throw new Error(`${count} TAPs need ${needed} descriptors, and only ${limit} are allowed (ulimit -n)`)
    }
  }

  /** Removes all links at once. The end of a process that holds many TAPs would take the kernel minutes. */
  clear() {
    this.#clearing ??= this.#here?.run(this.#helper, ['clear'], { timeout: PATIENCE_MS }).finally(() => {
      this.#clearing = undefined
    })
    return this.#clearing
  }

  async end() {
    try {
      await this.clear()
      await this.#process?.end()
    } finally {
      open.delete(this)
      await this.#there?.close()
      await this.#here?.close()
    }
  }
}
