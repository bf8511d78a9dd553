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

/** With many seeds: each bound holds for the bound of its 95 % interval. */
export const virtualGates = (results: readonly CellResult[]): readonly Gate[] => [
  ...results.flatMap(goodputGates),
  ...results.map(firstTokenGate),
  ...herdingGates(results),
  ...results.flatMap(recoveryGates),
]

function goodputGates(result: CellResult): readonly Gate[] {
  const where = nameOf(result.cell)
  const goodput = (name: string): readonly number[] => outcomesOf(result, name).map((one) => one.goodput)
  const toRoundRobin = ratioOf(goodput(OURS), goodput('WeightedRoundRobin'))
  const toLeastLoad = ratioOf(goodput(OURS), goodput('LeastLoad'))
  const words = ({ mean, low }: typeof toLeastLoad): string => `${mean.toFixed(3)}, lower bound ${low.toFixed(3)}`
  return [
    atLeast('goodput ÷ round robin’s', where, toRoundRobin.low, GATES.toRoundRobin, words(toRoundRobin)),
    atLeast('goodput ÷ least-loaded’s', where, toLeastLoad.low, GATES.toLeastLoad, words(toLeastLoad)),
  ]
}

function firstTokenGate(result: CellResult): Gate {
  const p99 = (name: string): readonly number[] => outcomesOf(result, name).map((one) => one.firstTokenP99Ms)
  const ratio = ratioOf(p99(OURS), p99('WeightedRoundRobin'))
  const words = `${ratio.mean.toFixed(3)}, upper bound ${ratio.high.toFixed(3)}`
  return atMost('p99 to the first token ÷ round robin’s', nameOf(result.cell), ratio.high, GATES.firstToken, words)
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

export const atLeast = (what: string, where: string, value: number, least: number, measured: string): Gate => ({
  what,
  where,
  allowed: `≥ ${least}`,
  measured,
  passed: value >= least,
})

export const atMost = (what: string, where: string, value: number, most: number, measured: string): Gate => ({
  what,
  where,
  allowed: `≤ ${Number(most.toFixed(3))}`,
  measured,
  passed: value <= most,
})
