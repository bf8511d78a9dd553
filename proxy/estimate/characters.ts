import { isRarePair } from './letter-pairs.ts'

/**
 * Two tables: the code of a UTF-16 unit, and what a code behind another one is (its event). ASCII characters are their own codes; all of
 * another script share one.
 */

const OTHER = 0
const LATIN_LOWER = 1
const LATIN_UPPER = 2
const LATIN_SIGN = 3
const HAN = 4
const WIDE = 5
const LATIN_END = 0x250
/** The only signs among the letters that begin at 0xc0. */
const MULTIPLICATION = 0xd7
const DIVISION = 0xf7
export const CODE_BITS = 7

export const EVENTS = [
  'control',
  'word', // begins
  'wordUpper',
  'latinWord',
  'latinWordUpper',
  'lower',
  'lowerRare', // with the letter before it a pair that is rare in English
  'part', // an upper-case letter behind a lower-case one
  'partRare',
  'latinPart',
  'capital', // behind another one
  'capitalRare',
  'latinCapital',
  'latinLower',
  'digit',
  'sign', // the first of a mark
  'otherSign',
  'sameSign',
  'line',
  'sameLine',
  'space',
  'tab',
  'latinSign',
  'han',
  'sameHan',
  'wide',
] as const
export type Event = (typeof EVENTS)[number]

type Sort =
  | 'lower'
  | 'upper'
  | 'latinLower'
  | 'latinUpper'
  | 'latinSign'
  | 'digit'
  | 'sign'
  | 'line'
  | 'space'
  | 'tab'
  | 'han'
  | 'wide'
  | 'other'

export function codeTable(): Uint8Array {
  const table = new Uint8Array(0x10000).fill(WIDE)
  table.fill(HAN, 0x3400, 0xa000)
  for (let unit = 0; unit < LATIN_END; unit++) table[unit] = codeOf(unit)
  return table
}

function codeOf(unit: number): number {
  if (unit < 0x80) return unit === 0x0d ? 0x0a : unit < 0x20 && unit !== 0x09 && unit !== 0x0a ? OTHER : unit
  const character = String.fromCharCode(unit)
  if (character !== character.toUpperCase()) return LATIN_LOWER
  if (character !== character.toLowerCase()) return LATIN_UPPER
  return unit > MULTIPLICATION && unit !== DIVISION ? LATIN_LOWER : LATIN_SIGN
}

const BEYOND_ASCII: readonly Sort[] = ['other', 'latinLower', 'latinUpper', 'latinSign', 'han', 'wide']

function sortOf(code: number): Sort {
  if (code >= 0x61 && code <= 0x7a) return 'lower'
  if (code >= 0x41 && code <= 0x5a) return 'upper'
  if (code >= 0x30 && code <= 0x39) return 'digit'
  if (code === 0x20) return 'space'
  if (code === 0x0a) return 'line'
  if (code === 0x09) return 'tab'
  return code > 0x20 ? 'sign' : (BEYOND_ASCII[code] ?? 'other')
}

/** By the code before, shifted, and the code: the index of an event. */
export function eventTable(): Uint8Array {
  const sorts = Array.from({ length: 1 << CODE_BITS }, (_, code) => sortOf(code))
  const rows = new Map<Sort, Uint8Array>()
  const table = new Uint8Array(sorts.length * sorts.length)
  for (const [code, sort] of sorts.entries()) {
    const row = rows.get(sort) ?? Uint8Array.from(sorts, (behind) => EVENTS.indexOf(eventOf(sort, behind)))
    rows.set(sort, row)
    table.set(row, code << CODE_BITS)
    if (sort === 'sign') table[(code << CODE_BITS) | code] = EVENTS.indexOf('sameSign')
  }
  markRare(table)
  return table
}

const CASE_BIT = 0x20
const RARE: ReadonlyMap<number, number> = new Map([
  [EVENTS.indexOf('lower'), EVENTS.indexOf('lowerRare')],
  [EVENTS.indexOf('part'), EVENTS.indexOf('partRare')],
  [EVENTS.indexOf('capital'), EVENTS.indexOf('capitalRare')],
])

function markRare(table: Uint8Array): void {
  for (let first = 0x61; first <= 0x7a; first++) {
    for (let second = 0x61; second <= 0x7a; second++) {
      if (!isRarePair(String.fromCharCode(first, second))) continue
      for (const cases of [0, CASE_BIT, CASE_BIT << CODE_BITS, (CASE_BIT << CODE_BITS) | CASE_BIT]) {
        const cell = ((first << CODE_BITS) | second) ^ cases
        table[cell] = RARE.get(table[cell] ?? 0) ?? 0
      }
    }
  }
}

function eventOf(before: Sort, sort: Sort): Event {
  switch (sort) {
    case 'lower':
      return isLetter(before) ? 'lower' : 'word'
    case 'latinLower':
      return isLetter(before) ? 'latinLower' : 'latinWord'
    case 'upper':
      return isLower(before) ? 'part' : isLetter(before) ? 'capital' : 'wordUpper'
    case 'latinUpper':
      return isLower(before) ? 'latinPart' : isLetter(before) ? 'latinCapital' : 'latinWordUpper'
    case 'sign':
      return before === 'sign' ? 'otherSign' : 'sign'
    case 'line':
      return before === 'line' ? 'sameLine' : 'line'
    case 'han':
      return before === 'han' ? 'sameHan' : 'han'
    case 'other':
      return 'control'
    case 'digit':
    case 'space':
    case 'tab':
    case 'latinSign':
    case 'wide':
      return sort
  }
}

function isLower(sort: Sort): boolean {
  return sort === 'lower' || sort === 'latinLower'
}

function isLetter(sort: Sort): boolean {
  return isLower(sort) || sort === 'upper' || sort === 'latinUpper'
}
