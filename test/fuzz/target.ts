import type { Dice } from '../support/dice.ts'

/** A reader of what comes from outside, and what must hold for every input. */
export interface Target {
  /** Also the folder of its inputs under `corpus/` and `found/`. */
  readonly name: string
  /** More inputs to begin with: globs from the project's root. */
  readonly seeds?: readonly string[]
  /** Its inputs are JSON: values are exchanged too, not only bytes. */
  readonly json?: true
  /** Texts that mean something to it. */
  readonly tokens: readonly string[]
  /** Throws where it does not hold. `dice`: the same for the same input. */
  readonly check: (input: Buffer, dice: Dice) => void
}
