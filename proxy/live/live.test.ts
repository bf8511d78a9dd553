import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { makeTable } from '../../test/support/table.ts'
import { CLASSES, type FailureClass } from '../decide/classes.ts'
import { compileTable } from '../routing-table/index.ts'
import { type Guard, Live } from './live.ts'

const tableOf = (...models: readonly string[]): ReturnType<typeof compileTable> =>
  compileTable(
    makeTable({ models: Object.fromEntries(models.map((name) => [name, { backends: [{ url: `http://${name}`, probed: true }] }])) }),
  )

const A = [...tableOf('a').endpoints.keys()].join()

function liveWith(...models: readonly string[]): Live {
  const live = new Live()
  live.apply(tableOf(...models))
  return live
}

const fail = (
  live: Live,
  failure: FailureClass,
  { nowMs = 0, dice = 0.5, retryAfterMs }: { nowMs?: number; dice?: number; retryAfterMs?: number } = {},
): number => {
  live.take(A, nowMs).failed({ class: failure, retryAfterMs, because: failure }, nowMs, dice)
  return live.endpoint(A).coolUntilMs
}

const answer = (live: Live, startedAtMs: number, nowMs = startedAtMs): void => live.take(A, startedAtMs).succeeded(nowMs)

test('in flight is what was taken and not released, however often and in whatever order releases come', () => {
  const step = fc.oneof(fc.constant('take' as const), fc.nat({ max: 20 }))
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const live = liveWith('a')
      const guards: Guard[] = []
      const released = new Set<number>()
      for (const one of steps) {
        if (one === 'take') guards.push(live.take(A))
        else if (one < guards.length) {
          guards[one]?.release()
          released.add(one)
        }
        assert.equal(live.endpoint(A).inFlight, guards.length - released.size)
      }
    }),
  )
})

test('a request that outlives its endpoint releases nothing of one that came back with the same id', () => {
  const live = liveWith('a')
  const old = live.take(A)
  live.apply(tableOf('b'))
  live.apply(tableOf('a'))
  live.take(A)
  old.release()
  assert.equal(live.endpoint(A).inFlight, 1)
})

test('an endpoint that no table has counts nothing', () => {
  const live = liveWith()
  live.take('gone').release()
  live.take('gone', 0).failed({ class: 'REFUSED', because: 'x' }, 0, 0.5)
  live.lacks('gone', 'chat')
  live.report({ endpointId: 'gone', healthy: true, atMs: 0 })
  live.take('gone', 0).succeeded(0)
  assert.equal(live.endpoint('gone').inFlight, 0)
  assert.equal(live.all().size, 0)
})

const PENALTIES: Readonly<Record<string, [number, number]>> = {
  'a refused connection opens the circuit at once': [fail(liveWith('a'), 'REFUSED'), 500],
  'one reset does nothing': [fail(liveWith('a'), 'RETRY_SAME'), 0],
  'overload parks for one to ten seconds': [fail(liveWith('a'), 'CAPACITY'), 5500],
  'overload parks for as long as it says': [fail(liveWith('a'), 'CAPACITY', { retryAfterMs: 200 }), 200],
  'a rate limit parks until it says': [fail(liveWith('a'), 'RATE_LIMIT', { retryAfterMs: 120_000 }), 120_000],
  'nothing is believed for more than an hour': [fail(liveWith('a'), 'RATE_LIMIT', { retryAfterMs: 86_400_000 }), 3_600_000],
  'refused credentials disable for a minute': [fail(liveWith('a'), 'ENDPOINT_DISABLED'), 60_000],
  'a wrong request costs nothing': [fail(liveWith('a'), 'CLIENT_FATAL'), 0],
  'too long a prompt costs nothing': [fail(liveWith('a'), 'CONTEXT'), 0],
  'a content filter costs nothing': [fail(liveWith('a'), 'CONTENT'), 0],
  'what it does not implement costs nothing': [fail(liveWith('a'), 'NOT_IMPLEMENTED'), 0],
}

for (const [name, [coolUntilMs, expected]] of Object.entries(PENALTIES)) test(name, () => assert.equal(coolUntilMs, expected))

test('the third failure in a row opens the circuit; what was on its way then, or is sent in panic, makes it no longer', () => {
  const live = liveWith('a')
  const times = Array.from({ length: 6 }, () => fail(live, 'RETRY_SAME', { dice: 0.999 }))
  assert.deepEqual(times.map(Math.round), [0, 0, 999, 999, 999, 999])
  assert.equal(live.endpoint(A).coolBecause, 'RETRY_SAME')
})

test('each failed probe opens it for longer, up to fifteen seconds', () => {
  const live = liveWith('a')
  fail(live, 'REFUSED', { dice: 0.999 })
  const times = Array.from({ length: 7 }, () => {
    const nowMs = live.endpoint(A).coolUntilMs
    return fail(live, 'RETRY_SAME', { nowMs, dice: 0.999 }) - nowMs
  })
  assert.deepEqual(times.map(Math.round), [1998, 3996, 7992, 14_985, 14_985, 14_985, 14_985])
})

test('a success between failures starts the count anew', () => {
  const live = liveWith('a')
  for (let at = 0; at < 10; at++) {
    fail(live, 'RETRY_SAME', { nowMs: 20_000 * at })
    fail(live, 'OUR_DEADLINE', { nowMs: 20_000 * at })
    answer(live, 20_000 * at)
  }
  assert.equal(live.endpoint(A).coolUntilMs, 0)
})

test('a cool-down says whether the endpoint was out of reach, or an engine asked for it', () => {
  const live = liveWith('a')
  fail(live, 'REFUSED')
  assert.equal(live.endpoint(A).unreached, true)
  fail(live, 'CAPACITY', { dice: 0.9 })
  assert.equal(live.endpoint(A).unreached, false)
})

test('no failure shortens a cool-down', () => {
  const classes = fc.constantFrom(...Object.keys(CLASSES)).filter((name): name is FailureClass => name in CLASSES)
  const failure = fc.record({
    class: classes,
    afterMs: fc.integer({ min: 0, max: 5000 }),
    retryAfterMs: fc.option(fc.integer({ min: 0, max: 100_000 }), { nil: undefined }),
    dice: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  })
  fc.assert(
    fc.property(fc.array(failure), (failures) => {
      const live = liveWith('a')
      let nowMs = 0
      let untilMs = 0
      for (const { class: one, afterMs, retryAfterMs, dice } of failures) {
        nowMs += afterMs
        const closedBefore = live.endpoint(A).coolUntilMs > nowMs
        live.take(A, nowMs).failed({ class: one, retryAfterMs, because: one }, nowMs, dice)
        const { coolUntilMs } = live.endpoint(A)
        assert.ok(coolUntilMs >= untilMs || !closedBefore)
        untilMs = coolUntilMs
      }
    }),
  )
})

test('an answer to a request that began before the cool-down does not end it; one that began in it does', () => {
  const live = liveWith('a')
  fail(live, 'RATE_LIMIT', { nowMs: 1000, retryAfterMs: 30_000 })
  answer(live, 999, 5000)
  assert.equal(live.endpoint(A).coolUntilMs, 31_000)
  answer(live, 1000, 5000)
  assert.equal(live.endpoint(A).coolUntilMs, 0)
  assert.equal(live.endpoint(A).coolBecause, undefined)
})

test('a probe that finds it well again after it was down ends its cool-down and gives back what a 501 took', () => {
  const live = liveWith('a')
  fail(live, 'REFUSED')
  live.lacks(A, 'embeddings')
  live.lacks(A, 'embeddings')
  assert.deepEqual(live.endpoint(A).lacking, ['embeddings'])
  live.report({ endpointId: A, healthy: true, atMs: 1 })
  assert.equal(live.endpoint(A).coolUntilMs, 500)
  live.report({ endpointId: A, healthy: false, reason: 'HTTP 503', atMs: 2 })
  assert.equal(live.endpoint(A).notReadyBecause, 'HTTP 503')
  live.report({ endpointId: A, healthy: true, atMs: 3 })
  const { coolUntilMs, lacking, ready, notReadyBecause } = live.endpoint(A)
  assert.deepEqual(
    { coolUntilMs, lacking, ready, notReadyBecause },
    {
      coolUntilMs: 0,
      lacking: [],
      ready: true,
      notReadyBecause: undefined,
    },
  )
})

test('a report keeps what it does not speak of', () => {
  const live = liveWith('a')
  live.report({
    endpointId: A,
    healthy: true,
    atMs: 1,
    engine: 'vLLM',
    contextWindowTokens: 4096,
    capabilities: ['chat'],
    running: 3,
    waiting: 1,
    signalsAtMs: 1,
  })
  live.report({ endpointId: A, healthy: undefined, atMs: 2 })
  const { ready, engine, contextWindowTokens, capabilities, running, waiting, signalsAtMs, settled } = live.endpoint(A)
  assert.deepEqual(
    { ready, engine, contextWindowTokens, capabilities, running, waiting, signalsAtMs, settled },
    {
      ready: true,
      engine: 'vLLM',
      contextWindowTokens: 4096,
      capabilities: ['chat'],
      running: 3,
      waiting: 1,
      signalsAtMs: 1,
      settled: true,
    },
  )
})

test('signals that can no longer be read are unknown, not what they were', () => {
  const live = liveWith('a')
  live.report({ endpointId: A, healthy: true, atMs: 1, running: 3, waiting: 1, signalsAtMs: 1 })
  live.report({ endpointId: A, healthy: true, atMs: 2, running: 2, signalsAtMs: 2 })
  assert.equal(live.endpoint(A).waiting, undefined)
})

test('an endpoint that is never probed counts as recognised from the start', () => {
  const live = new Live()
  const table = compileTable(
    makeTable({
      models: {
        a: {
          backends: [
            { url: 'http://a', probed: false },
            { url: 'http://b', probed: true },
          ],
        },
      },
    }),
  )
  live.apply(table)
  assert.deepEqual(
    [...live.all().values()].map(({ settled }) => settled),
    [true, false],
  )
})

test('a table swap keeps what is known of endpoints that stay, and forgets the others', () => {
  const live = liveWith('a', 'b')
  live.take(A)
  fail(live, 'REFUSED')
  live.advance([{ key: 'default/b', chosen: 'x', members: [{ id: 'x', weight: 1 }] }])
  live.budget('default/b').retry(0)
  live.latency.add('default/b', 'whole', 1, 1)
  live.apply(tableOf('a', 'c'))
  assert.equal(live.endpoint(A).inFlight, 1)
  assert.equal(live.endpoint(A).coolUntilMs, 500)
  assert.equal(live.all().size, 2)
  assert.equal(live.cursor('default/b'), undefined)
})

test('turns of a policy survive a table swap while its rule is there', () => {
  const swapped = (rule: string): ReturnType<typeof compileTable> =>
    compileTable(makeTable({ models: { a: { backends: [{ url: 'http://a' }] } }, policies: { auto: { name: rule, targets: ['a'] } } }))
  const live = new Live()
  live.apply(swapped('code'))
  live.advance([
    {
      key: 'default/auto/code',
      chosen: 'default/a',
      members: [
        { id: 'default/a', weight: 1 },
        { id: 'x', weight: 1 },
      ],
    },
  ])
  live.apply(swapped('code'))
  assert.equal(live.cursor('default/auto/code')?.get('x'), 0.5)
  live.apply(swapped('other'))
  assert.equal(live.cursor('default/auto/code'), undefined)
})

test('members that come and go for ever leave a bounded cursor', () => {
  const live = liveWith('a')
  for (let at = 0; at < 1000; at++) {
    const members = [at, at + 1].map((member) => ({ id: String(member), weight: 1 }))
    live.advance([{ key: 'default/a', chosen: String(at), members }])
  }
  assert.ok((live.cursor('default/a')?.size ?? 0) <= 66)
})
