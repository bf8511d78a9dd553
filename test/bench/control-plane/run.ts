/**
 * `node test/bench/control-plane/run.ts [--rounds N] [--changes N] [--operator-flags=FLAG,…] [--write]`: how fast a change on a real API server is in
 * force at all proxies, and what the shipped operator takes for it. Prints the figures and writes them as JSON; ends with 1 when a gate
 * is missed; `--write` writes its part of docs/benchmarks.md. Everything runs on this machine at once, the API server and all proxies too.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, release } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { TOOLS_DIR } from '../../../scripts/engine/files.ts'
import { withControlPlane } from '../sections.ts'
import { makeChanges, type Timed } from './changes.ts'
import { type Cost, gates, latencyOf, type Results, type Round, type Start } from './figures.ts'
import { Fleet } from './fleet.ts'
import { type Ground, prepareGround } from './ground.ts'
import { nowMs } from './messages.ts'
import { type RunningOperator, startOperator } from './operator.ts'
import { type Machine, report } from './report.ts'
import type { ModelSize } from './sizes.ts'

const GATEWAYS = 10
const PROXIES = 200
const FIRST = { models: 100, endpoints: 16, proxies: 50 }
const SECOND = { models: 1000, endpoints: 10 }
const EVERY_MS = 100
/** With all proxies on one machine: slow enough for each to take each change by itself. */
const COSTED = { changes: 40, everyMs: 500 }
const REST_MS = 4000

const sizesFrom = (from: number, to: number, endpoints: number): readonly ModelSize[] =>
  Array.from({ length: to - from }, (_, index) => ({ index: from + index, endpoints }))
const SMALL = sizesFrom(0, FIRST.models, FIRST.endpoints)
const LARGE = [...SMALL, ...sizesFrom(FIRST.models, SECOND.models, SECOND.endpoints)]
const endpointsIn = (models: readonly ModelSize[]): number => models.reduce((sum, { endpoints }) => sum + endpoints, 0)

interface Effort {
  readonly rounds: number
  readonly changes: number
  readonly nodeArgs: readonly string[]
  readonly writes: boolean
}

async function measureAll(ground: Ground, effort: Effort): Promise<Results> {
  await ground.write(SMALL)
  say(`${SMALL.length} models are written`)
  const { rounds, cost: smallCost } = await withOperator(ground, SMALL, effort, async (operator) => ({
    rounds: await withFleet(ground, operator, SMALL, FIRST.proxies, (fleet) => measureRounds(ground, fleet, effort)),
    cost: await withFleet(ground, operator, SMALL, PROXIES, (fleet) => measureCost(ground, operator, fleet, SMALL)),
  }))
  await ground.write(LARGE.slice(SMALL.length))
  say(`${LARGE.length} models are written`)
  const { start, cost: largeCost } = await withOperator(ground, LARGE, effort, async (operator, startedMs) =>
    withFleet(ground, operator, LARGE, PROXIES, async (fleet) => {
      const cost = await measureCost(ground, operator, fleet, LARGE)
      return { cost, start: await startOf(operator, fleet, startedMs) }
    }),
  )
  const { models, proxies } = FIRST
  return { proxies, models, endpoints: endpointsIn(SMALL), rounds, costs: [smallCost, largeCost], start }
}

async function withOperator<T>(
  ground: Ground,
  models: readonly ModelSize[],
  { nodeArgs }: Effort,
  use: (operator: RunningOperator, startedMs: number) => Promise<T>,
): Promise<T> {
  const startedMs = nowMs()
  const operator = await startOperator(ground, { nodeArgs, models: models.length })
  say(`the operator has read ${models.length} models ${Math.round(operator.startToSyncedMs)} ms after its start`)
  try {
    return await use(operator, startedMs)
  } finally {
    await operator.stop()
  }
}

async function withFleet<T>(
  { proxies }: Ground,
  { pushUrl, caFile }: RunningOperator,
  models: readonly ModelSize[],
  count: number,
  use: (fleet: Fleet) => Promise<T>,
): Promise<T> {
  // Every Service has an address of its own: a last resort.
  const endpoints = endpointsIn(models) + models.length
  const fleet = new Fleet({ operator: pushUrl, caFile, proxies: proxies.slice(0, count), models: models.length, endpoints })
  try {
    await fleet.synced()
    say(`${count} proxies have ${models.length} models`)
    return await use(fleet)
  } finally {
    await fleet.stop()
  }
}

/** The first change only warms things up. */
async function measureRounds(ground: Ground, fleet: Fleet, { rounds, changes }: Effort): Promise<readonly Round[]> {
  await makeChanges(ground, fleet, { models: SMALL, count: 20, everyMs: EVERY_MS })
  const measured: Round[] = []
  for (let round = 1; round <= rounds; round++) {
    measured.push(roundOf(await makeChanges(ground, fleet, { models: SMALL, count: changes, everyMs: EVERY_MS })))
    say(`round ${round}: ${shown(measured.at(-1))}`)
  }
  return measured
}

function roundOf(timed: readonly Timed[]): Round {
  const fromAnswer = (some: readonly Timed[]): Round['fromAnswer'] => latencyOf(some.map(({ fromAnswerMs }) => fromAnswerMs))
  return {
    changes: timed.length,
    fromAnswer: fromAnswer(timed),
    weight: fromAnswer(timed.filter(({ kind }) => kind === 'weight')),
    endpoint: fromAnswer(timed.filter(({ kind }) => kind === 'endpoint')),
    fromSending: latencyOf(timed.map(({ fromSendingMs }) => fromSendingMs)),
  }
}

async function measureCost(ground: Ground, operator: RunningOperator, fleet: Fleet, models: readonly ModelSize[]): Promise<Cost> {
  const { changes, everyMs } = COSTED
  const restPerMs = await restOf(operator)
  const [cpuBefore, pushedBefore, beganMs] = [operator.cpuMs(), await operator.pushed(), nowMs()]
  const timed = await makeChanges(ground, fleet, { models, count: changes, everyMs })
  const [cpuAfter, pushedAfter, tookMs] = [operator.cpuMs(), await operator.pushed(), nowMs() - beganMs]
  const cost: Cost = {
    models: models.length,
    endpoints: endpointsIn(models),
    proxies: fleet.size,
    cpuMsPerChange: (cpuAfter - cpuBefore - restPerMs * tookMs) / changes,
    cpuMsPerSecondAtRest: restPerMs * 1000,
    bytesPerChange: (pushedAfter.bytes - pushedBefore.bytes) / changes / fleet.size,
    fromAnswer: latencyOf(timed.map(({ fromAnswerMs }) => fromAnswerMs)),
  }
  say(`${models.length} models: ${shown(cost)}`)
  return cost
}

/** CPU milliseconds per millisecond while nothing changes, once first statuses have been written. */
async function restOf(operator: RunningOperator): Promise<number> {
  const least: number[] = []
  for (let tries = 0; tries < 6; tries++) {
    const [cpu, at] = [operator.cpuMs(), nowMs()]
    await delay(REST_MS)
    least.push((operator.cpuMs() - cpu) / (nowMs() - at))
    const [before = Number.POSITIVE_INFINITY, last = 0] = least.slice(-2)
    if (least.length > 2 && last > before * 0.8) break
  }
  return Math.min(...least)
}

async function startOf(operator: RunningOperator, fleet: Fleet, startedMs: number): Promise<Start> {
  const { startToSyncedMs, listedToSyncedMs } = operator
  const startToAllProxiesMs = (await fleet.synced()) - startedMs
  const sizes = { models: LARGE.length, endpoints: endpointsIn(LARGE), proxies: fleet.size }
  return { ...sizes, startToSyncedMs, listedToSyncedMs, startToAllProxiesMs, ...operator.memory() }
}

const shown = (value: unknown): string =>
  JSON.stringify(value, (_key, inner) => (typeof inner === 'number' ? Number(inner.toFixed(1)) : inner))

const machine = (): Machine => ({
  processor: cpus()[0]?.model.trim() ?? 'unknown processor',
  cores: cpus().length,
  kernel: release(),
  node: process.versions.node,
  date: new Date().toISOString().slice(0, 10),
})

function say(line: string): void {
  console.error(`bench-control-plane: ${line}`)
}

const DOCUMENT = 'docs/benchmarks.md'
const JSON_FILE = join(TOOLS_DIR, 'bench-control-plane.json')

async function run(effort: Effort): Promise<boolean> {
  if (!existsSync('dist/cli.mjs')) throw new Error('dist/cli.mjs is not there: run make bundle first')
  const ground = await prepareGround({ gateways: GATEWAYS, sidecars: PROXIES - GATEWAYS })
  say(`an API server and ${ground.proxies.length} pods are there`)
  try {
    const results = await measureAll(ground, effort)
    mkdirSync(TOOLS_DIR, { recursive: true })
    writeFileSync(JSON_FILE, `${JSON.stringify({ ...machine(), ...results, gates: gates(results) }, null, 2)}\n`)
    const text = report(results, machine())
    console.log(text)
    if (effort.writes) writeFileSync(DOCUMENT, withControlPlane(readFileSync(DOCUMENT, 'utf8'), text))
    return gates(results).every(({ passed }) => passed)
  } finally {
    await ground.close()
  }
}

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    changes: { type: 'string', default: '200' },
    'operator-flags': { type: 'string', default: '' },
    write: { type: 'boolean', default: false },
  },
})
try {
  const nodeArgs = values['operator-flags'].split(',').filter((flag) => flag !== '')
  const passed = await run({ rounds: Number(values.rounds), changes: Number(values.changes), nodeArgs, writes: values.write })
  process.exitCode = passed ? 0 : 1
} catch (error) {
  console.error(`bench-control-plane: ${error instanceof Error ? error.stack : String(error)}`)
  process.exitCode = 1
}
