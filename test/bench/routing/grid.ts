/** All cells of the scenario, each chooser with the same requests, seed by seed. */
import type { EndpointStrategy, Strategy } from '../../../proxy/routing-table/v1.ts'
import { type Outcome, outcomeOf } from './outcome.ts'
import { ARRIVALS, type Arrivals, type Cell, type Chooser, LOADS, PROXIES, SPEEDS, VIRTUAL_TIMELINE } from './scenario.ts'
import { runVirtual } from './virtual.ts'
import type { Routed } from './virtual-proxy.ts'
import { totalCapacity } from './workload.ts'

/** Outcomes of one cell by chooser's name, each in the order of the seeds. */
export interface CellResult {
  readonly cell: Cell
  readonly byName: ReadonlyMap<string, readonly Outcome[]>
}

const cellsOf = (kinds: readonly Arrivals[]): readonly Cell[] =>
  LOADS.flatMap((load) => kinds.flatMap((arrivals) => PROXIES.map((proxies) => ({ load, arrivals, proxies }))))

export const CELLS = cellsOf(ARRIVALS)
export const targets = (strategy: Strategy): Routed => ({ kind: 'targets', strategy })
export const endpoints = (strategy: EndpointStrategy): Routed => ({ kind: 'endpoints', strategy })

export const IDEAL: Chooser = { kind: 'ideal', strategy: 'one queue' }

/** Shown, without gates. */
export const SURGE_CELLS = cellsOf(['surges'])

export function virtualGrid(
  cells: readonly Cell[],
  choosers: readonly Chooser[],
  seeds: number,
  say: (line: string) => void,
): readonly CellResult[] {
  const capacity = totalCapacity()
  return cells.map((cell) => {
    const startMs = performance.now()
    const outcome = (chooser: Chooser, seed: number): Outcome =>
      outcomeOf(runVirtual({ ...cell, chooser, timeline: VIRTUAL_TIMELINE, seed, capacity }), VIRTUAL_TIMELINE, SPEEDS.length)
    const byName = new Map(
      choosers.map((chooser) => [chooser.strategy, Array.from({ length: seeds }, (_, seed) => outcome(chooser, seed + 1))]),
    )
    say(`${nameOf(cell)}: ${((performance.now() - startMs) / 1000).toFixed(1)} s`)
    return { cell, byName }
  })
}

export const nameOf = ({ load, arrivals, proxies }: Cell): string =>
  `${(load * 100).toFixed(0)} %, ${arrivals}, ${proxies} ${proxies === 1 ? 'proxy' : 'proxies'}`

export function outcomesOf({ cell, byName }: CellResult, name: string): readonly Outcome[] {
  const outcomes = byName.get(name)
  if (outcomes === undefined) throw new Error(`${nameOf(cell)}: no run of ${name}`)
  return outcomes
}
