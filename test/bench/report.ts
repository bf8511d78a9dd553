/** Writes the figures down as Markdown. PURE. */
import { FIGURES, type Figures, gates, type Results } from './figures.ts'

export interface Machine {
  readonly processor: string
  readonly cores: number
  readonly kernel: string
  readonly node: string
  readonly nginx: string
  readonly date: string
}

const LABELS: Readonly<Record<keyof Figures, readonly [label: string, digits: number]>> = {
  cpu1k: ['CPU per request at full load, 1 KiB each way (µs)', 1],
  cpu64k: ['CPU per request at full load, 64 KiB each way (µs)', 1],
  cpu1kAtRate: ['CPU per request at 1,000/s, 1 KiB each way (µs)', 1],
  cpuEvent: ['CPU per event, 100 streams (µs)', 2],
  p50: ['latency at 1,000 requests/s, p50 (µs)', 0],
  p99: ['latency at 1,000 requests/s, p99 (µs)', 0],
  eventP50: ['event on its way, 100 streams, p50 (µs)', 0],
  eventP99: ['event on its way, 100 streams, p99 (µs)', 0],
  streamsMb: ['memory at 1,000 streams (MB)', 0],
  otherLoadsMb: ['memory under the loads above (MB)', 0],
}

const ADDED: readonly (keyof Figures)[] = ['p50', 'p99', 'eventP50', 'eventP99']

export function report(results: Results, machine: Machine, rounds: number): string {
  return `# Benchmarks

Written by \`make bench\`; run it on your own machine. Figures depend on the machine, ratios hardly do.

${machineLine(machine)}

| | direct | nginx | llama-swap | ratio to nginx | added to direct |
|---|---|---|---|---|---|
${FIGURES.map((name) => row(name, results)).join('\n')}

From start to the line that says it listens: ${results.listeningMs.toFixed(0)} ms; to ready: ${results.readyMs.toFixed(0)} ms.

## Gates

| Gate | Allowed | Measured | |
|---|---|---|---|
${gates(results)
  .map(({ what, allowed, measured, passed }) => `| ${what} | ${allowed} | ${measured} | ${passed ? 'passed' : '**missed**'} |`)
  .join('\n')}

## How it is measured

* One run measures all three by turns, ${rounds} rounds; each figure is the lowest of its rounds. What is measured has the first core alone; load generator (\`test/bench/lg.c\`) and model server (\`test/bench/mock.c\`) share the second. All traffic stays on loopback.
* llama-swap is the shipped bundle, started with \`--max-semi-space-size=8\`, with authentication, metrics, health probes, access log and a table of 50 models. nginx is one process with kept connections, no log and no checks.
* CPU time is the process's own, user and system, by the scheduler's clock. Full load is 64 connections that ask again as soon as they are answered; at 1,000 requests/s most of the time goes into waking up. Streams are paced: 50 events/s of 250 bytes each; their starts and ends count as part of their events.
* Latency is counted from the time at which a request was due, not from when it was sent, so that a stall is seen by all requests it delays. An event carries the time of its sending.
* Memory is the highest resident size: of a fresh process while 1,000 streams run, 10 events a second each, and of the process that took all the loads above.
`
}

const machineLine = (machine: Machine): string =>
  `${machine.processor}, ${machine.cores} cores, Linux ${machine.kernel}, Node ${machine.node}, nginx ${machine.nginx}, ${machine.date}.`

function row(name: keyof Figures, { direct, nginx, proxy }: Results): string {
  const [label, digits] = LABELS[name]
  const added = ADDED.includes(name)
  const cells = [
    added ? direct[name].toFixed(digits) : '',
    nginx[name].toFixed(digits),
    proxy[name].toFixed(digits),
    (proxy[name] / nginx[name]).toFixed(2),
    added ? (proxy[name] - direct[name]).toFixed(digits) : '',
  ]
  return `| ${label} | ${cells.join(' | ')} |`
}
