/** What `ensure` does, or would do: for programs and for people. */
import { commandsOf } from './ip-commands.js'
import { type EnsureStep, type Moves, movesIn } from './steps.js'

export class EnsurePlan {
  readonly steps: readonly EnsureStep[]
  readonly #rounds: readonly Moves[]

  /** @internal */
  constructor(rounds: readonly Moves[]) {
    this.#rounds = rounds
    this.steps = rounds.flatMap(movesIn).map(({ step }) => step)
  }

  /** The steps as commands of iproute2 and sysctl, for a shell. What it has no word for is a comment. */
  toString(): string {
    return this.#rounds.flatMap(commandsOf).join('\n')
  }
}
