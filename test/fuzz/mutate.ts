import type { Dice } from '../support/dice.ts'
import type { Target } from './target.ts'

const MAX_BYTES = 64 * 1024
const NUMBERS = ['0', '-1', '1', '-0', '1e400', '1e-7', '9007199254740993', '2147483648', '0.1', '1E+2', '00', '-', '1.']
const VALUES: readonly unknown[] = [
  null,
  true,
  false,
  0,
  -1,
  1.5,
  1e300,
  '',
  'x',
  '__proto__',
  '\u0000',
  '\ud800',
  [],
  {},
  [[]],
  [null],
  { x: 1 },
]
const BYTES = [
  0x00, 0x09, 0x0a, 0x0d, 0x20, 0x22, 0x2c, 0x2d, 0x30, 0x3a, 0x5c, 0x5b, 0x5d, 0x7b, 0x7d, 0x7f, 0x80, 0xbf, 0xc3, 0xe2, 0xed, 0xef, 0xf0,
  0xff,
]

/** One to eight changes of an input. `others`: what pieces may be taken from. */
export function mutate(input: Buffer, target: Pick<Target, 'json' | 'tokens'>, others: readonly Buffer[], dice: Dice): Buffer {
  let bytes = input
  for (let left = 1 + dice.below(dice.chance(0.2) ? 8 : 2); left > 0; left--) {
    const changed = target.json === true && dice.chance(0.6) ? changeValue(bytes, dice) : undefined
    bytes = (changed ?? changeBytes(bytes, target.tokens, others, dice)).subarray(0, MAX_BYTES)
  }
  return bytes
}

function changeBytes(bytes: Buffer, tokens: readonly string[], others: readonly Buffer[], dice: Dice): Buffer {
  const at = dice.below(bytes.length + 1)
  const to = Math.min(bytes.length, at + dice.below(dice.chance(0.7) ? 8 : 200))
  const put = (piece: Uint8Array, until: number): Buffer => Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(until)])
  switch (dice.below(9)) {
    case 0:
      return put(Buffer.of(dice.pick(BYTES)), at + 1)
    case 1:
      return put(Buffer.of(dice.below(256)), at)
    case 2:
      return put(Buffer.alloc(0), to)
    case 3:
      return put(Buffer.concat(Array.from({ length: 1 + dice.below(dice.chance(0.1) ? 300 : 3) }, () => bytes.subarray(at, to))), at)
    case 4:
      return put(pieceOf(dice.pick(others), dice), dice.chance(0.5) ? to : at)
    case 5:
      return put(Buffer.from(dice.pick(NUMBERS)), dice.chance(0.5) ? to : at)
    case 6:
      return bytes.subarray(0, at)
    default:
      return put(Buffer.from(dice.pick(tokens)), dice.chance(0.5) ? to : at)
  }
}

function pieceOf(other: Buffer, dice: Dice): Buffer {
  const from = dice.below(other.length + 1)
  return other.subarray(from, from + dice.below(100))
}

interface Place {
  readonly holder: object
  readonly key: string
}

/** Another value, no value, or a value from elsewhere at one place of a JSON text. Undefined: it is none, or has no place. */
function changeValue(bytes: Buffer, dice: Dice): Buffer | undefined {
  const root = parse(bytes)
  const places: Place[] = []
  collect(root, places)
  if (places.length === 0) return undefined
  const { holder, key } = dice.pick(places)
  const other = dice.pick(places)
  switch (dice.below(4)) {
    case 0:
      Reflect.deleteProperty(holder, key)
      break
    case 1:
      Reflect.set(holder, key, structuredClone(Reflect.get(other.holder, other.key)))
      break
    case 2:
      Reflect.set(holder, other.key, dice.pick(VALUES))
      break
    default:
      Reflect.set(holder, key, dice.pick(VALUES))
  }
  return Buffer.from(JSON.stringify(root))
}

function collect(value: unknown, places: Place[]): void {
  if (typeof value !== 'object' || value === null) return
  for (const key of Object.keys(value)) {
    places.push({ holder: value, key })
    collect(Reflect.get(value, key), places)
  }
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString())
  } catch {
    return undefined // no JSON (any more): its bytes are changed
  }
}
