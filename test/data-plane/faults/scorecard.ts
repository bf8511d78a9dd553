/** What the sixteen faults are expected to score on every route and in both modes, and as what a page shows it. Compared with the run and with docs/failures.md. */
import type { Score } from './scoring.ts'
import { IDS } from './sixteen.ts'
import { type ModeName, modesOf, SERVED } from './wall.ts'

export interface Cell {
  readonly id: string
  readonly route: string
  readonly mode: ModeName
}

interface Listed {
  readonly ids: readonly string[]
  readonly fits: (cell: Cell) => boolean
  readonly because: string
}

/** What a route cannot show. */
export const NOT_SHOWN: readonly Listed[] = [
  {
    ids: ['S11', 'S14'],
    fits: ({ mode }) => mode === 'whole',
    because: 'an answer without events has no sentinel, and none of it is out before it is whole',
  },
  {
    ids: ['S10'],
    fits: ({ route, mode }) => route === 'speech' && mode === 'whole',
    because: 'its answers are sound, not JSON: any bytes are one',
  },
]

/** What scores less than a pass. */
export const NOT_PASSED: readonly (Listed & { readonly score: Score })[] = [
  {
    ids: ['S08', 'S09', 'S14'],
    fits: ({ route, mode }) => mode === 'stream' && route !== 'chat' && route !== 'completions',
    score: 'safe',
    because: 'continuation is defined for chat and completions; here the stream ends with an error in it',
  },
  {
    ids: ['S08'],
    fits: ({ route, mode }) => mode === 'whole' && route === 'speech',
    score: 'safe',
    because: 'sound passes as it is made; what breaks off breaks the connection',
  },
]

const finds = (list: readonly Listed[], cell: Cell): Listed | undefined => list.find(({ ids, fits }) => ids.includes(cell.id) && fits(cell))

export const notShown = (cell: Cell): string | undefined => finds(NOT_SHOWN, cell)?.because

export const expectedScore = (cell: Cell): Score => NOT_PASSED.find(({ ids, fits }) => ids.includes(cell.id) && fits(cell))?.score ?? 'pass'

/** Every case on every route in every mode that the route has. */
export const CELLS: readonly Cell[] = IDS.flatMap((id) =>
  Object.keys(SERVED).flatMap((route) => modesOf(route).map((mode) => ({ id, route, mode }))),
)

/** The rows of the page's table: routes that score the same in everything share a column. */
export function scorecard(): readonly (readonly string[])[] {
  const columns = new Map<string, string[]>()
  for (const route of Object.keys(SERVED)) {
    const cells = IDS.map((id) =>
      modesOf(route)
        .map((mode) => shown({ id, route, mode }))
        .join(' / '),
    )
    columns.set(cells.join('\n'), [...(columns.get(cells.join('\n')) ?? []), route])
  }
  const scores = [...columns.keys()].map((column) => column.split('\n'))
  const head = [...columns.values()].map((routes) => routes.map((route) => `\`${route}\``).join(' '))
  return [['Id', ...head], ...IDS.map((id, index) => [id, ...scores.map((column) => column[index] ?? '')])]
}

const shown = (cell: Cell): string => (notShown(cell) === undefined ? expectedScore(cell) : '–')
