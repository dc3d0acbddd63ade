/** Who guests may say they are, in the ruleset: set, read and taken back, port by port. */

import { LinkwrightError } from '../../../errors.js'
import type { Change } from '../../../firewall/changes.js'
import type { Element } from '../../../firewall/elements.js'
import { Nftables } from '../../../firewall/nftables.js'
import type { Link } from '../../../link/link.js'
import type { Netlink } from '../../../link/netlink.js'
import { byPort, type Elements, elementsOf, markIn, optionsIn } from './elements.js'
import { marksOf, newMark } from './mark.js'
import { type AntiSpoofing, identityOf } from './options.js'
import { IN_TABLE, RULES, SET_NAMES, TABLE, tableChanges } from './table.js'

/**
 * A bridge takes frames to 01:80:c2:00:00:0X for itself: those to the address of LLDP, and with STP its own, by no hook of
 * netfilter at all. It learns their source, and the host sees them on the port. From a port that forwards them they go the
 * way of all others. That of pause frames (bit 1) cannot be chosen, and is always dropped.
 */
export const ALL_GROUPS = 0xfffd

/** Somebody else may change the ruleset between a look and a change: then it is looked at again. */
const ATTEMPTS = 20

/** The table of one namespace. */
export class SpoofingGuard {
  readonly #net: Netlink
  readonly #firewall: Nftables
  /** What the table had when the ruleset had this generation. Without anything of any port there is no table. */
  #known = new Map<number, Elements>()
  #generation: number | undefined
  /** What was said here, to be said again should somebody flush the ruleset. */
  readonly #said = new Map<number, { readonly mark: string; readonly elements: Elements }>()
  /** The generation at which all of that was there. */
  #checked: number | undefined
  /** Changes wait for each other. */
  #last: Promise<unknown> = Promise.resolve()

  private constructor(net: Netlink, firewall: Nftables) {
    this.#net = net
    this.#firewall = firewall
  }

  static async open(net: Netlink): Promise<SpoofingGuard> {
    const netns = await net.openNetns()
    try {
      return new SpoofingGuard(net, await Nftables.open({ netns: { fd: netns.fds[0] as number } }))
    } finally {
      await netns.close()
    }
  }

  close(): void {
    this.#firewall.close()
  }

  /**
   * Holds a port to an identity, or to none with `null`. At no moment does anything pass that neither the old nor the new one
   * allows. Resolves with what undoes it.
   */
  async set(link: Link, wanted: AntiSpoofing | null): Promise<() => Promise<void>> {
    const identity = wanted && identityOf(wanted)
    return await this.#alone(async () => {
      const { index } = link
      const given = marksOf(link)
      // Of an earlier life of the ifindex nothing is given back.
      const before = await this.#elementsFor(index, given)
      const mark = (before && markIn(before)) ?? given[0] ?? newMark()
      if (!identity && given.length === 0 && !(await this.#read()).has(index)) return async () => {}
      const undo = () => this.#make(link, before, mark)
      try {
        await this.#make(link, identity ? elementsOf(index, identity, mark) : undefined, mark)
      } catch (error) {
        await undo().catch(() => {})
        throw error
      }
      return () => this.#alone(undo)
    })
  }

  /** Makes the table have these elements of a port and no others, whatever mark the port has; for plans. */
  async put(index: number, elements: Elements | undefined): Promise<void> {
    await this.#alone(() => this.#write(index, elements))
  }

  /** What a port is held to; `undefined` for nothing. */
  async get(link: Link): Promise<AntiSpoofing | undefined> {
    return await this.#alone(async () => {
      const elements = await this.#elementsFor(link.index, marksOf(link))
      return elements && optionsIn(elements)
    })
  }

  /** Takes what the table has of links that are not there any more, by those that are. Resolves with their ifindexes. */
  async removeGone(read: () => Promise<readonly Link[]>): Promise<number[]> {
    return await this.#alone(async () => {
      if ((await this.#read()).size === 0) return []
      const links = new Map((await read()).map(link => [link.index, link]))
      const gone = [...(await this.#read())].flatMap(([index, elements]) => {
        const link = links.get(index)
        return link && isOf(elements, marksOf(link)) ? [] : [index]
      })
      for (const index of gone) await this.#write(index, undefined)
      return gone
    })
  }

  /** Takes what the table has of one life of an ifindex. */
  async removeLife(index: number, mark: string | undefined): Promise<void> {
    await this.#alone(async () => {
      const elements = (await this.#read()).get(index)
      if (elements && markIn(elements) === mark) await this.#write(index, undefined)
      if (this.#said.get(index)?.mark === mark) this.#said.delete(index)
    })
  }

  /** A port that came to another bridge has lost what it had of the last one. */
  async joined({ index, port }: Link): Promise<void> {
    if (!port || port.groupFwdMask === ALL_GROUPS || !this.#said.has(index)) return
    await this.#net.links.set(index, { port: { groupFwdMask: ALL_GROUPS } })
  }

  /** Says again what was said here of ports that are there, if somebody flushed it, or took rules of the table away. */
  async putBack(): Promise<void> {
    await this.#alone(async () => {
      for (let attempt = 1; this.#said.size > 0; attempt++) {
        if ((await this.#firewall.generation()) === this.#checked) return
        const { generation, tables, rules, sets } = await this.#firewall.ruleset({
          family: TABLE.family,
          table: TABLE.name
        })
        const known = tables.length > 0 ? byPort(sets) : new Map<number, Elements>()
        const isWhole = rules.length === RULES
        const links = new Map((await this.#net.links.list()).map(link => [link.index, link]))
        const isThere = (elements: Elements | undefined, mark: string) => elements && markIn(elements) === mark
        const lost = [...this.#said].filter(([index, { mark }]) => {
          // The mark is taken away before the rules.
          return links.get(index)?.altnames.includes(mark) && !(isWhole && isThere(known.get(index), mark))
        })
        // What another process has said of a port since then.
        for (const [index, { mark }] of this.#said) {
          const elements = known.get(index)
          if (elements && isThere(elements, mark)) this.#said.set(index, { mark, elements })
        }
        this.#known = known
        this.#generation = generation
        this.#checked = generation
        if (lost.length === 0) return
        const next = new Map([...known, ...lost.map(([index, { elements }]): [number, Elements] => [index, elements])])
        const removal: Change[] = tables.length > 0 ? [{ delete: { table: TABLE } }] : []
        const changes = isWhole
          ? lost.flatMap(([, { elements }]) => differences(undefined, elements))
          : [...removal, ...tableChanges(), ...[...next.values()].flatMap(each => differences(undefined, each))]
        try {
          await this.#firewall.transaction(changes, { handles: false, generation })
        } catch (error) {
          this.#generation = undefined
          this.#checked = undefined
          if (attempt < ATTEMPTS && (await this.#isOutrun(error, generation))) continue
          throw error
        }
        this.#generation = generation + 1
        this.#checked = generation + 1
        this.#known = next
        return
      }
    })
  }

  /** Somebody else was faster; a set that is gone meanwhile is told otherwise. */
  async #isOutrun(error: unknown, generation: number): Promise<boolean> {
    if (!(error instanceof LinkwrightError)) return false
    return error.code === 'ERR_RULESET_CHANGED' || (await this.#firewall.generation()) !== generation
  }

  /** The mark of the life of an ifindex that the table was last seen to be about. */
  markAt(index: number): string | undefined {
    const elements = this.#known.get(index)
    return elements && markIn(elements)
  }

  /** The mark is there before the rules, and goes before them: rules that are missing where it is were taken away by others. */
  async #make(link: Link, elements: Elements | undefined, mark: string): Promise<void> {
    const { index } = link
    if (!elements) {
      this.#said.delete(index)
      for (const each of new Set([mark, ...marksOf(link)])) {
        await this.#net.links.removeAltnames(index, [each]).catch(ifGone)
      }
      await this.#write(index, undefined)
      await this.#net.links.set(index, { port: { groupFwdMask: 0 } })
      return
    }
    await this.#net.links.set(index, { port: { groupFwdMask: ALL_GROUPS } })
    await this.#net.links.addAltnames(index, [mark]).catch(ifThere)
    await this.#write(index, elements)
    this.#said.set(index, { mark, elements })
  }

  async #elementsFor(index: number, marks: readonly string[]): Promise<Elements | undefined> {
    const elements = (await this.#read()).get(index)
    return elements && isOf(elements, marks) ? elements : undefined
  }

  async #read(): Promise<Map<number, Elements>> {
    const generation = await this.#firewall.generation()
    if (generation === this.#generation) return this.#known
    const { generation: read, tables, sets } = await this.#firewall.ruleset({ family: TABLE.family, table: TABLE.name })
    this.#known = tables.length > 0 ? byPort(sets) : new Map()
    this.#generation = read
    return this.#known
  }

  /** Makes the table have these elements of a port. Without any of any port the table goes. */
  async #write(index: number, wanted: Elements | undefined): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const known = await this.#read()
      const generation = this.#generation as number
      const before = known.get(index)
      if (!wanted && !before) return
      const changes: Change[] =
        !wanted && known.size === 1
          ? [{ delete: { table: TABLE } }]
          : [...(known.size > 0 ? [] : tableChanges()), ...differences(before, wanted)]
      try {
        await this.#firewall.transaction(changes, { handles: false, generation })
      } catch (error) {
        this.#generation = undefined
        if (attempt < ATTEMPTS && (await this.#isOutrun(error, generation))) continue
        throw error
      }
      if (changes.length > 0) {
        this.#generation = generation + 1
        if (this.#checked === generation) this.#checked = generation + 1
      }
      if (wanted) known.set(index, wanted)
      else known.delete(index)
      return
    }
  }

  async #alone<T>(action: () => Promise<T>): Promise<T> {
    const result = this.#last.then(action)
    this.#last = result.catch(() => {})
    return await result
  }
}

function isOf(elements: Elements, marks: readonly string[]): boolean {
  const mark = markIn(elements)
  return mark !== undefined && marks.includes(mark)
}

/** What makes the elements of a port these of those. */
export function differences(before: Elements | undefined, wanted: Elements | undefined): Change[] {
  const changes: Change[] = []
  for (const set of SET_NAMES) {
    const [old, next] = [before?.[set] ?? [], wanted?.[set] ?? []]
    const gone = missingIn(old, next)
    const come = missingIn(next, old)
    if (gone.length > 0) changes.push({ delete: { elements: { ...IN_TABLE, set, elements: gone } } })
    if (come.length > 0) changes.push({ add: { elements: { ...IN_TABLE, set, elements: come } } })
  }
  return changes
}

function missingIn(elements: readonly Element[], others: readonly Element[]): Element[] {
  const identify = ({ key, comment }: Element) => JSON.stringify([key, comment])
  const known = new Set(others.map(identify))
  return elements.filter(element => !known.has(identify(element)))
}

/** The link or what it had is not there any more. */
function ifGone(error: unknown): void {
  if (!(error instanceof LinkwrightError && ['ENODEV', 'ENOENT', 'EINVAL'].includes(error.code))) throw error
}

function ifThere(error: unknown): void {
  if (!(error instanceof LinkwrightError && error.code === 'EEXIST')) throw error
}
