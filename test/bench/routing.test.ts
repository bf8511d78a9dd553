import assert from 'node:assert/strict'
import { test } from 'node:test'
import { capacityOf, EngineModel, type Job } from './routing/engine-model.ts'
import { EventQueue } from './routing/event-queue.ts'
import { outcomeOf, recoveryOf, type Served, spreadOf } from './routing/outcome.ts'
import { ENGINE, SLO } from './routing/scenario.ts'
import { estimate, quantile, ratioOf } from './routing/statistics.ts'
import { diceOf, requestsOf } from './routing/workload.ts'

interface Named extends Job {
  readonly name: number
}

const SHAPE = { maxBatch: 2, stepTokens: 100, promptTokensPerSecond: 1000, stepMs: 10, sequenceMs: 1 }
const job = (name: number, promptTokens: number, outputTokens: number): Named => ({ name, promptTokens, outputTokens })

/** Each step: how long it took, and what it gave, as "job:token". */
function steps(engine: EngineModel<Named>, most: number): [tookMs: number, tokens: string][] {
  const seen: [number, string][] = []
  for (let tookMs = engine.begin(); tookMs !== undefined && seen.length < most; tookMs = engine.begin()) {
    const tokens = engine.finish().map(({ job: { name }, number }) => `${name}:${number}`)
    seen.push([tookMs, tokens.join(' ')])
  }
  return seen
}

test('an engine reads prompts within its steps, and then writes a token a step', () => {
  const engine = new EngineModel<Named>(SHAPE, 1)
  engine.add(job(1, 150, 3))
  assert.deepEqual(steps(engine, 9), [
    [110, ''],
    [60, '1:1'],
    [11, '1:2'],
    [11, '1:3'],
  ])
})

test('those that write go before those that read, and half the speed takes twice the time', () => {
  const engine = new EngineModel<Named>(SHAPE, 0.5)
  engine.add(job(1, 10, 4))
  assert.deepEqual(steps(engine, 1), [[40, '1:1']])
  engine.add(job(2, 100, 1))
  assert.deepEqual(steps(engine, 9), [
    [220, '1:2'],
    [24, '1:3 2:1'],
    [22, '1:4'],
  ])
})

test('jobs begin in order of arrival, no more at once than the batch holds, and none loses or gains a token', () => {
  const engine = new EngineModel<Named>({ ...SHAPE, maxBatch: 3 }, 1)
  const dice = diceOf(1, 'jobs')
  const jobs = Array.from({ length: 200 }, (_, name) => job(name, 1 + Math.floor(dice() * 300), 1 + Math.floor(dice() * 40)))
  for (const one of jobs) engine.add(one)
  const got = new Map<number, number>()
  while (engine.begin() !== undefined) {
    assert.ok(engine.running <= 3)
    for (const { job: one, number } of engine.finish()) {
      assert.equal(number, (got.get(one.name) ?? 0) + 1)
      got.set(one.name, number)
    }
  }
  assert.deepEqual(
    [...got.keys()].toSorted((a, b) => a - b),
    jobs.map(({ name }) => name),
  )
  for (const { name, outputTokens } of jobs) assert.equal(got.get(name), outputTokens)
  assert.deepEqual([engine.running, engine.waiting], [0, 0])
})

test('a job that is removed gets no more tokens, wherever it is', () => {
  const engine = new EngineModel<Named>(SHAPE, 1)
  const jobs = [job(1, 10, 9), job(2, 10, 2), job(3, 10, 1)]
  for (const one of jobs) engine.add(one)
  engine.begin()
  for (const one of [jobs[0], jobs[2]]) if (one !== undefined) engine.remove(one)
  assert.deepEqual(
    engine.finish().map(({ job: { name } }) => name),
    [2],
  )
  assert.deepEqual([engine.running, engine.waiting], [1, 0])
})

test('capacity is what a full batch ends in a second', () => {
  const jobs = Array.from({ length: 2000 }, () => ({ promptTokens: 10, outputTokens: 5 }))
  // Two jobs: a step that reads both prompts (30 ms), four that write two tokens (12 ms each).
  assert.ok(Math.abs(capacityOf(SHAPE, jobs) - 2 / 0.078) < 0.02)
  assert.ok(capacityOf(ENGINE, jobs) > 50)
})

test('events happen in order of time, equal ones in order of adding', () => {
  const queue = new EventQueue()
  const happened: string[] = []
  const note = (name: string) => (): void => void happened.push(`${name}@${queue.nowMs}`)
  queue.add(5, note('c'))
  queue.add(1, () => queue.add(4, note('b')))
  for (const name of ['d', 'e', 'f']) queue.add(5, note(name))
  queue.add(2, note('a'))
  queue.run()
  assert.deepEqual(happened, ['a@2', 'b@4', 'c@5', 'd@5', 'e@5', 'f@5'])
})

test('arrivals are the same for the same seed, and come at their rate', () => {
  assert.deepEqual(requestsOf('bursty', 5, 20, 7), requestsOf('bursty', 5, 20, 7))
  for (const [arrivals, variation] of [
    ['Poisson', 1],
    ['bursty', 3],
  ] as const) {
    const times = [1, 2, 3, 4].flatMap((seed) => requestsOf(arrivals, 10, 1000, seed).map(({ atMs }) => atMs))
    assert.equal(times.length, 40_000)
    const gaps = times.slice(1).map((atMs, at) => Math.max(0, atMs - (times[at] ?? 0)) / 100)
    const squares = gaps.reduce((sum, gap) => sum + gap ** 2, 0) / gaps.length
    assert.ok(Math.abs(Math.sqrt(squares - 1) / variation - 1) < 0.1, `${arrivals}: ${Math.sqrt(squares - 1)}`)
  }
  assert.equal(requestsOf('surges', 10, 100, 1).length, 1000)
})

test('bounds of a mean are those of Student’s t', () => {
  const { mean, low, high } = estimate([1, 2, 3, 4, 5])
  assert.deepEqual([mean, low.toFixed(3), high.toFixed(3)], [3, '1.037', '4.963'])
  assert.deepEqual(ratioOf([2, 6], [1, 2]).mean, 2.5)
  assert.ok(Number.isNaN(estimate([1]).low))
  assert.deepEqual([quantile([3, 1, 2, 4], 0.5), quantile([3, 1, 2, 4], 0.99)], [2, 4])
})

const TIMELINE = { cutAt: 40, recoversAt: 60, endsAt: 100 }
const served = (atMs: number, engine: number, more: Partial<Served> = {}): Served => ({
  atMs,
  engine,
  firstTokenMs: atMs + 100,
  endMs: atMs + 1100,
  outputTokens: 11,
  ...more,
})

test('goodput counts what is within both bounds, of all that was asked', () => {
  const all = [
    served(0, 0),
    served(1000, 0, { firstTokenMs: 1000 + SLO.firstTokenMs, endMs: 1000 + SLO.firstTokenMs + 10 * SLO.tokenMs }),
    served(2000, 0, { firstTokenMs: 2001 + SLO.firstTokenMs }),
    served(3000, 0, { endMs: 3101 + 10 * SLO.tokenMs }),
    served(45_000, 0, { engine: undefined, firstTokenMs: undefined, endMs: undefined }),
  ]
  const { goodput, failed, phases, firstTokenP99Ms } = outcomeOf(all, TIMELINE, 2)
  assert.deepEqual([goodput, failed, phases.slice(0, 2), firstTokenP99Ms], [0.4, 1, [0.5, 0], Number.POSITIVE_INFINITY])
})

test('a spread of 0 is by turns, of 1 by draws, above that is a herd', () => {
  const arrivals = (engineOf: (at: number) => number): Served[] => Array.from({ length: 4000 }, (_, at) => served(at * 25, engineOf(at)))
  const dice = diceOf(3, 'spread')
  assert.ok(
    spreadOf(
      arrivals((at) => at % 4),
      4,
    ) < 0.01,
  )
  assert.ok(
    Math.abs(
      spreadOf(
        arrivals(() => Math.floor(dice() * 4)),
        4,
      ) - 1,
    ) < 0.15,
  )
  assert.ok(
    spreadOf(
      arrivals((at) => Math.floor(at / 100) % 4),
      4,
    ) > 50,
  )
})

test('an engine is back when it has its share of before over five seconds', () => {
  const before = Array.from({ length: 200 }, (_, at) => served(20_000 + at * 100, at % 2))
  const after = Array.from({ length: 400 }, (_, at) => served(60_000 + at * 100, at < 100 ? 0 : at % 2))
  const outcome = outcomeOf([...before, ...after], TIMELINE, 2)
  assert.deepEqual(outcome.shares, [0.5, 0.5])
  assert.deepEqual(recoveryOf([outcome], 0.9, 20), { seconds: 15, kept: 1 })
})
