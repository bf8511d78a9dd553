/** What has to come out, cell by cell. PURE. */
import { type CellResult, nameOf, outcomesOf } from './grid.ts'
import { recoveryOf } from './outcome.ts'
import { GATES } from './scenario.ts'
import { meanOf, ratioOf } from './statistics.ts'

export interface Gate {
  readonly what: string
  readonly where: string
  readonly allowed: string
  readonly measured: string
  readonly passed: boolean
}

const OURS = 'Adaptive'

/** With many seeds: what is allowed holds for the bound of the 95 % interval. */
export const virtualGates = (results: readonly CellResult[]): readonly Gate[] => [
  ...results.flatMap((result) => goodputGates(result, 'bound')),
  ...results.map((result) => firstTokenGate(result, 'bound')),
  ...herdingGates(results),
  ...results.flatMap(recoveryGates),
]

/** With three seeds an interval of one cell says little: means count there, and the lower bound of all pairs of all cells together. */
export const socketGates = (results: readonly CellResult[]): readonly Gate[] => [
  ...results.flatMap((result) => goodputGates(result, 'mean')),
  allGoodputGate(results),
  ...results.map((result) => firstTokenGate(result, 'mean')),
  ...herdingGates(results),
  ...results.flatMap(recoveryGates),
]

type By = 'bound' | 'mean'

const goodputOf = (result: CellResult, name: string): readonly number[] => outcomesOf(result, name).map(({ goodput }) => goodput)

function allGoodputGate(results: readonly CellResult[]): Gate {
  const all = (name: string): readonly number[] => results.flatMap((result) => goodputOf(result, name))
  const { mean, low } = ratioOf(all(OURS), all('WeightedRoundRobin'))
  const words = `${mean.toFixed(3)}, lower bound ${low.toFixed(3)}`
  return atLeast('goodput ÷ round robin’s', 'all pairs together', low, GATES.toRoundRobin, words)
}

function goodputGates(result: CellResult, by: By): readonly Gate[] {
  const where = nameOf(result.cell)
  const gate = (what: string, other: string, least: number): Gate => {
    const { mean, low } = ratioOf(goodputOf(result, OURS), goodputOf(result, other))
    return atLeast(what, where, by === 'bound' ? low : mean, least, `${mean.toFixed(3)}, lower bound ${low.toFixed(3)}`)
  }
  return [
    gate('goodput ÷ round robin’s', 'WeightedRoundRobin', GATES.toRoundRobin),
    gate('goodput ÷ least-loaded’s', 'LeastLoad', GATES.toLeastLoad),
  ]
}

function firstTokenGate(result: CellResult, by: By): Gate {
  const p99 = (name: string): readonly number[] => outcomesOf(result, name).map(({ firstTokenP99Ms }) => firstTokenP99Ms)
  const { mean, high } = ratioOf(p99(OURS), p99('WeightedRoundRobin'))
  const words = `${mean.toFixed(3)}, upper bound ${high.toFixed(3)}`
  return atMost('p99 to the first token ÷ round robin’s', nameOf(result.cell), by === 'bound' ? high : mean, GATES.firstToken, words)
}

const spreadOf = (result: CellResult): number => meanOf(outcomesOf(result, OURS).map(({ spread }) => spread))

function herdingGates(results: readonly CellResult[]): readonly Gate[] {
  return results.flatMap((four) => {
    const { load, arrivals, proxies } = four.cell
    const one = results.find(({ cell }) => cell.load === load && cell.arrivals === arrivals && cell.proxies === 1)
    if (proxies === 1 || one === undefined) return []
    const most = GATES.herding * Math.max(1, spreadOf(one))
    return [
      atMost(
        'spread of choices',
        nameOf(four.cell),
        spreadOf(four),
        most,
        `${spreadOf(four).toFixed(2)}, one proxy ${spreadOf(one).toFixed(2)}`,
      ),
    ]
  })
}

function recoveryGates(result: CellResult): readonly Gate[] {
  const where = nameOf(result.cell)
  const { recoveredShare, recoveredAfterSeconds } = GATES
  const { seconds, kept } = recoveryOf(outcomesOf(result, OURS), recoveredShare, recoveredAfterSeconds)
  const back = seconds ?? Number.POSITIVE_INFINITY
  return [
    atMost(`seconds until the recovered engine has ${recoveredShare} of its share`, where, back, recoveredAfterSeconds, String(back)),
    atLeast('its share from then on', where, kept, recoveredShare, kept.toFixed(2)),
  ]
}

const atLeast = (what: string, where: string, value: number, least: number, measured: string): Gate => ({
  what,
  where,
  allowed: `≥ ${least}`,
  measured,
  passed: value >= least,
})

const atMost = (what: string, where: string, value: number, most: number, measured: string): Gate => ({
  what,
  where,
  allowed: `≤ ${Number(most.toFixed(3))}`,
  measured,
  passed: value <= most,
})
