import assert from 'node:assert/strict'
import { once } from 'node:events'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { accessLine, levelOf } from './access-line.ts'
import { AccessLog } from './access-log.ts'
import { answeredBy, PROMPT, REFUSED, refusedUnknown, tableOf } from './record.fixture.ts'

const TABLE = tableOf(['a', 'b'])
const FELL_BACK = answeredBy(TABLE, { first: 'a', second: 'b' })

test('the line of a request that fell back is JSON with every field of it', () => {
  const line = accessLine(FELL_BACK, levelOf(FELL_BACK))
  assert.ok(line.endsWith('}\n') && line.indexOf('\n') === line.length - 1)
  assert.deepEqual(JSON.parse(line), {
    v: 1,
    time: '2026-01-02T03:04:05.678Z',
    level: 'info',
    msg: 'request',
    request_id: 'request-1',
    traceparent: null,
    client: 'team/key-of-ann',
    client_namespace: 'team',
    service_account: null,
    path: '/v1/chat/completions',
    route: 'chat',
    asked: 'auto',
    stream: true,
    needs: ['chat', 'tools'],
    prompt_tokens_estimate: 120,
    max_output_tokens: 256,
    status: 200,
    code: null,
    error_type: null,
    policy: null,
    rule: 'default',
    why: 'weight 1/2',
    model: 'team/b',
    backend: 'gpu',
    endpoint: 'b-0',
    attempts: [
      {
        model: 'team/a',
        backend: 'gpu',
        endpoint: 'a-0',
        outcome: 'upstream_server_error',
        duration_ms: 100,
        cause: 'HTTP 500 internal_error',
      },
      { model: 'team/b', backend: 'gpu', endpoint: 'b-0', outcome: 'answered', duration_ms: 900, cause: null },
    ],
    lost: [{ model: 'team/a', why: 'cooling down: HTTP 500 internal_error' }],
    table: { epoch: 3, seq: 7 },
    duration_ms: 1000,
    first_token_ms: 400,
    held_ms: 0,
    overhead_us: 120,
    input_tokens: 118,
    output_tokens: 101,
    cached_input_tokens: 64,
    usage_estimated: false,
    cost_usd: null,
    bytes: 30_000,
  })
})

test('no line holds a prompt, a header or a key, whatever the upstream or an error said', () => {
  for (const record of [FELL_BACK, REFUSED, { ...REFUSED, traceparent: `${PROMPT} sk-of-ann` }]) {
    const line = accessLine(record, 'info')
    for (const secret of [PROMPT, 'sk-of-ann', 'blue']) assert.ok(!line.includes(secret), `${secret} in ${line}`)
  }
})

test('what a client sends as a model is escaped and cut', () => {
  const parsed: unknown = JSON.parse(accessLine(refusedUnknown(`a "b"\n\\${'x'.repeat(5000)}`), 'info'))
  assert.ok(typeof parsed === 'object' && parsed !== null && 'asked' in parsed && typeof parsed.asked === 'string')
  assert.ok(parsed.asked.startsWith('a "b"\n\\xxx'))
  assert.equal(parsed.asked.length, 257)
})

test('a well-formed traceparent is kept', () => {
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
  assert.ok(accessLine({ ...REFUSED, traceparent }, 'info').includes(`"traceparent":"${traceparent}"`))
})

test('what failed for a reason beyond the client is a warning, a bug is an error', () => {
  assert.equal(levelOf(FELL_BACK), 'info')
  assert.equal(levelOf(REFUSED), 'info')
  assert.equal(levelOf({ ...REFUSED, error: { code: 'upstream_stream_interrupted', message: '' }, status: 200 }), 'warn')
  assert.equal(levelOf({ ...REFUSED, error: { code: 'internal', message: '' }, status: 500 }), 'error')
})

test('lines go out together, those below the level not at all', async () => {
  const output = new PassThrough()
  const log = new AccessLog({ output, level: 'warn' })
  log.write(REFUSED)
  log.write({ ...REFUSED, requestId: 'loud', error: { code: 'internal', message: '' }, status: 500 })
  log.write({ ...REFUSED, requestId: 'loud too', error: { code: 'upstream_error', message: '' }, status: 502 })
  const [chunk] = await once(output, 'data')
  assert.deepEqual(
    String(chunk)
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).request_id),
    ['loud', 'loud too'],
  )
})

test('a reader that does not read costs the oldest lines, which are counted, and no memory beyond the bound', async () => {
  const output = new PassThrough({ highWaterMark: 1024 })
  const log = new AccessLog({ output, level: 'info', maxCharacters: 200_000 })
  const total = 2000
  for (let index = 0; index < total; index++) log.write({ ...FELL_BACK, requestId: `request-${index}` })
  assert.ok(log.dropped > 0)
  const chunks: string[] = []
  output.on('data', (chunk) => chunks.push(String(chunk)))
  await log.flush()
  const ids = chunks
    .join('')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line).request_id)
  assert.equal(ids.length + log.dropped, total)
  assert.equal(ids.at(-1), `request-${total - 1}`)
  assert.ok(chunks.join('').length < 200_000 + 2 * 64 * 1024)
})
