/** A plan that another process applied. */

import { rmSync } from 'node:fs'
import type { Netlink } from '../link/netlink.js'
import type { Restoration } from './guard.js'
import { assertSameHost, identify, stale } from './host-identity.js'
import { outcomeFileOf, type PlanStatus, readState, type SavedState, writeState } from './state-file.js'
import { assertUnused, undoNow } from './undoing.js'
import { restoreOperation } from './way-back.js'

export class SavedPlan {
  readonly #net: Netlink
  readonly #path: string
  #state: SavedState
  /** What the guard did, where it had to. */
  readonly restoration: Restoration | undefined

  private constructor(net: Netlink, path: string, state: SavedState, restoration: Restoration | undefined) {
    this.#net = net
    this.#path = path
    this.#state = state
    this.restoration = restoration
  }

  /**
   * Reads what `apply({ stateFile })` left.
   *
   * @throws LinkwrightError `ENOENT`; `ERR_STALE_STATE` when the host was rebooted since, or `net` is another namespace
   */
  static async load(net: Netlink, path: string): Promise<SavedPlan> {
    const { state, restoration } = readState(path)
    assertSameHost(state.host, await identify(net))
    return new SavedPlan(net, path, state, restoration)
  }

  get status(): PlanStatus {
    return this.#state.status
  }

  /** What was done, as commands. */
  toString(): string {
    return this.#state.commands.join('\n')
  }

  /**
   * Puts back what was before; nothing if that was done.
   *
   * @throws LinkwrightError `ERR_STALE_STATE` (a link is gone, or another's name), `EBUSY`, `ERR_NOT_UNDONE`
   */
  async undo(): Promise<void> {
    if (this.status === 'undone') return
    const { links, made, back } = this.#state
    for (const { index, name, mayGo = false } of links) {
      const link = await this.#net.links.get(index).catch(() => undefined)
      if (!link && mayGo) continue
      if (!link) throw stale(`${name} (index ${index}) is gone`)
      if (link.name !== name) throw stale(`index ${index} is ${link.name} now, and was ${name}`)
    }
    await assertUnused(
      this.#net,
      made,
      links.map(({ index }) => index)
    )
    await undoNow(this.#net, back.map(restoreOperation))
    this.#state = { ...this.#state, status: 'undone' }
    writeState(this.#path, this.#state)
    rmSync(outcomeFileOf(this.#path), { force: true })
  }
}
