/** A plan that another process applied. */
import type { Netlink } from '../link/netlink.js'
import type { Restoration } from './guard.js'
import { assertSameHost, identify } from './host-identity.js'
import type { PlanStatus, SavedState } from './saved-state.js'
import { assertNotKept, readState, removeOutcome, writeState } from './state-file.js'
import { assertSameLinks, assertUnused, undoNow } from './undoing.js'
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
   * @throws LinkwrightError `ERR_STALE_STATE` (a link is gone, or another's name), `EBUSY` (a process applies the plan, or
   * waits for its confirmation; or others use a link that the plan made), `ERR_NOT_UNDONE`
   */
  async undo(): Promise<void> {
    // Others may have confirmed or undone it meanwhile.
    this.#state = readState(this.#path).state
    if (this.status === 'undone') return
    const { links, made, back, host } = this.#state
    assertSameHost(host, await identify(this.#net))
    assertNotKept(this.#state, this.#path)
    await assertSameLinks(this.#net, links)
    await assertUnused(
      this.#net,
      made,
      links.map(({ index }) => index)
    )
    await undoNow(this.#net, back.map(restoreOperation))
    this.#state = { ...this.#state, status: 'undone' }
    writeState(this.#path, this.#state)
    removeOutcome(this.#path)
  }
}
