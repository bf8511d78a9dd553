/**
 * `node test/bench/routing/run.ts [--quick] [--parts virtual,sockets,engines] [--seeds N] [--write] [--gate]`: how well strategies route,
 * against each other on the same requests; the scenario is `scenario.ts`. Prints Markdown; `--write` puts it into docs/benchmarks.md, part
 * by part. `--quick`: the virtual grid with ten seeds, in half a minute. `--gate`: a missed gate exits 1. All of it takes about 45 minutes of
 * two cores that have nothing else to do; `engines` needs the fetched engine.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { withRouting } from '../sections.ts'
import { type Gate, socketGates, virtualGates } from './gates.ts'
import { CELLS, endpoints, IDEAL, SURGE_CELLS, targets, virtualGrid } from './grid.ts'
import { runRealEngines } from './real-engines.ts'
import { type Machine, quickReport, realReport, socketReport, type VirtualResults, virtualReport } from './report.ts'
import { ENDPOINT_CHOICES, TARGET_STRATEGIES } from './scenario.ts'
import { socketGrid } from './socket-grid.ts'
import { totalCapacity } from './workload.ts'

const DOCUMENT = join(import.meta.dirname, '..', '..', '..', 'docs/benchmarks.md')
const COMPARED = TARGET_STRATEGIES.slice(0, 3)
const SEEDS = { quick: 10, virtual: 40, sockets: 3 } as const

type Part = 'virtual' | 'sockets' | 'engines'

interface Told {
  readonly text: string
  readonly gates: readonly Gate[]
}

const say = (line: string): void => console.error(`bench: ${line}`)

function virtual(seeds: number, quick: boolean): VirtualResults {
  const choosers = [...(quick ? COMPARED : TARGET_STRATEGIES).map(targets), IDEAL]
  const results = virtualGrid(CELLS, choosers, seeds, say)
  return {
    seeds,
    perSecond: totalCapacity(),
    targets: results,
    surges: quick ? [] : virtualGrid(SURGE_CELLS, choosers, seeds, say),
    endpoints: quick ? [] : virtualGrid(CELLS, ENDPOINT_CHOICES.map(endpoints), seeds, say),
    gates: virtualGates(results),
  }
}

const PARTS: Readonly<Record<Part, (seeds: number | undefined) => Promise<Told>>> = {
  virtual: (seeds = SEEDS.virtual) => {
    const results = virtual(seeds, false)
    return Promise.resolve({ text: virtualReport(results), gates: results.gates })
  },
  sockets: async (seeds = SEEDS.sockets) => {
    const results = await socketGrid(COMPARED.map(targets), seeds, say)
    const gates = socketGates(results.results)
    return { text: socketReport(results, gates, { seeds, machine: machine() }), gates }
  },
  engines: async () => ({ text: realReport(await runRealEngines(say), machine()), gates: [] }),
}

const machine = (): Machine => ({
  processor: cpus()[0]?.model.trim() ?? 'unknown processor',
  cores: cpus().length,
  node: process.versions.node,
  date: new Date().toISOString().slice(0, 10),
})

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      parts: { type: 'string', default: Object.keys(PARTS).join(',') },
      seeds: { type: 'string' },
      write: { type: 'boolean', default: false },
      gate: { type: 'boolean', default: false },
    },
  })
  const seeds = values.seeds === undefined ? undefined : Number(values.seeds)
  const gates: Gate[] = []
  if (values.quick) {
    const results = virtual(seeds ?? SEEDS.quick, true)
    console.log(quickReport(results))
    gates.push(...results.gates)
  } else {
    for (const part of values.parts.split(',').filter(isPart)) {
      const told = await PARTS[part](seeds)
      gates.push(...told.gates)
      if (values.write) writeFileSync(DOCUMENT, withRouting(readFileSync(DOCUMENT, 'utf8'), part, told.text))
      else console.log(told.text)
    }
  }
  const missed = gates.filter(({ passed }) => !passed)
  for (const { what, where, measured } of missed) say(`missed: ${what}, ${where}: ${measured}`)
  say(`${gates.length - missed.length} of ${gates.length} gates passed`)
  if (values.gate && missed.length > 0) process.exitCode = 1
}

const isPart = (name: string): name is Part => name in PARTS

process.setMaxListeners(100) // each program that is started waits for our end
await main()
