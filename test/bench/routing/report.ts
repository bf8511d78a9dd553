/** Writes the figures down as Markdown. PURE. */
import type { Gate } from './gates.ts'
import { type CellResult, nameOf } from './grid.ts'
import type { Outcome } from './outcome.ts'
import { REAL_ENGINES, REAL_LOAD, REAL_ROUNDS, REAL_SECONDS, type RealResults } from './real-engines.ts'
import {
  BURST_WORDS,
  CUT,
  ENGINE,
  GATES,
  OUTPUTS,
  PROMPTS,
  SCRAPE,
  SLO,
  SOCKET_TIMELINE,
  SPEEDS,
  type Timeline,
  VIRTUAL_TIMELINE,
  WINDOW_MS,
} from './scenario.ts'
import type { SocketResults } from './socket-grid.ts'
import { meanOf } from './statistics.ts'

export interface Machine {
  readonly processor: string
  readonly cores: number
  readonly node: string
  readonly date: string
}

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')

/** One row a cell, one column a chooser. */
function cellTable(results: readonly CellResult[], show: (outcomes: readonly Outcome[]) => string): string {
  const names = [...(results[0]?.byName.keys() ?? [])]
  return table(
    ['load, arrivals, proxies', ...names],
    results.map(({ cell, byName }) => [nameOf(cell), ...names.map((name) => show(byName.get(name) ?? []))]),
  )
}

const mean = (outcomes: readonly Outcome[], of: (one: Outcome) => number): number => meanOf(outcomes.map(of))
const seconds = (ms: number, digits: number): string => (ms / 1000).toFixed(digits)

const goodput = (outcomes: readonly Outcome[]): string => (100 * mean(outcomes, (one) => one.goodput)).toFixed(1)
const phases = (outcomes: readonly Outcome[]): string =>
  [0, 1, 2].map((at) => (100 * mean(outcomes, (one) => one.phases[at] ?? 0)).toFixed(0)).join(' / ')
const firstToken = (outcomes: readonly Outcome[]): string =>
  `${seconds(
    mean(outcomes, (one) => one.firstTokenP50Ms),
    2,
  )} / ${seconds(
    mean(outcomes, (one) => one.firstTokenP99Ms),
    1,
  )}`
const spread = (outcomes: readonly Outcome[]): string => mean(outcomes, (one) => one.spread).toFixed(2)
const shares = (outcomes: readonly Outcome[]): string =>
  (outcomes[0]?.shares ?? []).map((_, at) => (100 * mean(outcomes, (one) => one.shares[at] ?? 0)).toFixed(0)).join(' / ')

const gateTable = (gates: readonly Gate[]): string =>
  table(
    ['gate', 'where', 'allowed', 'measured', ''],
    gates.map(({ what, where, allowed, measured, passed }) => [what, where, allowed, measured, passed ? 'passed' : '**missed**']),
  )

const times = ({ cutAt, recoversAt, endsAt }: Timeline): string =>
  `${endsAt} s; from ${cutAt} s to ${recoversAt} s the second engine has ${CUT.speed} of its speed`

const fourTables = (
  results: readonly CellResult[],
): string => `Requests that were served within both bounds, in per cent of all that were asked:

${cellTable(results, goodput)}

The same before the cut, in it, and after it:

${cellTable(results, phases)}

Time to the first token, p50 / p99, in seconds:

${cellTable(results, firstToken)}

Spread of the choices before the cut (0 = by turns, 1 = independent draws, above = many at once go to the same engine):

${cellTable(results, spread)}`

export interface VirtualResults {
  readonly seeds: number
  readonly perSecond: number
  readonly targets: readonly CellResult[]
  readonly surges: readonly CellResult[]
  readonly endpoints: readonly CellResult[]
  readonly gates: readonly Gate[]
}

export const quickReport = ({ targets, gates }: VirtualResults): string => `${fourTables(targets)}\n\n${gateTable(gates)}`

export const virtualReport = (
  results: VirtualResults,
): string => `Written by \`make bench-routing\`; the scenario is \`test/bench/routing/scenario.ts\`. Figures do not depend on the machine.

Four engines of speed ${SPEEDS.join(' : ')}, each a target of one policy with the same weight; ${results.seeds} seeds, ${results.perSecond.toFixed(1)} requests a second = 100 %. A run takes ${times(VIRTUAL_TIMELINE)}. Served well is what has its first token within ${SLO.firstTokenMs} ms and each further one within ${SLO.tokenMs} ms on average. "one queue" is no router: one queue for all engines, from which each takes what it can begin at once.

${fourTables(results.targets)}

### Gates

${gateTable(results.gates)}

### More than all engines can do

Within bounds, in per cent, in surges that overload all engines together; no gate, as at 85 % one queue cannot hold it either:

${cellTable(results.surges, goodput)}

### Four endpoints of one model

The same engines and requests, chosen by \`loadBalancing\`; within bounds, in per cent:

${cellTable(results.endpoints, goodput)}

Time to the first token, p50 / p99, in seconds:

${cellTable(results.endpoints, firstToken)}

### How it is measured

* Time is virtual; the shipped decision, live state and compiled table decide, fed as the attempt loop and the prober feed them. Four proxies are four live states that see each other only in what they read of the engines' queues, every ${SCRAPE.everyMs / 1000} s with a jitter of ${SCRAPE.jitter * 100} %. No request fails, nobody retries, and no client leaves.
* An engine of speed 1 runs ${ENGINE.maxBatch} sequences at once, a step of ${ENGINE.stepMs} ms and ${ENGINE.sequenceMs} ms for each that writes, and reads ${ENGINE.promptTokensPerSecond} prompt tokens a second, ${ENGINE.stepTokens} tokens a step at most; what does not fit waits in order of arrival. There is no prefix cache and no shortage of its memory.
* Prompts are lognormal with a median of ${PROMPTS.median} tokens and a sigma of ${PROMPTS.sigma}, answers with ${OUTPUTS.median} and ${OUTPUTS.sigma}. ${BURST_WORDS}
* Every strategy gets the same requests, seed by seed; ratios are taken seed by seed, and their bounds are those of the 95 % interval of their mean by Student's t. 100 % is what all engines end with a full batch all the time.
* With 85 % and the second engine at ${CUT.speed} of its speed there is more to do than the engines can: no router serves all of it within the bounds.
* The spread is counted in windows of ${WINDOW_MS / 1000} s: squared deviations from each engine's share, for those of independent draws. The recovered engine is back when all seeds together send it ${GATES.recoveredShare} of its share of before within five seconds.
`

export const socketReport = (
  { results, clientLateP99Ms }: SocketResults,
  gates: readonly Gate[],
  { seeds, machine }: { seeds: number; machine: Machine },
): string => `Written by \`make bench-routing\`. ${machineLine(machine)}

The same engines and requests as processes and over sockets: four engine processes for each strategy, behind proxy processes as they are shipped, ${seeds} seeds. A run takes ${times(SOCKET_TIMELINE)}.

${fourTables(results)}

### Gates over sockets

${gateTable(gates)}

### How it is measured over sockets

* Strategies run side by side, each with engines and proxies of its own, and are asked the same at the same moments, in real time. An engine process is the same engine model behind HTTP: it keeps its times however busy the machine is, and says what vLLM says of itself; proxies find out what it is and read its queue.
* Proxies do all they do: deadlines, circuits, retries and fallback to another target included.
* Once nothing under way can be within the bounds any more the clients leave; a first token that had not come by then counts as if it had come at that moment.
* With ${seeds} seeds an interval of one cell says little: means count there, and the lower bound of all pairs of all cells together.
* The clients' process was ${Math.max(0, clientLateP99Ms).toFixed(1)} ms late at the 99th percentile.
`

export const realReport = (
  { perSecond, byName }: RealResults,
  machine: Machine,
): string => `Written by \`make bench-routing\`. ${machineLine(machine)}

Three llama-servers with SmolLM2 135M, ${REAL_ENGINES.map(({ slots, threads }) => `\`-np ${slots} -t ${threads}\``).join(', ')}, behind one proxy; ${REAL_ROUNDS} rounds of ${REAL_SECONDS} s by turns, Poisson arrivals at ${REAL_LOAD * 100} % of the ${perSecond.toFixed(2)} requests a second that they end when there are always requests.

${table(
  ['strategy', 'within bounds (%)', 'first token, p50 / p99 (s)', 'shares of the engines (%)', 'failed or left'],
  [...byName].map(([name, outcomes]) => [
    name,
    goodput(outcomes),
    firstToken(outcomes),
    shares(outcomes),
    String(outcomes.reduce((sum, { failed }) => sum + failed, 0)),
  ]),
)}

* All three share the cores of this machine with the proxy and the clients: an engine is as fast as the others leave it, and what one does not use another can. So it shows that the signals of real engines are understood, and that slots and threads nobody declared are found out; how much it gains on machines of their own it does not show.
* The bounds are those of above. ${REAL_ROUNDS} rounds are too few for an interval.
`

const machineLine = ({ processor, cores, node, date }: Machine): string => `${processor}, ${cores} cores, Node ${node}, ${date}.`
