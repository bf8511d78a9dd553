import { EVENTS, type Event } from './characters.ts'
import { type Feature, featureAt } from './features.ts'

/** What has just been read, as far as it says more than the last two characters: how long a word's part is, where a sign stands. */
interface State {
  /** Letters in lower case, or all in capitals so far. */
  readonly letters?: 'small' | 'large'
  /** Of a word's part; LONGEST stands for all beyond. */
  readonly length?: number
  /** What is counted each time it is entered. */
  readonly tells?: Feature
  readonly amount?: number
}

const LONGEST = 11
/** A long run of one sign, of blanks or of line ends is one token, or one so many. */
const PIECE = 1 / 16

const lengths = Array.from({ length: LONGEST }, (_, index) => index + 1)
const beyond = (length: number): { tells?: Feature } => (length > 10 ? { tells: 'over10' } : length > 6 ? { tells: 'over6' } : {})
const small: readonly State[] = lengths.map((length) => ({ letters: 'small', length, ...beyond(length) }))
const large: readonly State[] = lengths.map((length) => ({ letters: 'large', length, ...beyond(length) }))
/** The last of several capitals begins the next part: HTTPServer. */
const split: State = { letters: 'small', length: 2, tells: 'parts' }
const joinedSmall: State = { letters: 'small', length: 1, tells: 'joins' }
const joinedLarge: State = { letters: 'large', length: 1, tells: 'joins' }
const digit: State = {}
const joinedDigit: State = { tells: 'joins' }
const digitApart: State = { tells: 'blanks' }
/** The first sign behind a letter or digit. */
const signBehind: State = {}
const sign: State = {}
const space: State = {}
const tab: State = {}
const secondBlank: State = { tells: 'blanks' }
const furtherBlank: State = { tells: 'blanks', amount: PIECE }
const somethingElse: State = {}

const STATES: readonly State[] = [
  ...small,
  ...large,
  split,
  joinedSmall,
  joinedLarge,
  digit,
  joinedDigit,
  digitApart,
  signBehind,
  sign,
  space,
  tab,
  secondBlank,
  furtherBlank,
  somethingElse,
]
export const BEGINNING: number = STATES.indexOf(somethingElse)
export const STATE_COUNT: number = STATES.length
export const EVENT_BITS = 5

/** By the state, shifted, and the event: the state that follows. */
export function nextTable(): Uint8Array {
  const table = new Uint8Array(STATES.length << EVENT_BITS)
  for (const [at, state] of STATES.entries())
    for (const [event, name] of EVENTS.entries()) table[(at << EVENT_BITS) | event] = STATES.indexOf(nextOf(state, name) ?? somethingElse)
  return table
}

function nextOf(state: State, event: Event): State | undefined {
  const { letters, length = 0 } = state
  switch (event) {
    case 'word':
    case 'latinWord':
      return state === signBehind ? joinedSmall : small[0]
    case 'wordUpper':
    case 'latinWordUpper':
      return state === signBehind ? joinedLarge : large[0]
    case 'part':
    case 'partRare':
    case 'latinPart':
      return large[0]
    case 'lower':
    case 'lowerRare':
    case 'latinLower':
      return letters === 'large' && length > 1 ? split : small[Math.min(length, LONGEST - 1)]
    case 'capital':
    case 'capitalRare':
    case 'latinCapital':
      return large[Math.min(length, LONGEST - 1)]
    case 'digit':
      return state === signBehind ? joinedDigit : isBlank(state) && state !== tab ? digitApart : digit
    case 'sign':
      return letters !== undefined || isDigit(state) ? signBehind : sign
    case 'otherSign':
    case 'sameSign':
      return sign
    case 'space':
    case 'tab':
      return isFurther(state) ? furtherBlank : isBlank(state) ? secondBlank : event === 'space' ? space : tab
    case 'control':
    case 'line':
    case 'sameLine':
    case 'latinSign':
    case 'han':
    case 'sameHan':
    case 'wide':
      return somethingElse
  }
}

function isDigit(state: State): boolean {
  return state === digit || state === joinedDigit || state === digitApart
}

function isFurther(state: State): boolean {
  return state === secondBlank || state === furtherBlank
}

function isBlank(state: State): boolean {
  return state === space || state === tab || isFurther(state)
}

const BY_EVENT: Readonly<Record<Event, readonly Feature[]>> = {
  control: ['signs'],
  word: ['words'],
  wordUpper: ['words'],
  latinWord: ['words', 'latin'],
  latinWordUpper: ['words', 'latin'],
  lower: [],
  lowerRare: ['rare'],
  part: ['parts'],
  partRare: ['parts', 'rare'],
  latinPart: ['parts', 'latin'],
  capital: ['capitals'],
  capitalRare: ['capitals', 'rare'],
  latinCapital: ['latin'],
  latinLower: ['latin'],
  digit: ['digits'],
  sign: ['marks', 'signs'],
  otherSign: ['signs'],
  sameSign: [],
  line: ['lines'],
  sameLine: [],
  space: [],
  tab: ['tabs'],
  latinSign: ['latin'],
  han: ['han', 'hanRuns'],
  sameHan: ['han'],
  wide: ['wide'],
}

interface Share {
  readonly at: number
  readonly feature: Feature
  readonly amount: number
}

/** Side by side: each time the event (or the state) `at` comes, `amount` is added to a feature. */
export interface Shares {
  readonly at: Uint8Array
  readonly features: Uint8Array
  readonly amounts: Float64Array
}

const sharesOf = (list: readonly Share[]): Shares => ({
  at: Uint8Array.from(list, ({ at }) => at),
  features: Uint8Array.from(list, ({ feature }) => featureAt(feature)),
  amounts: Float64Array.from(list, ({ amount }) => amount),
})

export const EVENT_SHARES: Shares = sharesOf([
  ...EVENTS.flatMap((event, at) => BY_EVENT[event].map((feature) => ({ at, feature, amount: 1 }))),
  { at: EVENTS.indexOf('sameSign'), feature: 'signs', amount: PIECE },
  { at: EVENTS.indexOf('sameLine'), feature: 'lines', amount: PIECE },
])

export const STATE_SHARES: Shares = sharesOf(
  STATES.flatMap(({ tells, amount = 1 }, at) => (tells === undefined ? [] : [{ at, feature: tells, amount }])),
)
