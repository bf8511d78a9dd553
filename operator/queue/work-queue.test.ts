import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeTimers, settled } from './fake-timers.fixture.ts'
import { RETRY_LIMITS, RetryDelays } from './retry-delays.ts'
import { WorkQueue, type WorkQueueOptions, type WorkRecord } from './work-queue.ts'

/** A queue whose work ends when the test says so. */
function bench(options: Partial<WorkQueueOptions> = {}) {
  const timers = new FakeTimers()
  const started: string[] = []
  const endings: (() => void)[] = []
  const work = (key: string): Promise<undefined> => {
    started.push(key)
    return new Promise((resolve) => endings.push(() => resolve(undefined)))
  }
  const queue = new WorkQueue({ name: 'test', concurrency: 2, work, timers, ...options })
  const end = async (): Promise<void> => {
    endings.shift()?.()
    await settled()
  }
  return { timers, started, queue, end }
}

test('a key that waits is worked on once, however often it is added', async () => {
  const { started, queue, end } = bench({ concurrency: 1 })
  for (const key of ['a', 'b', 'b', 'b']) queue.add(key)
  assert.deepEqual(started, ['a'])
  await end()
  await end()
  assert.deepEqual(started, ['a', 'b'])
  assert.equal(queue.reading().depth, 0)
})

test('a key that is added while it runs runs once more afterwards, never twice at a time', async () => {
  const { started, queue, end } = bench()
  queue.add('a')
  queue.add('a')
  queue.add('a')
  assert.deepEqual(started, ['a'])
  await end()
  assert.deepEqual(started, ['a', 'a'])
  await end()
  assert.deepEqual(started, ['a', 'a'])
})

test('no more keys are worked on at a time than allowed', async () => {
  const { started, queue, end } = bench({ concurrency: 2 })
  for (const key of ['a', 'b', 'c']) queue.add(key)
  assert.deepEqual(started, ['a', 'b'])
  assert.deepEqual(queue.reading(), { depth: 1, runningMs: [0, 0] })
  await end()
  assert.deepEqual(started, ['a', 'b', 'c'])
})

test('what throws is tried again after 5, 10, 20 … ms, and from 5 ms again once it has succeeded', async () => {
  const timers = new FakeTimers()
  const at: number[] = []
  let failing = true
  const errors: unknown[] = []
  const queue = new WorkQueue({
    name: 'test',
    concurrency: 1,
    timers,
    onError: (_key, error) => errors.push(error),
    async work() {
      at.push(timers.now())
      if (failing) throw new Error('no')
      return undefined
    },
  })
  queue.add('a')
  await timers.move(35)
  failing = false
  await timers.move(100)
  failing = true
  queue.add('a')
  await timers.move(5)
  const gaps = at.slice(1).map((time, index) => time - (at[index] ?? 0))
  assert.deepEqual(gaps.slice(0, 4), [5, 10, 20, 40])
  assert.equal(gaps.at(-1), 5)
  assert.equal(errors.length, 6)
})

test('back-off has an end, and all failing keys together come no faster than the bucket fills', () => {
  const delays = new RetryDelays(RETRY_LIMITS)
  const waits = Array.from({ length: 60 }, (_, tries) => delays.failed('a', tries * 1_000_000))
  assert.equal(waits.at(-1), 1_000_000)

  const many = new RetryDelays(RETRY_LIMITS)
  const first = Array.from({ length: 150 }, (_, index) => many.failed(`key ${index}`, 0))
  assert.equal(first[99], 5)
  assert.equal(first[149], 5000)
})

test('work that asks for another turn gets it; of two delays the earlier counts', async () => {
  const timers = new FakeTimers()
  let turns = 0
  const queue = new WorkQueue({
    name: 'test',
    concurrency: 1,
    timers,
    async work() {
      turns += 1
      return turns === 1 ? { againAfterMs: 2000 } : undefined
    },
  })
  queue.add('a')
  await timers.move(100)
  queue.addAfter('a', 5000)
  await timers.move(1899)
  assert.equal(turns, 1)
  await timers.move(1)
  assert.equal(turns, 2)
  await timers.move(10_000)
  assert.equal(turns, 2)
  assert.equal(timers.pending, 0)
})

test('a forgotten key does not come back', async () => {
  const { timers, started, queue, end } = bench({ concurrency: 1 })
  queue.add('a')
  queue.add('b')
  queue.addAfter('c', 10)
  queue.forget('b')
  queue.forget('c')
  await end()
  await timers.move(100)
  assert.deepEqual(started, ['a'])
})

test('close works off what waits, drops what is delayed and takes nothing new', async () => {
  const { timers, started, queue, end } = bench({ concurrency: 1 })
  queue.add('a')
  queue.add('b')
  queue.addAfter('c', 10)
  const closed = queue.close()
  queue.add('d')
  await timers.move(20)
  await end()
  await end()
  await closed
  assert.deepEqual(started, ['a', 'b'])
  assert.equal(timers.pending, 0)
})

test('close aborts work that takes too long', async () => {
  const timers = new FakeTimers()
  const queue = new WorkQueue({
    name: 'test',
    concurrency: 1,
    timers,
    work: (_key, signal) => new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
  })
  queue.add('a')
  queue.add('b')
  const closed = queue.close(1000)
  await timers.move(1000)
  await closed
})

test('records tell of each turn', async () => {
  const records: WorkRecord[] = []
  const { timers, queue, end } = bench({ concurrency: 1, onRecord: (record) => records.push(record) })
  queue.add('a')
  queue.add('b')
  await timers.move(7)
  assert.deepEqual(queue.reading(), { depth: 1, runningMs: [7] })
  await end()
  await end()
  assert.deepEqual(records, [
    { what: 'added' },
    { what: 'started', waitedMs: 0 },
    { what: 'added' },
    { what: 'ended', result: 'success', ms: 7 },
    { what: 'started', waitedMs: 7 },
    { what: 'ended', result: 'success', ms: 0 },
  ])
})
