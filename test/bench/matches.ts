/**
 * `node test/bench/matches.ts`: what it takes to find the rule that matches, in our own code alone. 1,000 policies of 32 rules with 64
 * matches each; of the one that is asked none matches but the last. Each decision is timed by itself (the clock's own cost is taken off);
 * requests go to one policy or round all of them, where what they need is seldom in the processor's caches, and over the minutes, so that schedules are
 * worked out anew as often as in real life. Then what kinds of expressions take, over a small request and one of 1 MiB.
 */
import { cpus } from 'node:os'
import type { Facts } from '../../proxy/decide/input.ts'
import { Matching } from '../../proxy/decide/match/match.ts'
import { compileTable } from '../../proxy/routing-table/compile.ts'
import type { CompiledPolicy } from '../../proxy/routing-table/compiled.ts'
import type { Match, Policy, RoutingTable } from '../../proxy/routing-table/v1.ts'

const POLICIES = 1000
const RULES = 32
const MATCHES_A_RULE = 2
const DECISIONS = 50_000
const ROUNDS = 20
const EPOCH_MS = Date.parse('2026-11-27T12:00:00Z')
/** Between two requests: 20 in a millisecond. */
const STEP_MS = 0.05
const ZONES = ['Europe/Berlin', 'America/New_York', 'Asia/Kolkata', 'UTC']

const FACTS: Facts = {
  route: 'chat',
  path: '/v1/chat/completions',
  asked: 'auto',
  stream: true,
  needs: ['chat', 'tools'],
  promptTokens: 900,
  maxOutputTokens: 256,
  headers: { host: 'llama-swap', 'content-type': 'application/json', 'x-tier': 'gold', 'user-agent': 'bench', accept: '*/*' },
  client: { name: 'team-a/key', namespace: 'team-a' },
  readBody: () => JSON.parse(SMALL),
}
const SMALL = JSON.stringify({
  model: 'auto',
  max_tokens: 256,
  tools: [{ type: 'function', function: { name: 'now' } }],
  messages: Array.from({ length: 8 }, (_, at) => ({ role: at % 2 === 0 ? 'user' : 'assistant', content: 'What time is it? '.repeat(20) })),
})
const LARGE = JSON.stringify({
  ...JSON.parse(SMALL),
  messages: Array.from({ length: 10_000 }, () => ({ role: 'user', content: 'x'.repeat(70) })),
})

const EXPRESSIONS = [
  'request.max_tokens > 4096',
  'has(request.response_format) && request.response_format.type == "json_schema"',
  'headers["x-tier"] == "silver" || client.namespace == "team-b"',
  'request.messages.exists(m, m.role == "tool")',
]

/** The other kinds in turn, in three of four matches together with a schedule that is open. */
const PLAIN: readonly ((at: number) => Match)[] = [
  (at) => ({
    headers: [
      { type: 'Exact', name: 'x-tier', value: `tier-${at}` },
      { type: 'Present', name: 'x-other' },
    ],
  }),
  (at) => ({
    schedule: { timeZone: ZONES[at % ZONES.length] ?? 'UTC', windows: [{ days: ['Sat', 'Sun'], fromMinute: 1320, toMinute: 360 }] },
  }),
  (at) => ({ clients: { names: [`team-${at}/key`], namespaces: ['team-x', 'team-y', 'team-z'] } }),
  () => ({ promptTokens: { min: 1000 }, maxOutputTokens: { max: 100 } }),
  () => ({ capabilities: ['vision', 'chat'], paths: ['/v1/chat/completions'] }),
  () => ({ paths: ['/v1/embeddings', '/v1/rerank'] }),
]

function matchAt(at: number, everyCel: number): Match {
  if (everyCel > 0 && at % everyCel === 0) return { cel: EXPRESSIONS[(at / everyCel) % EXPRESSIONS.length] ?? 'false' }
  return (PLAIN[at % PLAIN.length] ?? (() => ({})))(at)
}

const ALWAYS = { timeZone: 'Europe/Berlin', windows: [{ fromMinute: 0, toMinute: 1440 }] }

function policyAt(number: number, everyCel: number): Policy {
  const rules = Array.from({ length: RULES }, (_, rule) => {
    const matches = Array.from({ length: MATCHES_A_RULE }, (_, at) => matchAt(rule * MATCHES_A_RULE + at, everyCel))
    const last = [...matches.slice(1), { schedule: ALWAYS }]
    const fallback = { enabled: false, when: [], targets: [] }
    return { name: `r${rule}`, matches: rule === RULES - 1 ? last : matches, strategy: 'Priority' as const, targets: [], fallback }
  })
  return { ref: `default/p${number}`, generation: 1, names: [`p${number}`], access: { from: 'All' }, rules }
}

function policiesWith(everyCel: number): readonly CompiledPolicy[] {
  const policies = Array.from({ length: POLICIES }, (_, number) => policyAt(number, everyCel))
  const table: RoutingTable = { version: 1, epoch: 1, seq: 1, models: [], policies, endpointSets: [], credentials: [], clientKeys: [] }
  return [...compileTable(table).policies.values()]
}

/** Micros; each sample by itself. Of twenty rounds the quietest, as whatever else the machine does falls into the others. */
function measure(times: number, once: (at: number) => void): { readonly p50: number; readonly p99: number } {
  const clock = middle(Array.from({ length: 20_000 }, () => -performance.now() + performance.now()))
  const rounds = Array.from({ length: ROUNDS }, (_, round) => roundOf(times / ROUNDS, (at) => once((round * times) / ROUNDS + at)))
  const micros = (share: number): number =>
    Math.max(0, Math.min(...rounds.map((took) => took[Math.floor(took.length * share)] ?? 0)) - clock) * 1000
  return { p50: micros(0.5), p99: micros(0.99) }
}

function roundOf(times: number, once: (at: number) => void): Float64Array {
  const took = new Float64Array(times)
  for (let at = 0; at < times; at++) {
    const startMs = performance.now()
    once(at)
    took[at] = performance.now() - startMs
  }
  return took.sort()
}

const middle = (numbers: readonly number[]): number => numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? 0

function row(name: string, everyCel: number): void {
  const policies = policiesWith(everyCel)
  for (const asked of [1, POLICIES]) {
    const find = (at: number): void => {
      const matching = new Matching(FACTS, EPOCH_MS + at * STEP_MS)
      const found = policies[at % asked]?.rules.find((rule) => matching.holds(rule))
      if (found?.entry.name !== `r${RULES - 1}`) throw new Error(`${found?.entry.name} matches`)
    }
    measure(POLICIES * 5, find)
    const { p50, p99 } = measure(DECISIONS, find)
    console.log(`| ${name} | ${asked} | ${p50.toFixed(1)} | ${p99.toFixed(1)} |`)
  }
}

function expressionRow(cel: string, body: string): void {
  const fallback = { enabled: false, when: [], targets: [] }
  const rules = [{ name: 'r', matches: [{ cel }], strategy: 'Priority' as const, targets: [], fallback }]
  const policy: Policy = { ref: 'default/p', generation: 1, names: ['p'], access: { from: 'All' }, rules }
  const table: RoutingTable = {
    version: 1,
    epoch: 1,
    seq: 1,
    models: [],
    policies: [policy],
    endpointSets: [],
    credentials: [],
    clientKeys: [],
  }
  const [rule] = compileTable(table).policies.get('default/p')?.rules ?? []
  if (rule === undefined) throw new Error('no rule')
  const read: Readonly<Record<string, unknown>> = JSON.parse(body)
  const facts = { ...FACTS, readBody: () => read }
  const once = (): boolean => new Matching(facts, EPOCH_MS).holds(rule)
  const times = body.length > 100_000 ? 100 : 20_000
  measure(times, once)
  const { p50, p99 } = measure(times, once)
  console.log(`| \`${cel.replaceAll('|', '\\|')}\` | ${(body.length / 1024).toFixed(0)} | ${p50.toFixed(1)} | ${p99.toFixed(1)} |`)
}

console.log(`${cpus()[0]?.model.trim()}, ${cpus().length} cores, Node ${process.versions.node}; µs, ${DECISIONS} decisions each\n`)
console.log('| 64 matches, the last one holds | policies asked in turn | p50 | p99 |\n|---|---|---|---|')
row('no expressions', 0)
row('every eighth an expression', 8)
row('every other an expression', 2)
console.log('\n| expression | body, KiB | p50 | p99 |\n|---|---|---|---|')
for (const body of [SMALL, LARGE])
  for (const cel of [
    'facts.stream && facts.promptTokens > 1000',
    ...EXPRESSIONS,
    'request.messages.exists(m, m.name == "x")',
    'request.messages.exists(m, m.content.contains("zebra"))',
  ])
    expressionRow(cel, body)
