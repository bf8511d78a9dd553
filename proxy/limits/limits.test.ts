import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type ModelLines, makeTable, type TableLines } from '../../test/support/table.ts'
import type { LimitedRequest, Limiting } from '../decide/limits-view.ts'
import { type CompiledEndpoint, type CompiledTable, compileTable } from '../routing-table/index.ts'
import type { ClientTerms, ModelLimits, Pricing, Quota } from '../routing-table/v1.ts'
import type { Used } from './booking.ts'
import { Limits } from './limits.ts'

const NOW_MS = Date.parse('2026-11-25T12:00:00Z')
const MODEL = 'default/m'
const KEY = `model ${MODEL}`

/** 100 tokens of prompt are taken for 110, and the answer for what it may have at most. */
const request = (more: Partial<LimitedRequest> = {}): LimitedRequest => ({
  route: 'chat',
  promptTokens: 100,
  maxOutputTokens: 90,
  client: { name: 'default/app', namespace: 'default' },
  ...more,
})
const used = (inputTokens: number, outputTokens: number, pricing?: Pricing): Used => ({
  inputTokens,
  outputTokens,
  cachedInputTokens: 0,
  pricing,
})

interface World {
  readonly limits: Limits
  readonly table: CompiledTable
  readonly endpoint: CompiledEndpoint
  readonly rule: Limiting
  book(nowMs: number, facts?: LimitedRequest): ReturnType<Limits['book']>
  admit(nowMs: number, facts?: LimitedRequest): ReturnType<Limits['admit']>
}

const tableOf = (model: Omit<ModelLines, 'backends'> & Partial<ModelLines>, clients: readonly ClientTerms[] = []): TableLines => ({
  models: { m: { backends: [{ url: 'http://10.0.0.1' }], ...model } },
  policies: { auto: { targets: ['m'], ...(clients.length > 0 && { clients }) } },
})

function worldOf(lines: TableLines): World {
  const limits = new Limits()
  const table = compileTable(makeTable(lines))
  limits.apply(table)
  const endpoint = table.models.get(MODEL)?.endpoints[0]
  const rule = ruleIn(table)
  assert.ok(endpoint !== undefined)
  return {
    limits,
    table,
    endpoint,
    rule,
    book: (nowMs, facts = request()) => limits.book({ endpoint, credential: undefined, facts }, nowMs),
    admit: (nowMs, facts = request()) => limits.admit({ rule, facts }, nowMs),
  }
}

/** The only rule of the only policy, as decide has it in force. */
function ruleIn(table: CompiledTable): Limiting {
  const policy = table.policies.get('default/auto')
  const { limits } = policy?.rules[0]?.entry ?? {}
  return { key: 'default/auto/default', policy, ...(limits !== undefined && { limits }) }
}

const limited = (limits: ModelLimits): World => worldOf(tableOf({ limits }))
const ofClient = (terms: Omit<ClientTerms, 'match'>, pricing?: Pricing): World =>
  worldOf(tableOf({ backends: [{ url: 'http://10.0.0.1', ...(pricing && { pricing }) }] }, [{ match: {}, ...terms }]))

const meter = (limits: Limits, key: string, nowMs: number) => [...limits.meters(nowMs)].find((one) => one.key === key)

test('without limits nothing is counted, nothing is short, nothing is said', () => {
  const { limits, rule, book, admit } = worldOf(tableOf({}))
  book(NOW_MS)
  admit(NOW_MS)
  assert.equal(limits.open, 0)
  assert.equal(limits.modelShortage(MODEL, request(), NOW_MS), undefined)
  assert.deepEqual([...limits.meters(NOW_MS)], [])
  assert.deepEqual(limits.headers({ model: MODEL, rule, facts: request() }, NOW_MS), [])
})

test('an estimate is reserved, and what was not used comes back and is told', () => {
  const { limits, book } = limited({ tokensPerMinute: 1000 })
  const told: unknown[] = []
  limits.onRoom((model) => told.push(model))
  const bookings = [book(NOW_MS), book(NOW_MS), book(NOW_MS), book(NOW_MS), book(NOW_MS)]
  assert.equal(limits.open, 5)
  const shortage = limits.modelShortage(MODEL, request(), NOW_MS + 1000)
  assert.deepEqual(shortage, {
    key: `${KEY} tokensPerMinute`,
    limit: 'tokensPerMinute',
    max: 1000,
    remaining: 0,
    needed: 200,
    resetMs: 59_250,
    leased: false,
  })
  bookings[0]?.settle(used(80, 20), NOW_MS + 2000)
  assert.deepEqual(told, [MODEL])
  assert.equal(meter(limits, `${KEY} tokensPerMinute`, NOW_MS + 2000)?.used, 900)
  bookings[1]?.refund(NOW_MS + 2000)
  assert.equal(limits.modelShortage(MODEL, request(), NOW_MS + 2000), undefined)
  assert.equal(limits.open, 3)
})

test('a booking ends once: the first word counts', () => {
  const { limits, book } = limited({ tokensPerMinute: 1000, requestsPerMinute: 10 })
  const booking = book(NOW_MS)
  booking.settle(used(100, 50), NOW_MS)
  booking.refund(NOW_MS)
  booking.settle(used(0, 0), NOW_MS)
  assert.equal(limits.open, 0)
  assert.equal(meter(limits, `${KEY} tokensPerMinute`, NOW_MS)?.used, 150)
  assert.equal(meter(limits, `${KEY} requestsPerMinute`, NOW_MS)?.used, 1)
})

test('where nobody says what was used the estimate stays; what was used beyond it counts from then on', () => {
  const { limits, book } = limited({ tokensPerMinute: 1000 })
  book(NOW_MS).settle(undefined, NOW_MS)
  assert.equal(meter(limits, `${KEY} tokensPerMinute`, NOW_MS)?.used, 200)
  book(NOW_MS).settle(used(100, 500), NOW_MS + 59_000)
  assert.equal(meter(limits, `${KEY} tokensPerMinute`, NOW_MS + 59_000)?.used, 800)
  assert.equal(meter(limits, `${KEY} tokensPerMinute`, NOW_MS + 61_000)?.used, 400)
})

test('an answer is taken for what 95 of 100 need, once twenty are known', () => {
  const { limits, book } = limited({ tokensPerMinute: 1_000_000 })
  const open = request({ maxOutputTokens: undefined })
  const reservedBy = (facts: LimitedRequest): number => {
    const before = meter(limits, `${KEY} tokensPerMinute`, NOW_MS)?.used ?? 0
    const booking = book(NOW_MS, facts)
    const reserved = (meter(limits, `${KEY} tokensPerMinute`, NOW_MS)?.used ?? 0) - before
    booking.refund(NOW_MS)
    return reserved
  }
  assert.equal(reservedBy(open), 1110)
  for (let answer = 1; answer <= 64; answer++) book(NOW_MS).settle(used(100, answer), NOW_MS)
  assert.ok(reservedBy(open) >= 110 + 60 && reservedBy(open) <= 110 + 64)
  assert.equal(reservedBy(request({ maxOutputTokens: 10 })), 120)
  assert.equal(reservedBy(request({ route: 'embeddings', maxOutputTokens: undefined })), 110)
})

test('a prompt larger than the limit is never admitted, a guess that is larger is once the window is empty', () => {
  const { limits, book } = limited({ tokensPerMinute: 500 })
  assert.equal(limits.modelShortage(MODEL, request({ promptTokens: 460 }), NOW_MS)?.resetMs, Number.POSITIVE_INFINITY)
  const guess = request({ maxOutputTokens: 5000 })
  assert.equal(limits.modelShortage(MODEL, guess, NOW_MS), undefined)
  book(NOW_MS)
  assert.equal(limits.modelShortage(MODEL, guess, NOW_MS)?.resetMs, 60_250)
})

test('days end at midnight UTC', () => {
  const { limits, book } = limited({ tokensPerDay: 300 })
  book(NOW_MS)
  assert.equal(limits.modelShortage(MODEL, request(), NOW_MS + 120_000)?.resetMs, 12 * 3_600_000 - 120_000)
  assert.equal(limits.modelShortage(MODEL, request(), NOW_MS + 12 * 3_600_000), undefined)
})

test('each client has its own limits; of several that match each holds; a client without a name is its namespace', () => {
  const terms = [
    { match: {}, limits: { requestsPerMinute: 5, tokensPerDay: 1000 } },
    { match: { namespaces: ['default'] }, limits: { requestsPerMinute: 2 } },
  ]
  const { limits, rule, admit } = worldOf(tableOf({}, terms))
  const short = (facts: LimitedRequest) => limits.clientShortage(rule, facts, NOW_MS)?.max
  for (let count = 0; count < 2; count++) admit(NOW_MS)
  assert.equal(short(request()), 2)
  assert.equal(short(request({ client: { name: 'default/other', namespace: 'default' } })), undefined)
  const stranger = request({ client: { name: undefined, namespace: 'elsewhere' } })
  for (let count = 0; count < 5; count++) admit(NOW_MS, stranger)
  assert.equal(short(stranger), 1000)
})

test('limits of a rule stand instead of those of the clients, for each client of its own, and are counted apart', () => {
  const lines = tableOf({}, [{ match: {}, limits: { requestsPerMinute: 1, tokensPerDay: 1 } }])
  const { limits, rule, admit } = worldOf({
    ...lines,
    policies: { auto: { ...lines.policies?.['auto'], targets: ['m'], limits: { requestsPerMinute: 2 } } },
  })
  const other = request({ client: { name: 'default/other', namespace: 'default' } })
  for (let count = 0; count < 2; count++) admit(NOW_MS)
  assert.equal(limits.clientShortage(rule, request(), NOW_MS)?.key, 'client default/auto/default default/app requestsPerMinute')
  assert.equal(limits.clientShortage(rule, other, NOW_MS), undefined)
  const { limits: _, ...elsewhere } = rule
  assert.equal(limits.clientShortage(elsewhere, request(), NOW_MS)?.limit, 'tokensPerDay')
  assert.deepEqual(
    [...limits.tallies()].map(({ name, tally }) => [name, tally.admitted]),
    [['default/auto', 2]],
  )
})

test('so many at a time, and the wait is what they usually take', () => {
  const { limits, rule, admit } = ofClient({ limits: { maxConcurrent: 2 } })
  const [one, two] = [admit(NOW_MS), admit(NOW_MS)]
  assert.deepEqual(limits.clientShortage(rule, request(), NOW_MS), {
    key: 'client default/auto default/app maxConcurrent',
    limit: 'maxConcurrent',
    max: 2,
    remaining: 0,
    needed: 1,
    resetMs: 1000,
    leased: false,
  })
  let told = 0
  limits.onRoom(() => told++)
  one.settle(used(1, 1), NOW_MS + 4000)
  assert.equal(told, 1)
  assert.equal(limits.clientShortage(rule, request(), NOW_MS), undefined)
  admit(NOW_MS + 4000)
  assert.equal(limits.clientShortage(rule, request(), NOW_MS + 4000)?.resetMs, 2000)
  two.refund(NOW_MS + 4000)
  assert.equal(limits.clientShortage(rule, request(), NOW_MS + 4000), undefined)
})

test('the money of a day is reserved by the dearest target and settled by the one that served', () => {
  const { limits, rule, admit } = ofClient({ limits: { costPerDay: 1 } }, { inputPerMillionTokens: 1000, outputPerMillionTokens: 4000 })
  const spent = (): number | undefined => meter(limits, 'client default/auto default/app costPerDay', NOW_MS)?.used
  const booking = admit(NOW_MS)
  assert.ok(Math.abs((spent() ?? 0) - (0.11 + 0.36)) < 1e-9)
  booking.settle({ ...used(100, 10, { inputPerMillionTokens: 1000, outputPerMillionTokens: 4000 }), cachedInputTokens: 40 }, NOW_MS)
  assert.ok(Math.abs((spent() ?? 0) - 0.14) < 1e-9)
  admit(NOW_MS)
  assert.equal(limits.clientShortage(rule, request(), NOW_MS)?.limit, 'costPerDay')
})

test('what other attempts of the request have cost is paid for as well', () => {
  const { limits, admit } = ofClient({ limits: { costPerDay: 1 } }, { inputPerMillionTokens: 1000, outputPerMillionTokens: 4000 })
  admit(NOW_MS).settle({ ...used(100, 10, { inputPerMillionTokens: 1000, outputPerMillionTokens: 4000 }), costUsd: 0.25 }, NOW_MS)
  assert.equal(meter(limits, 'client default/auto default/app costPerDay', NOW_MS)?.used, 0.25)
})

test('an unknown price costs nothing and keeps nobody out; such answers are counted', () => {
  const { limits, rule, admit } = ofClient({ limits: { costPerDay: 0.000_001 } })
  admit(NOW_MS).settle(used(1000, 1000), NOW_MS)
  assert.equal(limits.clientShortage(rule, request(), NOW_MS), undefined)
  assert.equal([...limits.tallies()].find(({ scope }) => scope === 'client')?.tally.unpriced, 1)
})

test('what is turned away stands in what is wanted, and is counted', () => {
  const { limits, book } = limited({ tokensPerMinute: 200 })
  book(NOW_MS)
  const shortage = limits.modelShortage(MODEL, request(), NOW_MS)
  assert.ok(shortage !== undefined)
  limits.missed(shortage)
  assert.equal(meter(limits, shortage.key, NOW_MS)?.wanted, 400)
  const tally = [...limits.tallies()].find(({ name }) => name === MODEL)?.tally
  assert.deepEqual([tally?.admitted, tally?.refused.get('tokensPerMinute')], [1, 1])
})

test('a lease is this proxy’s share; more of it is told; without one the default share holds', () => {
  const { limits, book } = limited({ requestsPerMinute: 10 })
  const told: unknown[] = []
  limits.onRoom((model) => told.push(model))
  const key = `${KEY} requestsPerMinute`
  limits.lease(key, 1)
  book(NOW_MS)
  assert.equal(limits.modelShortage(MODEL, request(), NOW_MS)?.max, 10)
  limits.lease(key, 2)
  assert.equal(limits.modelShortage(MODEL, request(), NOW_MS), undefined)
  limits.lease(key, 99)
  assert.equal(meter(limits, key, NOW_MS)?.cap, 10)
  limits.lease(key, undefined)
  limits.leaseDefault(0.5)
  assert.equal(meter(limits, key, NOW_MS)?.cap, 5)
  assert.ok(told.every((one) => one === MODEL))
})

test('what was used today before the process began counts, for meters that are there and for those to come', () => {
  const { limits, rule } = worldOf(tableOf({ limits: { tokensPerDay: 500 } }, [{ match: {}, limits: { tokensPerDay: 500 } }]))
  limits.carry(`${KEY} tokensPerDay`, 400, NOW_MS)
  limits.carry('client default/auto default/app tokensPerDay', 450, NOW_MS)
  assert.equal(limits.modelShortage(MODEL, request(), NOW_MS)?.remaining, 100)
  assert.equal(limits.clientShortage(rule, request(), NOW_MS)?.remaining, 50)
  assert.equal(limits.modelShortage(MODEL, request(), NOW_MS + 86_400_000), undefined)
})

test('the strictest limit that applies is told as OpenAI tells it', () => {
  const { limits, rule, book, admit } = worldOf(
    tableOf({ limits: { requestsPerMinute: 100, tokensPerMinute: 1000 } }, [{ match: {}, limits: { requestsPerMinute: 10 } }]),
  )
  admit(NOW_MS)
  book(NOW_MS)
  const sent = limits.headers({ model: MODEL, rule, facts: request() }, NOW_MS + 2000).join(' ')
  assert.equal(
    sent,
    'x-ratelimit-limit-requests 10 x-ratelimit-remaining-requests 9 x-ratelimit-reset-requests 58s ' +
      'x-ratelimit-limit-tokens 1000 x-ratelimit-remaining-tokens 800 x-ratelimit-reset-tokens 58s',
  )
})

test('a limit that changes keeps what it has counted; one that goes is forgotten', () => {
  const { limits, book } = limited({ tokensPerMinute: 1000 })
  book(NOW_MS)
  limits.apply(compileTable(makeTable(tableOf({ limits: { tokensPerMinute: 300 } }))))
  assert.equal(limits.modelShortage(MODEL, request(), NOW_MS)?.remaining, 100)
  limits.apply(compileTable(makeTable(tableOf({}))))
  assert.equal(limits.modelShortage(MODEL, request(), NOW_MS), undefined)
})

test('clients beyond five thousand: the one idle longest is forgotten, one that has a request running is not', () => {
  const { limits, rule, admit } = ofClient({ limits: { requestsPerMinute: 1, maxConcurrent: 1 } })
  const client = (at: number): LimitedRequest => request({ client: { name: `default/app-${at}`, namespace: 'default' } })
  admit(NOW_MS, client(0))
  for (let at = 1; at <= 5000; at++) admit(NOW_MS, client(at)).settle(undefined, NOW_MS)
  assert.equal([...limits.meters(NOW_MS)].length, 5000)
  assert.equal(limits.clientShortage(rule, client(0), NOW_MS)?.max, 1)
  assert.equal(limits.clientShortage(rule, client(1), NOW_MS), undefined)
})

test('over random traffic no exact minute holds more than the limit and the last guess, and every booking ends', () => {
  const step = fc.record({
    gapMs: fc.oneof(fc.integer({ min: 0, max: 50 }), fc.integer({ min: 0, max: 5000 })),
    promptTokens: fc.integer({ min: 1, max: 300 }),
    maxOutputTokens: fc.option(fc.integer({ min: 1, max: 200 }), { nil: undefined }),
    part: fc.double({ min: 0, max: 1, noNaN: true }),
    end: fc.constantFrom('settle', 'refund', 'unknown'),
    afterMs: fc.integer({ min: 0, max: 3000 }),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 150 }), (steps) => {
      const { limits, book } = limited({ tokensPerMinute: 2000, requestsPerMinute: 20 })
      const sent: { atMs: number; tokens: number }[] = []
      const ends: { atMs: number; end: () => void }[] = []
      let nowMs = NOW_MS
      for (const { gapMs, promptTokens, maxOutputTokens, part, end, afterMs } of steps) {
        nowMs += gapMs
        for (const due of ends.filter(({ atMs }) => atMs <= nowMs)) due.end()
        const facts = request({ promptTokens, maxOutputTokens })
        if (limits.modelShortage(MODEL, facts, nowMs) !== undefined) continue
        const booking = book(nowMs, facts)
        const tokens = Math.floor(promptTokens * part)
        if (end !== 'refund') sent.push({ atMs: nowMs, tokens: end === 'settle' ? tokens : promptTokens })
        const atMs = nowMs + afterMs
        ends.push({
          atMs,
          end: () => (end === 'refund' ? booking.refund(atMs) : booking.settle(end === 'settle' ? used(tokens, 0) : undefined, atMs)),
        })
        const minute = sent.filter((one) => one.atMs > nowMs - 60_000)
        assert.ok(minute.length <= 20)
        assert.ok(minute.reduce((sum, one) => sum + one.tokens, 0) <= 2000)
      }
      for (const { end } of ends) end()
      assert.equal(limits.open, 0)
    }),
    { numRuns: 200 },
  )
})

test('a demand of 120 percent, evenly spread, has at least 98 percent of the limit admitted each minute, and no more than all of it', () => {
  const { limits, book } = limited({ tokensPerMinute: 20_000 })
  const admitted: number[] = []
  for (let nowMs = NOW_MS; nowMs < NOW_MS + 600_000; nowMs += 500) {
    if (limits.modelShortage(MODEL, request(), nowMs) !== undefined) continue
    book(nowMs).settle(used(110, 90), nowMs + 1)
    admitted.push(nowMs)
  }
  for (let fromMs = NOW_MS + 60_000; fromMs < NOW_MS + 540_000; fromMs += 7000) {
    const tokens = 200 * admitted.filter((atMs) => atMs >= fromMs && atMs < fromMs + 60_000).length
    assert.ok(tokens <= 20_000 && tokens >= 19_600, `${tokens} in the minute from ${fromMs - NOW_MS}`)
  }
})

const keyed = (keys: readonly string[], quota?: Quota): World =>
  worldOf(tableOf({ backends: [{ url: 'http://10.0.0.1', keys, ...(quota && { quota }) }] }))
const told = (limit: number, remaining: number, reset = '30s', kind = 'requests') => ({
  [`x-ratelimit-limit-${kind}`]: String(limit),
  [`x-ratelimit-remaining-${kind}`]: String(remaining),
  [`x-ratelimit-reset-${kind}`]: reset,
})

test('from 80 percent on an endpoint’s share falls evenly, and is whole again at the reset', () => {
  const { limits, endpoint } = worldOf(tableOf({}))
  const at = (remaining: number): number => {
    limits.heard(endpoint, undefined, told(100, remaining), NOW_MS)
    return Math.round(limits.headroom(endpoint, NOW_MS) * 100) / 100
  }
  assert.equal(limits.headroom(endpoint, NOW_MS), 1)
  assert.deepEqual([at(50), at(21), at(15), at(10), at(1)], [1, 1, 0.75, 0.5, 0.05])
  assert.equal(limits.quotaPercent(endpoint, NOW_MS), 99)
  assert.ok(limits.headroom(endpoint, NOW_MS + 29_999) < 1)
  assert.equal(limits.headroom(endpoint, NOW_MS + 30_000), 1)
})

test('nothing remaining on an answer parks the credential until the reset', () => {
  const { limits, endpoint } = keyed(['one', 'two'])
  const [first, second] = endpoint.backend.auth?.credentials ?? []
  assert.equal(limits.heard(endpoint, first, told(100, 0, '7.5s', 'tokens'), NOW_MS), NOW_MS + 7500)
  assert.equal(limits.heard(endpoint, second, told(100, 90, '7.5s', 'tokens'), NOW_MS), undefined)
  assert.equal(limits.headroom(endpoint, NOW_MS), 0.5)
  assert.equal(limits.headroom(endpoint, NOW_MS + 7500), 1)
})

test('what was sent since the upstream last spoke counts as used', () => {
  const { limits, endpoint, book } = worldOf(tableOf({}))
  limits.heard(endpoint, undefined, told(100, 30), NOW_MS)
  for (let sent = 0; sent < 20; sent++) book(NOW_MS + sent)
  assert.equal(limits.quotaPercent(endpoint, NOW_MS + 20), 90)
})

test('a declared quota counts while the upstream says nothing; what it says of a minute wins, of a day does not', () => {
  const { limits, endpoint, book } = worldOf(
    tableOf({ backends: [{ url: 'http://10.0.0.1', quota: { requestsPerMinute: 10, shiftAtPercent: 50 } }] }),
  )
  for (let sent = 0; sent < 5; sent++) book(NOW_MS)
  assert.equal(limits.headroom(endpoint, NOW_MS), 1)
  book(NOW_MS)
  assert.ok(Math.abs(limits.headroom(endpoint, NOW_MS) - 0.8) < 1e-9)
  limits.heard(endpoint, undefined, told(14_400, 14_000, '2m59.56s'), NOW_MS)
  assert.equal(limits.quotaPercent(endpoint, NOW_MS), 60)
  limits.heard(endpoint, undefined, told(100, 90, '20s'), NOW_MS)
  assert.equal(limits.quotaPercent(endpoint, NOW_MS), 10)
  assert.equal(limits.quotaPercent(endpoint, NOW_MS + 20_000), 60)
})

test('tokens of a declared quota are settled like any other', () => {
  const { limits, endpoint, book } = worldOf(
    tableOf({ backends: [{ url: 'http://10.0.0.1', quota: { tokensPerMinute: 1000, shiftAtPercent: 80 } }] }),
  )
  const bookings = [book(NOW_MS), book(NOW_MS), book(NOW_MS), book(NOW_MS)]
  assert.equal(limits.quotaPercent(endpoint, NOW_MS), 80)
  bookings[0]?.refund(NOW_MS)
  bookings[1]?.settle(used(50, 50), NOW_MS)
  assert.equal(limits.quotaPercent(endpoint, NOW_MS), 50)
})

test('a credential that goes is forgotten, and so is an endpoint', () => {
  const { limits, endpoint } = keyed(['one', 'two'])
  limits.heard(endpoint, endpoint.backend.auth?.credentials[0], told(10, 1), NOW_MS)
  limits.apply(compileTable(makeTable({ models: { other: { backends: [{ url: 'http://10.0.0.2' }] } } })))
  assert.equal(limits.headroom(endpoint, NOW_MS), 1)
})

test("of a model's limits its own count of the prompt is taken, of a client's the plain one", () => {
  const limits = new Limits({ of: (model, { promptTokens }) => (model === MODEL ? promptTokens * 2 : promptTokens), certain: () => 0.6 })
  const table = compileTable(makeTable(tableOf({ limits: { tokensPerMinute: 200 } }, [{ match: {}, limits: { tokensPerMinute: 200 } }])))
  limits.apply(table)
  const rule = ruleIn(table)
  assert.equal(limits.modelShortage(MODEL, request({ maxOutputTokens: 90 }), NOW_MS)?.needed, 220)
  assert.equal(limits.clientShortage(rule, request({ maxOutputTokens: 90 }), NOW_MS), undefined)
})
