/**
 * Reads a prompt's text once and keeps how much there is in it of what tokenizers tell apart. In: the texts of a request. Out: a row of
 * counts, which any model's weights turn into tokens (`weigh`). PURE. Total: any string will do, lone surrogates too.
 */
import { CODE_BITS, codeTable, EVENTS, eventTable } from './characters.ts'
import { FEATURE_COUNT, featureAt } from './features.ts'
import { BEGINNING, EVENT_BITS, EVENT_SHARES, nextTable, type Shares, STATE_COUNT, STATE_SHARES } from './states.ts'
import { PLAIN_WEIGHTS } from './weights.ts'

/** A request's prompt as its route writes it. */
export interface PromptParts {
  readonly texts: string[]
  /** Those that a template puts something around; 0 on routes without. */
  messages: number
  /** Schemas as JSON; '' = none. */
  tools: string
  /** Tokens that came as numbers: nothing to estimate. */
  given: number
  /** It has something that no text tells: images, audio, what the engine has kept. */
  opaque: boolean
  /** The texts are a sample: so many times as much is meant. */
  times: number
}

export const noParts = (): PromptParts => ({ texts: [], messages: 0, tools: '', given: 0, opaque: false, times: 1 })

/** What is known of a prompt's length, for any model. */
export interface Prompt {
  /** By FEATURES. */
  readonly counts: Float64Array
  readonly given: number
  /** A model's own count of it would teach nothing. */
  readonly opaque: boolean
  /** By the plain weights, which no model has changed: the same wherever and whenever it is asked. */
  readonly plainTokens: number
}

/** UTF-16 units that are all read; of more, evenly spread blocks are, as many together. */
const READ_WHOLE = 131_072
const BLOCK = 1024
const START = featureAt('start')
const MESSAGES = featureAt('messages')
const TOOLS = featureAt('tools')

const CODES = codeTable()
const EVENT_AT = eventTable()
const NEXT = nextTable()

/** How often each event came and each state was entered. Empty between calls. */
const came = new Int32Array(EVENTS.length)
const entered = new Int32Array(STATE_COUNT)

export function promptOf({ texts, messages, tools, given, opaque, times }: PromptParts): Prompt {
  const counts = countsOf(texts)
  if (times !== 1) for (const [feature, count] of counts.entries()) counts[feature] = count * times
  counts[MESSAGES] = messages
  counts[START] = messages > 0 ? 1 : 0
  if (tools !== '') counts[TOOLS] = weigh(countsOf([tools]), PLAIN_WEIGHTS)
  const least = texts.some((text) => text !== '') ? 1 : 0
  return { counts, given, opaque, plainTokens: Math.max(least, weigh(counts, PLAIN_WEIGHTS)) + given }
}

/** Tokens by a model's weights; may be below 0 where they are far off. */
export function weigh(counts: Float64Array, weights: ArrayLike<number>): number {
  let tokens = 0
  for (let feature = 0; feature < counts.length; feature++) tokens += (counts[feature] ?? 0) * (weights[feature] ?? 0)
  return tokens
}

/** The counts of texts alone. */
function countsOf(texts: readonly string[]): Float64Array {
  let length = 0
  for (const text of texts) length += text.length
  if (length > READ_WHOLE) return fold(length / readBlocks(texts, Math.ceil((BLOCK * length) / READ_WHOLE)))
  for (const text of texts) readPart(text, 0, text.length)
  return fold(1)
}

/** A block of each stride of all texts as if they were one. How many units that were. */
function readBlocks(texts: readonly string[], stride: number): number {
  let read = 0
  let start = 0
  for (const text of texts) {
    const end = start + text.length
    for (let block = start - (start % stride); block < end; block += stride) {
      const [from, to] = [Math.max(block, start), Math.min(block + BLOCK, end)]
      if (to > from) read += readPart(text, from - start, to - start)
    }
    start = end
  }
  return read
}

function readPart(text: string, from: number, to: number): number {
  const codes = CODES
  const events = EVENT_AT
  const next = NEXT
  const times = came
  const entries = entered
  let before = 0
  let state = BEGINNING
  for (let at = from; at < to; at++) {
    const code = codes[text.charCodeAt(at)] ?? 0
    const event = events[(before << CODE_BITS) | code] ?? 0
    state = next[(state << EVENT_BITS) | event] ?? 0
    before = code
    times[event] = (times[event] ?? 0) + 1
    entries[state] = (entries[state] ?? 0) + 1
  }
  return to - from
}

function fold(scale: number): Float64Array {
  const counts = new Float64Array(FEATURE_COUNT)
  addShares(counts, EVENT_SHARES, came, scale)
  addShares(counts, STATE_SHARES, entered, scale)
  came.fill(0)
  entered.fill(0)
  return counts
}

function addShares(counts: Float64Array, { at, features, amounts }: Shares, times: Int32Array, scale: number): void {
  for (let share = 0; share < at.length; share++) {
    const feature = features[share] ?? 0
    counts[feature] = (counts[feature] ?? 0) + (times[at[share] ?? 0] ?? 0) * (amounts[share] ?? 0) * scale
  }
}
