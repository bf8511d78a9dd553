import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { plainModel } from '../../../test/support/table-defaults.ts'
import type { CompiledPolicy } from '../../routing-table/compiled.ts'
import { compileTable, type Match, parseTable } from '../../routing-table/index.ts'
import type { Facts } from '../input.ts'
import { Matching, type Mismatch } from './match.ts'

const FACTS: Facts = {
  route: 'chat',
  path: '/v1/chat/completions',
  asked: 'auto',
  stream: false,
  needs: ['chat', 'tools'],
  promptTokens: 99.6,
  maxOutputTokens: undefined,
  headers: { 'x-tier': 'gold' },
  client: { name: 'team-a/key', namespace: 'team-a' },
  readBody: () => ({ model: 'auto', seed: 7 }),
}

/** One rule for each list of matches, named "r0", "r1", … */
function policyOf(...rules: readonly (readonly Match[])[]): CompiledPolicy {
  const fallback = { enabled: false, when: [], targets: [] }
  const parsed = parseTable({
    version: 1,
    epoch: 0,
    seq: 0,
    models: [plainModel('default/a', {})],
    policies: [
      {
        ref: 'default/auto',
        generation: 1,
        names: ['auto'],
        access: { from: 'All' },
        rules: rules.map((matches, at) => ({
          name: `r${at}`,
          matches,
          strategy: 'Priority',
          targets: [{ model: 'default/a', weight: 1 }],
          fallback,
        })),
      },
    ],
    endpointSets: [],
    credentials: [],
    clientKeys: [],
  })
  assert.ok('table' in parsed, JSON.stringify(parsed))
  const policy = compileTable(parsed.table).policies.get('default/auto')
  assert.ok(policy !== undefined)
  return policy
}

/** Of each match of each rule, the condition that does not hold. */
const mismatches = (policy: CompiledPolicy, facts = FACTS, nowMs = 0): readonly (readonly (Mismatch | undefined)[])[] => {
  const matching = new Matching(facts, nowMs)
  return policy.rules.map(({ matches }) => matches.map((match) => matching.mismatch(match)))
}

test('of each match the first condition that does not hold is told', () => {
  const policy = policyOf(
    [{ paths: ['/v1/embeddings'], cel: 'false' }],
    [{ promptTokens: { min: 100 } }, { maxOutputTokens: { max: 10 } }],
    [{ capabilities: ['vision'] }, { clients: { namespaces: ['team-b'] } }],
    [{ headers: [{ type: 'Exact', name: 'x-tier', value: 'silver' }] }],
    [{ schedule: { timeZone: 'UTC', windows: [{ fromMinute: 60, toMinute: 120 }] } }],
    [{ cel: 'request.seed == 8' }, { cel: 'request.seed == 7' }],
    [{}],
  )
  assert.deepEqual(mismatches(policy), [
    ['paths'],
    ['promptTokens', 'maxOutputTokens'],
    ['capabilities', 'clients'],
    ['headers'],
    ['schedule'],
    ['cel', undefined],
    [undefined],
  ])
})

test('an expression that cannot be evaluated does not hold; it is counted, and told why', () => {
  const matching = new Matching(FACTS, 0)
  const [missing, broken] = policyOf([{ cel: 'request.tools.size() > 0' }], [{ cel: '1 +' }]).rules
  assert.ok(missing && broken)
  assert.deepEqual([matching.holds(missing), matching.failedExpressions, matching.lastFailure], [false, 1, 'No such key: tools'])
  assert.deepEqual(
    [matching.holds(broken), matching.failedExpressions, matching.lastFailure],
    [false, 2, 'line 1, column 4: Unexpected token: EOF'],
  )
})

test('what every object has is no header', () => {
  const header = (name: string): Match => ({ headers: [{ type: 'Present', name }] })
  assert.deepEqual(mismatches(policyOf([header('constructor'), header('__proto__')])), [['headers', 'headers']])
})

test('the body is read only if an expression is asked, and once for all of them', () => {
  let reads = 0
  const facts: Facts = { ...FACTS, readBody: () => ({ reads: ++reads }) }
  const matching = new Matching(facts, 0)
  const [plain, first, second] = policyOf(
    [{ paths: ['/x'], cel: 'true' }],
    [{ cel: 'request.reads > 1' }],
    [{ cel: 'request.reads > 2' }],
  ).rules
  assert.ok(plain && first && second)
  assert.equal(matching.holds(plain), false)
  assert.equal(reads, 0)
  assert.deepEqual([matching.holds(first), matching.holds(second), reads], [false, false, 1])
})

const range = fc.record({ min: fc.nat(200), max: fc.nat(200) }, { requiredKeys: [] })
const words = fc.array(fc.constantFrom('team-a/key', 'team-a', 'x'), { maxLength: 3 })
const anyMatch: fc.Arbitrary<Match> = fc.record(
  {
    capabilities: fc.subarray(['chat', 'vision', 'tools'] as const),
    promptTokens: range,
    maxOutputTokens: range,
    headers: fc.array(
      fc.oneof(
        fc.record({
          type: fc.constantFrom('Exact' as const, 'Prefix' as const),
          name: fc.constantFrom('x-tier', 'x-b', 'constructor'),
          value: fc.string(),
        }),
        fc.record({ type: fc.constant('Present' as const), name: fc.constantFrom('x-tier', '__proto__') }),
      ),
      { maxLength: 3 },
    ),
    paths: fc.array(fc.constantFrom('/v1/chat/completions', '/v1/x'), { maxLength: 2 }),
    clients: fc.record({ names: words, namespaces: words, serviceAccounts: words }, { requiredKeys: [] }),
    schedule: fc.record({
      timeZone: fc.constantFrom('UTC', 'Asia/Kathmandu', 'Nowhere/Land'),
      windows: fc.array(fc.record({ fromMinute: fc.nat(1440), toMinute: fc.nat(1440) }), { minLength: 1, maxLength: 3 }),
    }),
    cel: fc.oneof(
      fc.string(),
      fc.constantFrom(
        'request.a',
        'request.a.b == 1',
        'request.exists(k, k == "a")',
        'facts.promptTokens > 50',
        'headers["x-tier"] == "gold"',
      ),
    ),
  },
  { requiredKeys: [] },
)
const anyFacts = fc.record({
  needs: fc.subarray(['chat', 'vision', 'tools'] as const),
  promptTokens: fc.oneof(fc.nat(300), fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY)),
  maxOutputTokens: fc.option(fc.nat(300), { nil: undefined }),
  headers: fc.dictionary(
    fc.constantFrom('x-tier', 'x-b', 'authorization'),
    fc.oneof(fc.string(), fc.array(fc.string()), fc.constant(undefined)),
  ),
  client: fc.record({ name: fc.option(fc.string(), { nil: undefined }), namespace: fc.string() }),
  body: fc.dictionary(fc.constantFrom('a', 'messages', '__proto__'), fc.jsonValue()),
})

test('every match holds or does not, for any request at any time, and the same each time', () => {
  fc.assert(
    fc.property(fc.array(anyMatch, { maxLength: 3 }), anyFacts, fc.integer(), (matches, { body, ...facts }, nowMs) => {
      const policy = policyOf(matches)
      const asked = { ...FACTS, ...facts, readBody: () => body }
      const found = mismatches(policy, asked, nowMs)
      assert.deepEqual(mismatches(policy, asked, nowMs), found)
      const holds = matches.length === 0 || found.flat().includes(undefined)
      assert.equal(
        policy.rules.every((rule) => new Matching(asked, nowMs).holds(rule)),
        holds,
      )
    }),
    { numRuns: 300 },
  )
})
