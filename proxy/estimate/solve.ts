import { FEATURE_COUNT } from './features.ts'

interface Equations {
  readonly weights: Float32Array
  readonly information: Float32Array
  readonly pull: Float32Array
}

const N = FEATURE_COUNT
/** Cholesky's factor, row by row; written by each call before it is read. */
const factor = new Float64Array((N * (N + 1)) / 2)
const unknowns = new Float64Array(N)

/** information · weights = pull. Where that has no sane answer, the weights stay as they are. */
export function solve({ weights, information, pull }: Equations): void {
  if (!factorise(information)) return
  forward(pull)
  backward()
  if (unknowns.every(Number.isFinite)) weights.set(unknowns)
}

/** The part of an estimate, as a variance in tokens², that the answers so far leave open. Infinity where that cannot be told. */
export function openVariance(information: Float32Array, counts: Float64Array): number {
  if (!factorise(information)) return Number.POSITIVE_INFINITY
  forward(counts)
  let variance = 0
  for (const value of unknowns) variance += value * value
  return Number.isFinite(variance) ? variance : Number.POSITIVE_INFINITY
}

function factorise(information: Float32Array): boolean {
  for (let row = 0, cell = 0; row < N; row++) {
    for (let column = 0; column <= row; column++, cell++) {
      let sum = information[cell] ?? 0
      const [ofRow, ofColumn] = [cell - column, (column * (column + 1)) / 2]
      for (let at = 0; at < column; at++) sum -= (factor[ofRow + at] ?? 0) * (factor[ofColumn + at] ?? 0)
      if (row === column && !(sum > 0)) return false
      factor[cell] = row === column ? Math.sqrt(sum) : sum / (factor[ofColumn + column] ?? 1)
    }
  }
  return true
}

function forward(values: ArrayLike<number>): void {
  for (let row = 0, cell = 0; row < N; row++, cell++) {
    let sum = values[row] ?? 0
    for (let at = 0; at < row; at++, cell++) sum -= (factor[cell] ?? 0) * (unknowns[at] ?? 0)
    unknowns[row] = sum / (factor[cell] ?? 1)
  }
}

function backward(): void {
  for (let row = N - 1; row >= 0; row--) {
    let sum = unknowns[row] ?? 0
    for (let at = row + 1; at < N; at++) sum -= (factor[(at * (at + 1)) / 2 + row] ?? 0) * (unknowns[at] ?? 0)
    unknowns[row] = sum / (factor[(row * (row + 3)) / 2] ?? 1)
  }
}
