/**
 * `node test/bench/routing/run.ts [--quick] [--seeds N]`: how well strategies route, against each other on the same requests; the scenario
 * is `scenario.ts`. `--quick`: the virtual grid with three seeds, printed. `--gate`: a missed gate exits 1.
 */
import { parseArgs } from 'node:util'
import { type Gate, virtualGates } from './gates.ts'
import { CELLS, endpoints, HEAVIER_CELLS, IDEAL, targets, virtualGrid } from './grid.ts'
import { firstTokenTable, gateTable, goodputTable, phaseTable, spreadTable } from './report.ts'
import { ENDPOINT_CHOICES, TARGET_STRATEGIES } from './scenario.ts'

const QUICK_SEEDS = 3
const SEEDS = 40

const say = (line: string): void => console.error(`bench: ${line}`)

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    gate: { type: 'boolean', default: false },
    seeds: { type: 'string' },
  },
})

function virtual(seeds: number, quick: boolean): { text: string; gates: readonly Gate[] } {
  const choosers = [...(quick ? TARGET_STRATEGIES.slice(0, 3) : TARGET_STRATEGIES).map(targets), IDEAL]
  const results = virtualGrid(CELLS, choosers, seeds, say)
  const gates = virtualGates(results)
  const parts = [goodputTable(results), phaseTable(results), firstTokenTable(results), spreadTable(results), gateTable(gates)]
  if (!quick) {
    parts.push(goodputTable(virtualGrid(HEAVIER_CELLS, choosers, seeds, say)))
    parts.push(goodputTable(virtualGrid(CELLS, ENDPOINT_CHOICES.map(endpoints), seeds, say)))
  }
  return { text: parts.join('\n\n'), gates }
}

const { text, gates } = virtual(Number(values.seeds ?? (values.quick ? QUICK_SEEDS : SEEDS)), values.quick)
console.log(text)
const missed = gates.filter(({ passed }) => !passed)
say(`${gates.length - missed.length} of ${gates.length} gates passed`)
if (values.gate && missed.length > 0) process.exitCode = 1
