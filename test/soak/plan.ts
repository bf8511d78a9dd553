/**
 * What the backends do to one request, try after try, and how it may therefore end. PURE but for the dice. A plan travels in the request
 * itself (its `user`), so that backends need no memory of what was agreed.
 */
import type { Dice } from '../support/dice.ts'

/** How a backend treats one try. `big`: 240 KiB. `stall`: nothing more after some words. `hidden`: an error in an answer of status 200. */
export const KINDS = [
  'ok',
  'slow',
  'big',
  'bad',
  'rate',
  'error',
  'busy',
  'reset',
  'silence',
  'hidden',
  'cut',
  'stall',
  'malformed',
] as const
export type Kind = (typeof KINDS)[number]

export interface Plan {
  readonly id: number
  /** One a try; behind the last, the last again. */
  readonly kinds: readonly Kind[]
}

/** What a client can find: a whole answer, or the code of an error. */
export type Found = string

const WHOLE: Found = 'whole'
const INTERRUPTED: Found = 'upstream_stream_interrupted'
const FAULTS: readonly Kind[] = ['rate', 'error', 'busy', 'reset', 'silence', 'hidden', 'cut', 'stall', 'malformed']
/** More tries than a request has. */
const FOR_EVER = 12
const MOST_TRIES = 6
/** With so many faults there is still an endpoint that has not failed this request: all of them must be hidden. */
const MOST_HIDDEN = 2

/** A silent whole answer is waited for far longer than a silent stream: few requests have one. */
export function planOf(id: number, stream: boolean, dice: Dice): Plan {
  const faults = stream || dice.chance(0.05) ? FAULTS : FAULTS.filter((kind) => kind !== 'silence' && kind !== 'stall')
  const end: Kind = dice.chance(0.15) ? dice.pick(['slow', 'big', 'bad'] as const) : 'ok'
  if (dice.chance(0.7)) return { id, kinds: [end] }
  if (dice.chance(0.1)) return { id, kinds: Array.from({ length: FOR_EVER }, () => dice.pick(faults)) }
  return { id, kinds: [...Array.from({ length: 1 + dice.below(MOST_HIDDEN) }, () => dice.pick(faults)), end] }
}

export const textOf = ({ id, kinds }: Plan): string => `soak-${id}-${kinds.join('.')}`

/** Of the text of a request. */
export function planIn(text: string): Plan | undefined {
  const [, id, kinds] = /soak-(\d+)-([a-z.]+)/.exec(text) ?? []
  const known = (kinds ?? '').split('.').flatMap((word) => KINDS.filter((kind) => kind === word))
  return id === undefined || known.length === 0 ? undefined : { id: Number(id), kinds: known }
}

/** Words that are this request's alone, so that another one's show. The same at each try: a broken answer can be gone on with. */
export function wordsOf({ id, kinds }: Plan): string[] {
  const isBig = kinds.at(-1) === 'big'
  return Array.from({ length: isBig ? 60 : 8 }, (_, at) => `r${id}w${at}${isBig ? 'x'.repeat(4096) : ''} `)
}

/** What the client is told of a try, if that is the last word. */
const CODES: Readonly<Record<Exclude<Kind, 'ok' | 'slow' | 'big'>, Found>> = {
  bad: 'invalid_value',
  rate: 'upstream_rate_limited',
  error: 'upstream_error',
  busy: 'upstream_overloaded',
  reset: 'upstream_error',
  silence: 'upstream_timeout',
  hidden: 'upstream_error',
  cut: 'upstream_error',
  stall: 'upstream_timeout',
  malformed: 'upstream_error',
}

/** Each way in which this request may end, as long as its client stays. `continues`: a stream that breaks may be gone on with. */
export function endings({ kinds }: Plan, { stream, continues }: { stream: boolean; continues: boolean }): ReadonlySet<Found> {
  const found = new Set<Found>()
  let firsts: readonly Found[] = []
  let mayBeFree = true
  let begun = false
  let resets = 0
  for (const [failed, kind] of kinds.entries()) {
    if (failed - resets >= MOST_TRIES) break
    // By now the endpoints may be spent.
    if (failed > MOST_HIDDEN) for (const code of firsts) found.add(code)
    if (kind === 'ok' || kind === 'slow' || kind === 'big' || (kind === 'malformed' && stream)) return found.add(WHOLE)
    if (stream && (kind === 'cut' || kind === 'stall')) begun = true
    if (begun) firsts = [INTERRUPTED]
    else if (mayBeFree) firsts = [...firsts, CODES[kind]]
    // A kept connection that is reset as the request comes is no failure: one more try, and what comes next may be the first.
    mayBeFree &&= kind === 'reset'
    if (kind === 'reset') resets++
    // Of a long answer too much may have gone out for anybody to go on with it.
    if (begun && kinds.at(-1) === 'big') found.add(INTERRUPTED)
    if (kind === 'bad' || (begun && !continues)) return union(found, firsts)
  }
  return union(found, firsts)
}

function union(found: Set<Found>, more: readonly Found[]): ReadonlySet<Found> {
  for (const one of more) found.add(one)
  return found
}
