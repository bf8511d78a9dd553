/**
 * What one model's own counts say of its tokenizer and template: weights, fitted by least squares to the answers so far. Older answers
 * fade, and what has faded is replaced by the plain weights with their spreads: a kind of text that does not come any more is estimated
 * as if it had never come. At most 1 KiB a model, whatever it has seen. PURE but for its own state.
 */
import { FEATURE_COUNT } from './features.ts'
import { type Prompt, weigh } from './prompt.ts'
import { solve } from './solve.ts'
import { PLAIN_WEIGHTS, SPREADS } from './weights.ts'

export interface Calibration {
  /** Tokens for one of each feature. */
  readonly weights: Float32Array
  /** Lower triangle, row by row: how sure which weights are. */
  readonly information: Float32Array
  /** What the answers say, weighed by how sure they are. */
  readonly pull: Float32Array
  answers: number
  /** Mean of the part by which recent estimates were off, before they were learnt. */
  error: number
}

/** So far no vocabulary is from the plain weights: a report beyond is nonsense, an estimate beyond a bad fit. */
const FARTHEST = 8
/** The part by which one answer's count is off around the weights, at ANCHOR tokens; longer prompts average more. */
const NOISE = 0.04
const ANCHOR_TOKENS = 200
const FEWEST_TOKENS = 20
/** Of what is known that an answer leaves: half is gone after 140. */
const KEPT = 0.995
/** While estimates are this far off, as after a change of the model behind the name, what is known goes faster. */
const LOST = 0.15
const KEPT_WHEN_LOST = 0.95
/** An answer that is off by more of its estimate than this counts less, once there are some. */
const PLAUSIBLE = 0.3
const SOME = 8
/** From here on the error says something. */
export const ENOUGH_ANSWERS = 20
const ERROR_KEPT = 0.95
/** Of what another model knows. */
const INHERITED = 0.1
/** Weights that are known well are worked out anew only once so many answers. */
const EAGER_ANSWERS = 64
const RARELY = 8

const PRIOR: Float64Array = SPREADS.map((spread) => 1 / spread ** 2)

export function freshCalibration(): Calibration {
  const information = new Float32Array((FEATURE_COUNT * (FEATURE_COUNT + 1)) / 2)
  for (let row = 0; row < FEATURE_COUNT; row++) information[(row * (row + 3)) / 2] = PRIOR[row] ?? 0
  const pull = Float32Array.from(PRIOR, (prior, row) => prior * (PLAIN_WEIGHTS[row] ?? 0))
  return { weights: Float32Array.from(PLAIN_WEIGHTS), information, pull, answers: 0, error: 0 }
}

/** A model that is likely to have the same tokenizer begins with what the other knows, but believes its own answers more. */
export function inherited(from: Calibration): Calibration {
  const own = freshCalibration()
  own.weights.set(from.weights)
  blend(own.information, from.information)
  blend(own.pull, from.pull)
  return own
}

function blend(own: Float32Array, other: Float32Array): void {
  for (const [at, value] of own.entries()) own[at] = value * (1 - INHERITED) + (other[at] ?? 0) * INHERITED
}

/** A finite number ≥ 0, at most eight times the plain estimate or an eighth of it. */
export function tokensBy({ weights }: Calibration, { counts, given, plainTokens }: Prompt): number {
  const plain = plainTokens - given
  return given + Math.min(Math.max(weigh(counts, weights), plain / FARTHEST), plain * FARTHEST)
}

/** An engine has said how many tokens a prompt has. False: that cannot be, or the prompt is opaque, and nothing is learnt. */
export function learnTokens(calibration: Calibration, prompt: Prompt, reported: number): boolean {
  const tokens = reported - prompt.given
  const plain = prompt.plainTokens - prompt.given
  if (prompt.opaque || !(tokens >= 1 && tokens >= plain / FARTHEST && tokens <= plain * FARTHEST)) return false
  const off = Math.abs(tokens - (tokensBy(calibration, prompt) - prompt.given)) / tokens
  noteError(calibration, Math.min(1, off))
  const belief = calibration.answers < SOME ? 1 : Math.min(1, PLAUSIBLE / off)
  addAnswer(calibration, prompt.counts, tokens, belief)
  calibration.answers++
  if (calibration.answers <= EAGER_ANSWERS || calibration.answers % RARELY === 0) solve(calibration)
  return true
}

/** The first answers say how far off the plain weights are; they do not count. */
function noteError(calibration: Calibration, off: number): void {
  const part = Math.max(1 - ERROR_KEPT, 1 / Math.max(1, calibration.answers - SOME + 1))
  calibration.error += part * (off - calibration.error)
}

function addAnswer({ information, pull, error, answers }: Calibration, counts: Float64Array, tokens: number, belief: number): void {
  const kept = error > LOST && answers >= ENOUGH_ANSWERS ? KEPT_WHEN_LOST : KEPT
  const size = Math.max(tokens, FEWEST_TOKENS)
  const sure = belief / (NOISE * size * (ANCHOR_TOKENS / size) ** 0.25) ** 2
  for (let row = 0, cell = 0; row < FEATURE_COUNT; row++) {
    const count = (counts[row] ?? 0) * sure
    for (let column = 0; column <= row; column++, cell++) {
      information[cell] = (information[cell] ?? 0) * kept + count * (counts[column] ?? 0)
    }
    const prior = PRIOR[row] ?? 0
    information[cell - 1] = (information[cell - 1] ?? 0) + (1 - kept) * prior
    pull[row] = (pull[row] ?? 0) * kept + (1 - kept) * prior * (PLAIN_WEIGHTS[row] ?? 0) + count * tokens
  }
}
