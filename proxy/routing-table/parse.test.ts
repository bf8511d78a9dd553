import assert from 'node:assert/strict'
import test from 'node:test'
import { parseTable } from './index.ts'

const empty = { version: 1, epoch: 0, seq: 0, models: [], policies: [], endpointSets: [], credentials: [], clientKeys: [] }

const errorsOf = (value: unknown): string[] => {
  const parsed = parseTable(value)
  return 'errors' in parsed ? parsed.errors.map(({ pointer, message }) => `${pointer} ${message}`) : []
}

test('reads an empty table', () => {
  assert.deepEqual(parseTable(empty), { table: empty })
})

test('refuses a version it does not read, and says which it reads', () => {
  assert.deepEqual(errorsOf({ ...empty, version: 99 }), ['/version table version 99 is not read here; this proxy reads 1'])
})

test('refuses what is no object at all', () => {
  assert.match(errorsOf('hello').join(), /table version string is not read here/)
})

test('refuses unknown fields with their pointer', () => {
  assert.deepEqual(errorsOf({ ...empty, colour: 'red' }), ['/colour is not known'])
})

test('names every fault, not only the first', () => {
  const { models: _, ...rest } = empty
  assert.deepEqual(errorsOf({ ...rest, epoch: -1, clientKeys: [{ client: 'a/b', namespace: 'a', sha256: 'zz' }] }), [
    `/epoch must be a number from 0 to ${Number.MAX_SAFE_INTEGER}`,
    '/models is missing',
    '/clientKeys/0/sha256 must be a SHA-256 in hex',
  ])
})

test('refuses an access whose kind is the name of what every object has', () => {
  const policy = { ref: 'default/auto', generation: 1, names: ['auto'], access: { from: 'constructor' }, rules: [] }
  assert.deepEqual(errorsOf({ ...empty, policies: [policy] }), ['/policies/0/access must have "from" of Same, All, Namespaces'])
})

test('refuses an access of a kind it does not know', () => {
  const policy = { ref: 'default/auto', generation: 1, names: ['auto'], access: { from: 'Everybody' }, rules: [] }
  assert.deepEqual(errorsOf({ ...empty, policies: [policy] }), ['/policies/0/access must have "from" of Same, All, Namespaces'])
})

/** Every field that a table may have is set. */
const FULL = {
  ...empty,
  epoch: 3,
  seq: 4,
  models: [
    {
      ref: 'team-a/llama',
      generation: 7,
      createdAtMs: 1_767_225_600_000,
      names: ['llama', 'gpt-4o'],
      aliases: [{ name: 'gpt-4o', upstreamModel: 'lora' }],
      visibility: 'Public',
      access: { from: 'Namespaces', namespaces: ['team-b'] },
      weight: 10,
      priority: 1,
      loadBalancing: 'RoundRobin',
      limits: {
        requestsPerMinute: 600,
        tokensPerMinute: 1e6,
        tokensPerDay: 1e12,
        maxConcurrentPerEndpoint: 32,
        queue: { maxRequests: 0, maxBytes: 2 ** 40, maxWaitMs: 60_000 },
      },
      retry: { sameEndpoint: 1, totalAttempts: 6, budgetPercent: 20 },
      passthrough: { enabled: true, forwardAuth: false },
      extraRoutes: [{ method: 'POST', path: '/v1/score' }],
      backends: [
        {
          name: 'gpu',
          weight: 1,
          priority: 0,
          engine: 'vLLM',
          dialect: 'Anthropic',
          upstreamModel: 'meta/llama',
          capabilities: ['chat', 'tools'],
          contextWindowTokens: 131_072,
          maxOutput: { tokens: 4096, onExceed: 'Clamp' },
          health: {
            path: '/health',
            intervalMs: 5000,
            timeoutMs: 1000,
            healthyAfter: 1,
            unhealthyAfter: 3,
            outlier: { consecutiveFailures: 5, maxEjectedPercent: 50 },
          },
          signals: { path: '/metrics', intervalMs: 5000, staleAfterMs: 15_000 },
          timeouts: { connectMs: 2000, firstTokenMs: 10_000, streamIdleMs: 20_000, totalMs: 60_000 },
          pricing: { inputPerMillionTokens: 0.6, cachedInputPerMillionTokens: 0, outputPerMillionTokens: 12.5 },
          quota: { requestsPerMinute: 60, tokensPerMinute: 90_000, shiftAtPercent: 80 },
          auth: { header: 'authorization', scheme: 'Bearer', credentials: ['team-a/key/value'] },
          headers: [{ name: 'openai-project', value: 'p' }],
          probed: true,
          simulated: false,
        },
      ],
    },
  ],
  policies: [
    {
      ref: 'team-a/auto',
      generation: 1,
      createdAtMs: 0,
      names: ['auto'],
      access: { from: 'All' },
      rules: [
        {
          name: 'code',
          matches: [
            {
              capabilities: ['tools'],
              promptTokens: { min: 1, max: 9 },
              headers: [
                { type: 'Exact', name: 'x-tier', value: 'gold' },
                { type: 'Prefix', name: 'x-tier', value: 'g' },
                { type: 'Present', name: 'x-tier' },
              ],
              paths: ['/v1/chat/completions'],
              clients: { names: ['key'], namespaces: ['team-a'] },
            },
          ],
          strategy: 'WeightedRoundRobin',
          targets: [{ model: 'team-a/llama', weight: 5 }],
          fallback: { enabled: true, when: ['Timeout'], targets: [{ model: 'team-a/llama', weight: 1 }], interrupt: 'Continue' },
        },
      ],
      clients: [
        {
          match: { names: ['team-a/key'], namespaces: ['team-a'] },
          limits: { requestsPerMinute: 60, tokensPerMinute: 90_000, tokensPerDay: 1e7, costPerDay: 20.5, maxConcurrent: 8 },
          requestPriority: 'High',
        },
      ],
    },
  ],
  endpointSets: [
    {
      model: 'team-a/llama',
      backend: 'gpu',
      endpoints: [
        { id: 'abc-0', origin: 'https://10.0.0.7:8000', basePath: '/v1' },
        { id: 'abc-1', origin: 'http://gpu.team-a.svc', basePath: '', addresses: ['10.96.0.7', 'fd00::7'] },
      ],
      lastResort: { id: 'abc-2', origin: 'https://[fd00::7]:8000', basePath: '/v1' },
    },
  ],
  credentials: [{ id: 'team-a/key/value', value: 'secret' }],
  clientKeys: [{ client: 'team-a/key', namespace: 'team-a', sha256: 'a'.repeat(64), expiresAtMs: 1 }],
  tokenIssuers: [
    {
      issuer: 'https://kubernetes.default.svc',
      keys: [{ kty: 'RSA', use: 'sig', alg: 'RS256', kid: 'one', n: 'abc', e: 'AQAB', crv: 'P-256', x: 'x', y: 'y' }],
    },
  ],
  addresses: { private: 'Deny', allow: ['10.0.0.0/8', 'fd00::/8'], deny: ['10.96.0.1/32'] },
}

test('reads a table with every field set', () => assert.deepEqual(parseTable(FULL), { table: FULL }))

/** Every path to a value of the full table, with a copy of the table in which the value is another. */
function* mutants(
  value: unknown,
  put: (other: unknown) => unknown,
  pointer = '',
): Generator<[string, unknown, (other: unknown) => unknown]> {
  yield [pointer, value, put]
  if (Array.isArray(value)) {
    for (const [index, entry] of value.entries()) yield* mutants(entry, (other) => put(value.with(index, other)), `${pointer}/${index}`)
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, entry] of Object.entries(value)) yield* mutants(entry, (other) => put({ ...value, [key]: other }), `${pointer}/${key}`)
  }
}

test('refuses a value of another type wherever it stands, and says where', () => {
  for (const [pointer, value, put] of mutants(FULL, (other) => other)) {
    const wrong = typeof value === 'object' ? 'text' : { no: 'value' }
    const errors = errorsOf(put(wrong))
    if (pointer === '') assert.match(errors.join(), /\/version/)
    else
      assert.ok(
        errors.some((error) => error.startsWith(pointer.replace(/\/(from|type)$/, ''))),
        `${pointer}: ${errors.join()}`,
      )
  }
})

test('refuses a field it does not know wherever it stands', () => {
  for (const [pointer, value, put] of mutants(FULL, (other) => other)) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) continue
    assert.deepEqual(errorsOf(put({ ...value, colour: 'red' })), [`${pointer}/colour is not known`])
  }
})

const REFUSED: Readonly<Record<string, [string, unknown]>> = {
  'a weight below zero': ['/models/0/weight', -1],
  'a weight that is no number': ['/models/0/weight', Number.NaN],
  'a name that is too long': ['/models/0/names/0', 'x'.repeat(254)],
  'an origin with a path': ['/endpointSets/0/endpoints/0/origin', 'http://host/path'],
  'an origin with a password': ['/endpointSets/0/endpoints/0/origin', 'http://user:pass@host'],
  'an origin of another scheme': ['/endpointSets/0/endpoints/0/origin', 'file:///etc'],
  'a path with a line end': ['/endpointSets/0/endpoints/0/basePath', '/v1\r\nx: y'],
  'a header name with a space': ['/models/0/backends/0/auth/header', 'x y'],
  'a reference without a namespace': ['/models/0/ref', 'llama'],
  'a strategy it does not know': ['/policies/0/rules/0/strategy', 'Magic'],
  'a limit that is below zero': ['/models/0/limits/requestsPerMinute', -1],
  'a limit that is text': ['/models/0/limits/tokensPerMinute', '600'],
  'a queue of more bytes than there are': ['/models/0/limits/queue/maxBytes', 2 ** 41],
  'a price below zero': ['/models/0/backends/0/pricing/outputPerMillionTokens', -0.01],
  'a quota that moves traffic at more than all': ['/models/0/backends/0/quota/shiftAtPercent', 101],
  'a dialect it does not speak': ['/models/0/backends/0/dialect', 'Cohere'],
  'an endpoint that is never taken out': ['/models/0/backends/0/health/outlier/consecutiveFailures', 0],
  'a route of a method it does not forward': ['/models/0/extraRoutes/0/method', 'CONNECT'],
  'an interrupt it does not know': ['/policies/0/rules/0/fallback/interrupt', 'Resume'],
  'a limit on cost that is below zero': ['/policies/0/clients/0/limits/costPerDay', -1],
  'a priority of requests it does not know': ['/policies/0/clients/0/requestPriority', 'Highest'],
  'more terms of clients than a policy may have': ['/policies/0/clients', Array.from({ length: 33 }, () => ({ match: {} }))],
  'a client key that is no digest': ['/clientKeys/0/sha256', 'A'.repeat(64)],
}

for (const [name, [at, value]] of Object.entries(REFUSED)) {
  test(`refuses ${name}`, () => {
    for (const [pointer, , put] of mutants(FULL, (other) => other)) {
      if (pointer === at) return assert.ok(errorsOf(put(value)).some((error) => error.startsWith(at)))
    }
    assert.fail(`no such place: ${at}`)
  })
}
