/**
 * What holds for every order in which clients, upstreams, tables and time do things: each request is answered exactly once, by one target
 * unless it is gone on with, within its deadline; and when all is over nothing is left: no slot, no reservation, no waiter, no timer.
 */
import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import fc from 'fast-check'
import { ERRORS } from '../proxy/errors.ts'
import type { RoutingTable } from '../proxy/routing-table/v1.ts'
import { MOVES, type Move } from './properties/exchange.ts'
import { type Client, Ground } from './properties/ground.ts'
import { quiet, VirtualClock } from './properties/virtual-clock.ts'
import { Dice } from './support/dice.ts'
import { jsonOf, ROUTES } from './support/routes.ts'
import { makeTable } from './support/table.ts'

const RUNS = 200
const SEED = 20_260_101
const MOST_ATTEMPTS = 6
const MOST_TRIES_OF_AN_ENDPOINT = 2
const QUEUED = 'default/one-at-a-time'
/** Longer than any deadline and any wait of the tables below. */
const ENOUGH_SECONDS = 400

type Step =
  | { readonly do: 'ask'; readonly model: string; readonly stream: boolean; readonly deadlineMs: number | undefined }
  | { readonly do: 'move'; readonly which: number; readonly move: Move }
  | { readonly do: 'wait'; readonly ms: number }
  | { readonly do: 'leave' | 'pause' | 'resume'; readonly which: number }
  | { readonly do: 'push'; readonly table: number }

const which = fc.nat(4)
const steps: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({
        do: fc.constant('ask' as const),
        model: fc.constantFrom('auto', 'one-at-a-time', 'rationed'),
        stream: fc.boolean(),
        deadlineMs: fc.constantFrom(undefined, undefined, 900, 4000),
      }),
    },
    { weight: 10, arbitrary: fc.record({ do: fc.constant('move' as const), which, move: fc.constantFrom(...MOVES) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(5, 150, 1100, 3000, 16_000) }) },
    {
      weight: 3,
      arbitrary: fc.record({ do: fc.constantFrom('leave' as const, 'leave' as const, 'pause' as const, 'resume' as const), which }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('push' as const), table: fc.nat(3) }) },
  ),
  { minLength: 3, maxLength: 40 },
)

const TIMEOUTS = { firstTokenMs: 5000, streamIdleMs: 4000 }
const urls = (letter: string, count: number): string[] => Array.from({ length: count }, (_, at) => `http://${letter}${at}.example`)

/** 0: as it begins; 1: an endpoint less; 2: the fallback is gone; 3: more room where requests wait. */
function tableOf(variant: number, interrupt: 'Error' | 'Continue'): RoutingTable {
  const model = (letter: string, count: number) => ({
    backends: [{ url: urls(letter, count), timeouts: TIMEOUTS }],
    retry: { budgetPercent: 100 },
  })
  const queue = { maxRequests: 3, maxWaitMs: 20_000 }
  return makeTable({
    seq: variant + 1,
    models: {
      a: model('a', variant === 1 ? 2 : 3),
      ...(variant !== 2 && { b: model('b', 2) }),
      'one-at-a-time': { ...model('c', 1), limits: { maxConcurrentPerEndpoint: variant === 3 ? 3 : 1, queue } },
      d: { ...model('d', 2), limits: { requestsPerMinute: 3, tokensPerMinute: 5000, queue } },
    },
    policies: {
      auto: { targets: ['a'], fallback: { targets: variant === 2 ? [] : ['b'], interrupt } },
      rationed: { targets: ['d'], clients: [{ match: {}, limits: { maxConcurrent: 2, tokensPerMinute: 9000 } }] },
    },
  })
}

interface Lived {
  readonly ground: Ground
  readonly clock: VirtualClock
}

/** Takes the steps, then lets everybody end: clients read, upstreams answer, time goes on. */
async function live(taken: readonly Step[], interrupt: 'Error' | 'Continue'): Promise<Lived> {
  const clock = new VirtualClock()
  clock.install(mock)
  const ground = new Ground({
    clock,
    dice: new Dice(1),
    table: tableOf(0, interrupt),
    tagOf: (requestId, exchange) => (interrupt === 'Continue' ? requestId : `${requestId}e${exchange}`),
  })
  for (const step of taken) {
    await take(step, { ground, clock }, interrupt)
    await quiet()
    nobodyIsForgotten(ground)
  }
  for (let second = 0; second < ENOUGH_SECONDS && !isOver(ground); second++) {
    for (const client of ground.clients) client.resume()
    for (const exchange of ground.open) exchange.move('finish')
    await quiet()
    await clock.advance(1000)
  }
  await clock.advance(10_000)
  ground.close()
  return { ground, clock }
}

const isOver = (ground: Ground): boolean => ground.open.length === 0 && ground.clients.every(({ over }) => over)

async function take(step: Step, { ground, clock }: Lived, interrupt: 'Error' | 'Continue'): Promise<void> {
  switch (step.do) {
    case 'ask':
      return ground.ask(step)
    case 'move':
      return ground.open.at(step.which % Math.max(1, ground.open.length))?.move(step.move)
    case 'wait':
      return clock.advance(step.ms)
    case 'push':
      return ground.push(tableOf(step.table, interrupt))
    case 'leave':
    case 'pause':
    case 'resume':
      return ground.connected.at(step.which % Math.max(1, ground.connected.length))?.[step.do]()
  }
}

/** At every moment: who left costs nobody anything, a slot is taken by who uses it, and nobody waits while there is a free one. */
function nobodyIsForgotten(ground: Ground): void {
  const left = new Set(ground.clients.filter(({ left }) => left).map(({ id }) => id))
  const forNobody = ground.open.filter(({ requestId }) => left.has(requestId))
  assert.deepEqual(forNobody, [], 'an upstream works for a client that has left')
  const inFlight = [...ground.live.all().values()].reduce((sum, endpoint) => sum + endpoint.inFlight, 0)
  assert.ok(inFlight >= 0 && inFlight <= ground.open.length, `${inFlight} slots are taken by ${ground.open.length} attempts`)
  const idle = ground.connected.filter(({ id }) => !ground.open.some(({ requestId }) => requestId === id))
  assert.ok(ground.holds.size <= idle.length, 'a client that has left still waits')
  const waiting = ground.holds.waitingFor(QUEUED)
  // At least one slot has its endpoint by every table, also by an older one that a request began with.
  assert.ok(waiting === 0 || ground.inFlightOf(QUEUED) > 0, `${waiting} wait for a slot that is free`)
}

function nothingIsLeft({ ground, clock }: Lived): void {
  assert.deepEqual(ground.bugs, [])
  assert.equal(ground.open.length, 0, 'an upstream is still asked')
  for (const [id, { inFlight }] of ground.live.all()) assert.equal(inFlight, 0, `${id} has ${inFlight} in flight`)
  assert.equal(ground.live.limits.open, 0, 'bookings that were never ended')
  assert.equal(ground.holds.size, 0, 'somebody still waits')
  assert.equal(ground.held.bytes, 0, 'bytes are still held')
  assert.equal(clock.pending, 0, 'a timer still runs')
}

function eachIsAnsweredOnce({ ground: { clients, records } }: Lived): void {
  assert.deepEqual(records.map(({ requestId }) => requestId).sort(), clients.map(({ id }) => id).sort(), 'settled once each')
  for (const client of clients) {
    assert.ok(client.over, `${client.id} is still connected`)
    if (!client.left) assert.ok(client.whole, `${client.id} got ${client.status} and no end: ${client.body.slice(-200)}`)
  }
}

function attemptsAreBounded({ ground: { clients, exchanges } }: Lived): void {
  for (const { id } of clients) {
    const own = exchanges.filter(({ requestId }) => requestId === id).map(({ endpoint }) => endpoint)
    assert.ok(own.length <= MOST_ATTEMPTS, `${id} had ${own.length} attempts`)
    for (const endpoint of own)
      assert.ok(own.filter((other) => other === endpoint).length <= MOST_TRIES_OF_AN_ENDPOINT, `${id} asked ${endpoint} too often`)
  }
}

function deadlinesHold({ ground: { clients, records } }: Lived): void {
  for (const { id, wish } of clients) {
    const tookMs = records.find(({ requestId }) => requestId === id)?.durationMs ?? 0
    if (wish.deadlineMs !== undefined) assert.ok(tookMs <= wish.deadlineMs + 1, `${id} took ${tookMs} of ${wish.deadlineMs} ms`)
  }
}

/** The words that a client got are the first ones of one answer, without a gap and without any twice. */
function answersAreOfOneTarget({ ground: { clients } }: Lived): void {
  for (const client of clients) {
    if (client.status !== 200) continue
    const words = wordsOf(client)
    const [tag] = (words[0] ?? '').split('.')
    assert.deepEqual(
      words,
      words.map((_, at) => `${tag}.${at}`),
      `${client.id} got another answer's words`,
    )
    if (words.length > 0) assert.ok(tag === client.id || tag?.startsWith(`${client.id}e`), `${client.id} got the words of ${tag}`)
    if (!client.left) endsInOneWay(client, words.length)
  }
}

const LAST = 5
const ERROR_EVENT = /"code":"((?:upstream|no_available|queue|rate|quota|concurrency|overloaded|internal)[a-z_]*)"/

function endsInOneWay({ id, wish, body }: Client, words: number): void {
  const isFinished = !wish.stream || body.includes('data: [DONE]')
  const error = ERROR_EVENT.exec(body)?.[1]
  assert.ok(isFinished !== (error !== undefined), `${id} got ${words} words, then: ${body.slice(-300)}`)
  if (error === undefined) assert.equal(words, LAST, `${id} got a finished answer with ${words} words`)
}

function wordsOf({ wish, body, left }: Client): string[] {
  if (!wish.stream && left) return []
  const text = wish.stream ? ROUTES.chat.textOfEvents(wholeEvents(body)) : ROUTES.chat.textOfAnswer(body)
  return text.split(' ').filter((word) => word !== '')
}

/** Of a client that left, the last event may be half there. */
const wholeEvents = (body: string): string => body.slice(0, body.lastIndexOf('\n\n') + 2)

function errorsAreTyped({ ground: { clients } }: Lived): void {
  for (const { id, status, body, left } of clients) {
    if (status === 200 || left) continue
    const { code } = jsonOf(JSON.stringify(jsonOf(body)['error']))
    assert.ok(String(code) in ERRORS, `${id} got ${status} ${body}`)
  }
}

const LAWS = [nothingIsLeft, eachIsAnsweredOnce, attemptsAreBounded, deadlinesHold, answersAreOfOneTarget, errorsAreTyped]

for (const interrupt of ['Error', 'Continue'] as const) {
  test(`whatever happens in whatever order, with interrupt ${interrupt}`, async () => {
    const property = fc.asyncProperty(steps, async (taken) => {
      try {
        const lived = await live(taken, interrupt)
        for (const law of LAWS) law(lived)
      } finally {
        mock.reset()
      }
    })
    await fc.assert(property, { seed: SEED, numRuns: RUNS })
  })
}

/** An answer of `first` fails twice; `second` is asked only then, and itself fails every other time. */
test('what a fallback may retry is measured by the requests that it got, not only by those that began there', async () => {
  const clock = new VirtualClock()
  clock.install(mock)
  try {
    const models = Object.fromEntries(
      ['first', 'second'].map((name) => [name, { backends: [{ url: `http://${name}.example` }], retry: { budgetPercent: 100 } }]),
    )
    const table = makeTable({ models, policies: { auto: { targets: ['first'], fallback: { targets: ['second'] } } } })
    const ground = new Ground({ clock, dice: new Dice(1), table, tagOf: (requestId) => requestId })
    const asked = async (...moves: readonly Move[]): Promise<void> => {
      await ground.ask({ model: 'auto', stream: false, deadlineMs: undefined })
      for (const move of moves) {
        ground.open[0]?.move(move)
        await quiet()
        for (let waits = 0; ground.open.length === 0 && ground.connected.length > 0 && waits < 100; waits++) await clock.advance(20)
      }
    }
    for (let round = 0; round < 24; round++) {
      for (let healthy = 0; healthy < 3; healthy++) await asked('finish')
      await asked('500', '500', ...(round % 2 === 0 ? ['500' as const] : []), 'finish')
    }
    assert.deepEqual([...new Set(ground.clients.map(({ status }) => status))], [200])
    ground.close()
  } finally {
    mock.reset()
  }
})
