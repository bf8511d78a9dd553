/** Runs over sockets, cell by cell and seed by seed. */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { type CellResult, nameOf } from './grid.ts'
import { type Outcome, outcomeOf } from './outcome.ts'
import { type Cell, LOADS, PROXIES, SOCKET_TIMELINE, SPEEDS } from './scenario.ts'
import { runSockets } from './sockets.ts'
import type { Routed } from './virtual-proxy.ts'
import { totalCapacity } from './workload.ts'

export const SOCKET_CELLS: readonly Cell[] = LOADS.flatMap((load) =>
  PROXIES.map((proxies): Cell => ({ load, arrivals: 'Poisson', proxies })),
)

export interface SocketResults {
  readonly results: readonly CellResult[]
  /** 99th percentile of how late the clients' own process was; one that is late sees everything late. */
  readonly clientLateP99Ms: number
}

export async function socketGrid(choosers: readonly Routed[], seeds: number, say: (line: string) => void): Promise<SocketResults> {
  const capacity = totalCapacity()
  const late = monitorEventLoopDelay({ resolution: 5 })
  late.enable()
  const results: CellResult[] = []
  for (const cell of SOCKET_CELLS) {
    const byName = new Map<string, Outcome[]>(choosers.map(({ strategy }) => [strategy, []]))
    for (let seed = 1; seed <= seeds; seed++) {
      const served = await runSockets({ ...cell, choosers, timeline: SOCKET_TIMELINE, seed, capacity })
      for (const [at, { strategy }] of choosers.entries()) {
        const outcome = outcomeOf(served[at] ?? [], SOCKET_TIMELINE, SPEEDS.length)
        byName.get(strategy)?.push(outcome)
        say(`${nameOf(cell)}, seed ${seed}: ${strategy} ${(outcome.goodput * 100).toFixed(1)} %, ${outcome.failed} failed or left`)
      }
    }
    results.push({ cell, byName })
  }
  late.disable()
  return { results, clientLateP99Ms: late.percentile(99) / 1e6 - 5 }
}
