import { type Counted, PLAIN_TOKENS, type TokensView } from '../decide/tokens-view.ts'
import { type Calibration, ENOUGH_ANSWERS, freshCalibration, inherited, learnTokens, tokensBy } from '../estimate/calibration.ts'
import type { Prompt } from '../estimate/prompt.ts'
import { openVariance } from '../estimate/solve.ts'
import type { CompiledTable } from '../routing-table/compiled.ts'
import type { Ref } from '../routing-table/v1.ts'

/** However good a fit is: so much of an estimate may always be missing. */
const LEAST_DOUBT = 0.1
/** Of the mean error: fewer than one in a hundred is off by more. */
const ERRORS = 4
const DEVIATIONS = 2

/** What each model's own counts have taught. At most 1 KiB a model that has reported. */
export class Calibrations implements TokensView {
  readonly #known = new Map<Ref, Calibration>()
  #models: CompiledTable['models'] = new Map()

  /** Follows a table swap. A new model that another is called by the engine alike begins with what that one knows. */
  apply({ models }: Pick<CompiledTable, 'models'>): void {
    const before = this.#models
    this.#models = models
    if (this.#known.size === 0) return
    const alike = new Map<string, Calibration>()
    for (const [ref, calibration] of this.#known) for (const name of upstreamNames(before, ref)) alike.set(name, calibration)
    for (const ref of models.keys()) {
      const from = before.has(ref)
        ? undefined
        : upstreamNames(models, ref)
            .map((name) => alike.get(name))
            .find((one) => one !== undefined)
      if (from !== undefined) this.#known.set(ref, inherited(from))
    }
    for (const ref of this.#known.keys()) if (!models.has(ref)) this.#known.delete(ref)
  }

  of(model: Ref, request: Counted): number {
    const calibration = request.prompt && this.#known.get(model)
    return request.prompt === undefined || calibration === undefined
      ? request.promptTokens
      : Math.ceil(tokensBy(calibration, request.prompt))
  }

  certain(model: Ref, request: Counted): number {
    const plain = PLAIN_TOKENS.certain(model, request)
    const calibration = request.prompt && this.#known.get(model)
    if (request.prompt === undefined || calibration === undefined || calibration.answers < ENOUGH_ANSWERS) return plain
    const tokens = Math.max(1, tokensBy(calibration, request.prompt))
    const open = Math.sqrt(openVariance(calibration.information, request.prompt.counts)) / tokens
    return Math.max(plain, 1 - Math.max(LEAST_DOUBT, ERRORS * calibration.error + DEVIATIONS * open))
  }

  /** An engine has said how many tokens a prompt has. False: nonsense, nothing is learnt. */
  learn(model: Ref, prompt: Prompt, tokens: number): boolean {
    if (!this.#models.has(model)) return false
    const calibration = this.#known.get(model) ?? freshCalibration()
    this.#known.set(model, calibration)
    return learnTokens(calibration, prompt, tokens)
  }
}

/** What engines call it. */
const upstreamNames = (models: CompiledTable['models'], ref: Ref): string[] =>
  models.get(ref)?.entry.backends.map(({ upstreamModel }) => upstreamModel) ?? []
