/**
 * `node --expose-gc test/bench/decision.ts [--quick]`: what one decision takes, in our own code alone: `decide`, and beside it the calls
 * that change what it sees (turns, one request taken, one ended and its speed learned, every endpoint's queue read each five seconds), at
 * ten thousand decisions a second; those belong to the attempt and the prober, and are not counted in.
 * A model asked for by name, and `auto` by each strategy, over tables of 10 to 10,000 models of 1 or 16 endpoints; then what a million
 * decisions leave in memory. Each decision is timed by itself (the clock's own cost is taken off), so that the slow ones are seen. Takes three minutes.
 */
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { decide } from '../../proxy/decide/decide.ts'
import type { Facts } from '../../proxy/decide/input.ts'
import { Live } from '../../proxy/live/live.ts'
import { compileTable } from '../../proxy/routing-table/compile.ts'
import { STRATEGIES, type Strategy } from '../../proxy/routing-table/v1.ts'
import { makeTable } from '../support/table.ts'

/** Of `auto`, as the table has it at most. */
const MAX_TARGETS = 64
const IN_FLIGHT = 128
const EPOCH_MS = 1e12
/** Each endpoint's queue is read so often. */
const SCRAPE_MS = 5000
/** Ten thousand decisions a second. */
const EVERY_MS = 0.1
const WARM_UP = 20_000
const ROUNDS = 5

interface Size {
  readonly models: number
  readonly endpoints: number
}

interface Case extends Size {
  /** Undefined = asked by name. */
  readonly strategy: Strategy | undefined
  readonly targets: number
}

const { values } = parseArgs({ options: { quick: { type: 'boolean', default: false } } })
const DECISIONS = values.quick ? 20_000 : 100_000
const MANY = values.quick ? 100_000 : 1_000_000

function factsOf(asked: string, promptTokens: number): Facts {
  return {
    route: 'chat',
    path: '/v1/chat/completions',
    asked,
    stream: true,
    needs: ['chat'],
    promptTokens,
    maxOutputTokens: 256,
    headers: {},
    client: { name: 'default/team', namespace: 'default' },
  }
}

/** All of the table's endpoints are up, and tell of their queues; every model has served. */
function kit({ models, endpoints, strategy, targets }: Case): (nowMs: number, dice: number) => number {
  const names = Array.from({ length: models }, (_, at) => `m${at}`)
  const urls = (at: number): string[] => Array.from({ length: endpoints }, (_, one) => `http://10.${at >> 8}.${at & 255}.${one}:8000`)
  const lines = names.map((name, at) => [name, { backends: [{ url: urls(at), probed: true, capabilities: ['chat' as const] }] }] as const)
  const auto = strategy === undefined ? {} : { auto: { strategy, targets: names.slice(0, targets), fallback: {} } }
  const table = compileTable(makeTable({ models: Object.fromEntries(lines), policies: auto }))
  const live = new Live()
  live.apply(table)
  const ids = [...table.endpoints.values()].map(({ id }) => id)
  const scrape = (at: number, nowMs: number): void => {
    const signals = { running: at % 7, waiting: 0, cacheUsed: 0.5, signalsAtMs: nowMs }
    live.report({ endpointId: ids[at] ?? '', healthy: true, engine: 'vLLM', atMs: nowMs, ...signals })
  }
  for (const [at, id] of ids.entries()) {
    scrape(at, EPOCH_MS)
    live.answered(id, { promptTokens: 900, outputTokens: 200, firstTokenMs: 100 + (at % 50), wholeMs: 3000 }, EPOCH_MS)
  }
  let scraped = 0
  const facts = [300, 900, 5000].map((tokens) => factsOf(strategy === undefined ? 'm0' : 'auto', tokens))
  const running: (() => void)[] = []
  let turn = 0
  return (nowMs, dice) => {
    for (; scraped < ((nowMs - EPOCH_MS) / SCRAPE_MS) * ids.length; scraped++) scrape(scraped % ids.length, nowMs)
    const asked = facts[turn++ % facts.length] ?? factsOf('auto', 1)
    const startMs = performance.now()
    const sent = decide({ facts: asked, table, live, nowMs, dice, past: [], turn: false, waitingFor: () => 0 })
    const tookMs = performance.now() - startMs
    if (sent.kind !== 'send') throw new Error(sent.kind)
    live.advance(sent.steps)
    const guard = live.take(sent.endpoint.id, nowMs, asked.promptTokens)
    const { id } = sent.endpoint
    running.push(() => {
      guard.succeeded(nowMs)
      live.answered(id, { promptTokens: asked.promptTokens, outputTokens: 200, firstTokenMs: 120, wholeMs: 3000 }, nowMs)
    })
    if (running.length > IN_FLIGHT) running.shift()?.()
    return tookMs
  }
}

/** What reading the clock twice takes, in ms. */
function clockMs(): number {
  const took = Array.from({ length: 20_000 }, () => -performance.now() + performance.now()).sort((a, b) => a - b)
  return took[took.length >> 1] ?? 0
}

interface Figures {
  readonly p50: number
  readonly p99: number
  /** With what happened beside it: collections of garbage, other programs on the same cores. */
  readonly p99Seen: number
}

/**
 * The same decisions in several rounds, each round from the same start: the least time of each decision is what its own work takes, and the
 * 99th percentile of these is that of the decisions with the most work.
 */
function measure(one: Case): Figures {
  const clock = clockMs()
  const least = new Float64Array(DECISIONS).fill(Number.POSITIVE_INFINITY)
  const seen = Array.from({ length: ROUNDS }, () => roundOf(one, least))
  const micros = (took: Float64Array, share: number): number => Math.max(0, (took[Math.floor(DECISIONS * share)] ?? 0) - clock) * 1000
  const sorted = least.toSorted()
  return { p50: micros(sorted, 0.5), p99: micros(sorted, 0.99), p99Seen: Math.min(...seen.map((took) => micros(took, 0.99))) }
}

/** The times of one round, sorted; lowers `least` by them. */
function roundOf(one: Case, least: Float64Array): Float64Array {
  const decision = kit(one)
  for (let at = 0; at < WARM_UP; at++) decision(EPOCH_MS + at * EVERY_MS, (at % 997) / 997)
  const took = new Float64Array(DECISIONS)
  for (let at = 0; at < DECISIONS; at++) {
    const tookMs = decision(EPOCH_MS + (at + WARM_UP) * EVERY_MS, (at % 997) / 997)
    took[at] = tookMs
    least[at] = Math.min(least[at] ?? tookMs, tookMs)
  }
  return took.sort()
}

/** Bytes that `MANY` decisions have left on the heap. */
function growth(): number | undefined {
  const { gc } = globalThis
  if (gc === undefined) return undefined
  const decision = kit({ models: 100, endpoints: 16, strategy: 'Adaptive', targets: MAX_TARGETS })
  for (let at = 0; at < MANY / 10; at++) decision(EPOCH_MS + at * EVERY_MS, (at % 997) / 997)
  gc()
  const before = process.memoryUsage().heapUsed
  for (let at = 0; at < MANY; at++) decision(EPOCH_MS + (at + MANY / 10) * EVERY_MS, (at % 997) / 997)
  gc()
  return process.memoryUsage().heapUsed - before
}

function row(name: string, one: Case): void {
  const { p50, p99, p99Seen } = measure(one)
  console.log(`| ${name} | ${one.models} | ${one.endpoints} | ${p50.toFixed(1)} | ${p99.toFixed(1)} | ${p99Seen.toFixed(1)} |`)
}

console.log(
  `${cpus()[0]?.model.trim()}, ${cpus().length} cores, Node ${process.versions.node}; µs a decision; ${DECISIONS} decisions, the least of ${ROUNDS} rounds each\n`,
)
console.log('| asked | models | endpoints each | p50 | p99 | p99 with what else ran |\n|---|---|---|---|---|---|')
for (const models of [10, 100, 1000, 10_000]) {
  for (const endpoints of models > 1000 ? [1] : [1, 16]) {
    const targets = Math.min(models, MAX_TARGETS)
    row('a model by name', { models, endpoints, strategy: undefined, targets: 0 })
    row(`auto, Adaptive, ${targets} targets`, { models, endpoints, strategy: 'Adaptive', targets })
  }
}
for (const targets of [16, MAX_TARGETS])
  for (const strategy of STRATEGIES) row(`auto, ${strategy}, ${targets} targets`, { models: 100, endpoints: 16, strategy, targets })
const bytes = growth()
if (bytes !== undefined)
  console.log(
    `\n${MANY} decisions left ${Math.round(bytes / 1024)} KiB on the heap (100 models of 16 endpoints, Adaptive over ${MAX_TARGETS}).`,
  )
