/** Writes the figures down as Markdown. PURE. */
import { gates, type Latency, median, type Results } from './figures.ts'

export interface Machine {
  readonly processor: string
  readonly cores: number
  readonly kernel: string
  readonly node: string
  readonly date: string
}

export function report(results: Results, machine: Machine): string {
  const { proxies, models, endpoints, rounds, costs, start } = results
  const ms = (value: number): string => value.toFixed(0)
  const both = ({ p50, p99 }: Latency): string => `${ms(p50)} / ${ms(p99)}`
  const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
    [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
  const p99 = rounds.map(({ fromAnswer }) => fromAnswer.p99)
  return `Written by \`make bench-control-plane\`. ${machine.processor}, ${machine.cores} cores, Linux ${machine.kernel}, Node ${machine.node}, ${machine.date}.

### A change, until the last of ${proxies} proxies has it in force

${models} models with ${endpoints} endpoints; milliseconds, p50 / p99.

${table(
  ['round', 'changes', 'from the API server’s answer', 'of these, a weight', 'of these, an endpoint', 'from just before the request'],
  rounds.map((round, index) => [
    String(index + 1),
    String(round.changes),
    ...[round.fromAnswer, round.weight, round.endpoint, round.fromSending].map(both),
  ]),
)}

p99 of the rounds: lowest ${ms(Math.min(...p99))}, median ${ms(median(p99))}.

### What a change costs the operator

${table(
  ['models', 'endpoints', 'proxies', 'CPU per change (ms)', 'CPU at rest (ms/s)', 'bytes to each proxy', 'at all proxies, p50 / p99 (ms)'],
  costs.map((cost) => [
    ...[cost.models, cost.endpoints, cost.proxies].map(String),
    cost.cpuMsPerChange.toFixed(1),
    cost.cpuMsPerSecondAtRest.toFixed(0),
    ms(cost.bytesPerChange),
    both(cost.fromAnswer),
  ]),
)}

### Start with ${start.models} models, ${start.endpoints} endpoints and ${start.proxies} proxies that dial

${table(
  ['', ''],
  [
    ['from start to synced', `${ms(start.startToSyncedMs)} ms`],
    ['from all listed to synced', `${ms(start.listedToSyncedMs)} ms`],
    ['from start until the last proxy has the whole table', `${ms(start.startToAllProxiesMs)} ms`],
    ['memory of the operator after all of it', `${ms(start.nowMb)} MB`],
    ['memory of the operator, the most it ever was', `${ms(start.peakMb)} MB`],
  ],
)}

### How it is measured

* An API server, its etcd, the operator and all proxies share this machine's ${machine.cores} cores: in a cluster the proxies have their own. The operator is the shipped bundle, under its own ServiceAccount, served namespace and rights, started with the flags of \`scripts/node-flags.ts\`.
* A proxy here is the product's receiving side, from the TLS socket to the compiled table: its own connection, token and table, some fifty of them in a process, without what serves requests and without a copy on disk. Ten are gateways, which report on every endpoint; the others are sidecars.
* Every model has a Service and an EndpointSlice written by hand, without Pods behind them: their addresses are permitted by \`--allow-addresses\`. An operator that also watches 10,000 Pods takes more memory.
* Changes go out ten a second, a model's weight and an endpoint's address by turns, and each is timed until the last proxy has swapped its table. What a change costs is measured at two a second, so that 200 proxies on one machine take each by itself.
* CPU is the operator's own, by the scheduler's clock, without what it takes at rest; it includes writing statuses.

### Gates

${table(
  ['gate', 'allowed', 'measured', ''],
  gates(results).map(({ what, allowed, measured, passed }) => [what, allowed, measured, passed ? 'passed' : '**missed**']),
)}
`
}
