/** The sixteen provider faults on every route and in both modes, scored: each cell has the score that the scorecard says, and no other. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { DIALECTS } from '../../../proxy/dialects/dialects.ts'
import { CELLS, type Cell, expectedScore, notShown } from './scorecard.ts'
import { type Score, scoreOf } from './scoring.ts'
import { type Fault, IDS, SIXTEEN } from './sixteen.ts'
import { cellsOf, type FaultCase, type Mode, SERVED, wallOf } from './wall.ts'

const keyOf = ({ id, route, mode }: Cell): string => `${id} ${route} ${mode}`
const cellOf = (id: string, { route, stream }: Mode): Cell => ({ id, route, mode: stream ? 'stream' : 'whole' })

const scores = new Map<string, Score[]>()

const scored = (fault: Fault): FaultCase => ({
  ...fault,
  routes: (route) => fault.modes?.every((mode) => notShown({ id: fault.id, route, mode }) !== undefined) !== true,
  check: async (outcome, t) => {
    const cell = cellOf(fault.id, outcome)
    const { score, because } = await scoreOf(fault, outcome)
    if (because !== '') t.diagnostic(`${score}: ${because}`)
    scores.set(keyOf(cell), [...(scores.get(keyOf(cell)) ?? []), score])
    assert.equal(score, expectedScore(cell), because)
  },
})

const CASES: Readonly<Record<string, FaultCase>> = Object.fromEntries(Object.entries(SIXTEEN).map(([name, fault]) => [name, scored(fault)]))

test('every route that inference serves is spoken', () => {
  const spoken = new Set(Object.values(SERVED).map(({ path }) => path))
  assert.deepEqual(
    [...DIALECTS.values()].map(({ path }) => path).filter((path) => !spoken.has(path)),
    [],
  )
})

test('every fault is run on every route and in every mode, or listed as what the route cannot show', () => {
  const faults = Object.values(SIXTEEN)
  const run = new Set(
    Object.entries(SIXTEEN).flatMap(([name, { id }]) => cellsOf(CASES[name] ?? {}).map((mode) => keyOf(cellOf(id, mode)))),
  )
  assert.deepEqual([...new Set(faults.map(({ id }) => id))].sort(), IDS)
  for (const cell of CELLS) assert.notEqual(run.has(keyOf(cell)), notShown(cell) !== undefined, `${keyOf(cell)}: run or listed, not both`)
})

wallOf(CASES)

/** What was seen, for whoever reads the log: one line a fault. */
after(() => {
  for (const id of IDS) process.stdout.write(`${id}  ${summary(CELLS.filter((cell) => cell.id === id))}\n`)
})

const ORDER: readonly Score[] = ['fail', 'safe', 'partial', 'pass']

const worst = (cell: Cell): string => ORDER.find((score) => scores.get(keyOf(cell))?.includes(score)) ?? 'not run'

function summary(cells: readonly Cell[]): string {
  const byScore = Map.groupBy(cells, (cell) => (notShown(cell) === undefined ? worst(cell) : 'not shown'))
  return [...byScore].map(([score, some]) => `${score}: ${some.map(({ route, mode }) => `${route} ${mode}`).join(', ')}`).join('; ')
}
