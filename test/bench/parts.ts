/**
 * `node test/bench/parts.ts [--write]`: what each part of a request costs on its way through our own code, without sockets: the same calls
 * that the attempt loop makes, over tables with one part more. Prints a table, or writes it into docs/benchmarks.md. Takes half a minute.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { cpus, release } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { decide } from '../../proxy/decide/decide.ts'
import type { Facts } from '../../proxy/decide/input.ts'
import { Holds } from '../../proxy/hold/holds.ts'
import { Live } from '../../proxy/live/live.ts'
import { compileTable } from '../../proxy/routing-table/compile.ts'
import type { ClientLimits, RoutingTable } from '../../proxy/routing-table/v1.ts'
import { type ModelLines, makeTable, type PolicyLines } from '../support/table.ts'
import { eventCosts } from './event-costs.ts'
import { withParts } from './sections.ts'

const DOCUMENT = join(import.meta.dirname, '..', '..', 'docs/benchmarks.md')
const REQUESTS = 20_000
const ROUNDS = 15
const URL = 'http://127.0.0.1:1'
const USED = { inputTokens: 900, outputTokens: 200, cachedInputTokens: 0 }
const PRICING = { inputPerMillionTokens: 1, outputPerMillionTokens: 2 }
const MANY = 1e12

const FACTS: Facts = {
  route: 'chat',
  path: '/v1/chat/completions',
  asked: 'm',
  stream: true,
  needs: ['chat'],
  promptTokens: 900,
  maxOutputTokens: 256,
  headers: {},
  client: { name: 'default/team', namespace: 'default' },
}

const HEADERS = {
  'x-ratelimit-limit-requests': '5000',
  'x-ratelimit-remaining-requests': '4999',
  'x-ratelimit-reset-requests': '12ms',
  'x-ratelimit-limit-tokens': '800000',
  'x-ratelimit-remaining-tokens': '799000',
  'x-ratelimit-reset-tokens': '75ms',
}

interface Variant {
  readonly name: string
  readonly model?: Partial<ModelLines>
  readonly policy?: Partial<PolicyLines>
  readonly upstreamHeaders?: typeof HEADERS
}

const OWN = { requestsPerMinute: MANY, tokensPerMinute: MANY }
const ALL_CLIENT: ClientLimits = { ...OWN, tokensPerDay: MANY, costPerDay: MANY, maxConcurrent: MANY }
const CLIENTS = [{ match: {}, limits: ALL_CLIENT, requestPriority: 'High' as const }]

const VARIANTS: readonly Variant[] = [
  { name: 'a model asked for by name: decide, in flight, circuit, latency' },
  { name: 'a policy with fallback', policy: {} },
  { name: 'requests and tokens a minute of a model', model: { limits: OWN } },
  { name: 'tokens a day of a model too', model: { limits: { ...OWN, tokensPerDay: MANY } } },
  { name: 'requests at each endpoint, the queue asked', model: { limits: { maxConcurrentPerEndpoint: MANY } } },
  { name: 'six limit headers of the upstream', upstreamHeaders: HEADERS },
  { name: 'a policy with five limits and a priority for the client', policy: { clients: CLIENTS } },
  {
    name: 'all of it',
    policy: { clients: CLIENTS },
    model: { limits: { ...OWN, tokensPerDay: MANY, maxConcurrentPerEndpoint: MANY } },
    upstreamHeaders: HEADERS,
  },
]

function tableOf({ model = {}, policy }: Variant): RoutingTable {
  const backends = [{ url: URL, pricing: PRICING, capabilities: ['chat' as const] }]
  const models = { m: { ...model, backends }, other: { backends } }
  return makeTable({
    models,
    policies: policy === undefined ? {} : { auto: { targets: ['m'], fallback: { targets: ['other'] }, ...policy } },
  })
}

/** The calls of `next-step.ts`, `try-once.ts` and `chain.ts` around one attempt that is answered. */
function kit(variant: Variant): (nowMs: number, dice: number) => void {
  const table = compileTable(tableOf(variant))
  const live = new Live()
  live.apply(table)
  let clockMs = 0
  const holds = new Holds(() => clockMs)
  const waitingFor = (key: string): number => holds.waitingFor(key)
  const facts = variant.policy === undefined ? FACTS : { ...FACTS, asked: 'auto' }
  return (nowMs, dice) => {
    clockMs = nowMs
    const sent = decide({ facts, table, live, nowMs, dice, past: [], turn: false, admitted: false, waitingFor })
    if (sent.kind !== 'send') throw new Error(`${variant.name}: ${sent.kind}`)
    const { endpoint, rule } = sent
    live.advance(sent.steps)
    const guard = live.take(endpoint.id, nowMs)
    const booking = live.limits.book({ endpoint, credential: undefined, facts }, nowMs)
    const admission = live.limits.admit({ rule, facts }, nowMs)
    live.budget(endpoint.model).request(nowMs)
    if (variant.upstreamHeaders !== undefined) live.heard(endpoint, undefined, variant.upstreamHeaders, nowMs)
    guard.began(nowMs)
    guard.succeeded(nowMs)
    booking.settle({ ...USED, pricing: PRICING }, nowMs)
    holds.roomAt(endpoint.model)
    live.latency.add(endpoint.model, 'whole', facts.promptTokens, 100)
    live.answered(endpoint.id, { promptTokens: 900, outputTokens: 200, firstTokenMs: 20, wholeMs: 100 }, nowMs)
    admission.settle({ ...USED, pricing: PRICING }, nowMs)
  }
}

/** Microseconds of one request of each variant: the lowest of the rounds, taken by turns. */
function measure(): readonly number[] {
  const kits = VARIANTS.map(kit)
  const lowest = VARIANTS.map(() => Number.POSITIVE_INFINITY)
  let nowMs = 1e12
  for (let round = 0; round < ROUNDS; round++) {
    for (const [index, one] of kits.entries()) {
      const startMs = performance.now()
      for (let request = 0; request < REQUESTS; request++) one(nowMs + request / 5, (request % 97) / 97)
      nowMs += REQUESTS / 5
      lowest[index] = Math.min(lowest[index] ?? Number.POSITIVE_INFINITY, ((performance.now() - startMs) * 1000) / REQUESTS)
    }
  }
  return lowest
}

function report(): string {
  const micros = measure()
  const [plain = 0] = micros
  const rows = VARIANTS.map(({ name }, index) => {
    const own = micros[index] ?? 0
    return `| ${name} | ${own.toFixed(2)} | ${index === 0 ? '' : `${own >= plain ? '+' : '−'}${Math.abs(own - plain).toFixed(2)}`} |`
  })
  const events = eventCosts().map(({ name, micros: each }) => `| ${name} | ${each.toFixed(2)} |`)
  return `Written by \`node test/bench/parts.ts --write\`. ${cpus()[0]?.model.trim()}, ${cpus().length} cores, Linux ${release()}, Node ${process.versions.node}, ${new Date().toISOString().slice(0, 10)}.

| one request | µs | to the first row |
|---|---|---|
${rows.join('\n')}

| one event of a stream, 250 bytes, a chunk each | µs |
|---|---|
${events.join('\n')}

Our own code alone, without sockets: the calls that the attempt loop makes around one answered attempt, ${REQUESTS.toLocaleString('en')} in a row, the lowest of ${ROUNDS} rounds by turns. What is not used costs nothing but the question whether it is.
`
}

const { values } = parseArgs({ options: { write: { type: 'boolean', default: false } } })
const text = report()
if (values.write) writeFileSync(DOCUMENT, withParts(readFileSync(DOCUMENT, 'utf8'), text))
else console.log(text)
