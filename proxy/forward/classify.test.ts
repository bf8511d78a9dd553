/** What engines and commercial APIs really send, in their own shapes, and what we take it for. */
import assert from 'node:assert/strict'
import type { IncomingHttpHeaders } from 'node:http'
import { test } from 'node:test'
import fc from 'fast-check'
import { ERRORS, statusOf } from '../errors.ts'
import { badResponse, classifyAnswer, classifyError, classifyErrorObject, deadline } from './classify.ts'
import { type Failure, failureLabel, shownCause } from './failure.ts'

const NOW_MS = Date.parse('2026-11-25T12:00:00Z')

interface Sent {
  readonly status: number
  readonly headers?: IncomingHttpHeaders
  /** Text goes as it is, anything else as JSON. */
  readonly body: unknown
}

interface Taken {
  readonly class: Failure['class']
  readonly code: Failure['code']
  /** What the client gets. */
  readonly status: number
  readonly when?: Failure['when']
  readonly retryAfterMs?: number
}

const CONTEXT: Taken = { class: 'CONTEXT', code: 'context_length_exceeded', status: 400, when: 'ContextLength' }
const CONTENT: Taken = { class: 'CONTENT', code: 'content_filter', status: 400, when: 'ContentFilter' }
const DISABLED: Taken = { class: 'ENDPOINT_DISABLED', code: 'upstream_credentials_rejected', status: 502, when: 'Unavailable' }
const CAPACITY: Taken = { class: 'CAPACITY', code: 'upstream_overloaded', status: 503, when: 'Overloaded' }
const RATE_LIMIT: Taken = { class: 'RATE_LIMIT', code: 'upstream_rate_limited', status: 429, when: 'RateLimited' }
const MISSING: Taken = { class: 'MODEL_MISSING', code: 'upstream_error', status: 502, when: 'Unavailable' }
const SERVER: Taken = { class: 'RETRY_SAME', code: 'upstream_error', status: 502, when: 'ServerError' }
const LATE: Taken = { class: 'RETRY_SAME', code: 'upstream_timeout', status: 504, when: 'Timeout' }
const NOT_IMPLEMENTED: Taken = { class: 'NOT_IMPLEMENTED', code: 'unsupported_capability', status: 400, when: 'Unavailable' }
const fatal = (status: number): Taken => ({ class: 'CLIENT_FATAL', code: 'invalid_value', status })

const openAi = (code: string | number | null, type: string, message = 'Some words.'): unknown => ({
  error: { message, type, param: null, code },
})
const anthropic = (type: string, message = 'Some words.', more: object = {}): unknown => ({
  type: 'error',
  error: { type, message, ...more },
  request_id: 'req_1',
})
const flat = (code: number, type: string, message: string): unknown => ({ object: 'error', message, type, param: null, code })

const CASES: Readonly<Record<string, [Sent, Taken]>> = {
  // Context window
  'OpenAI: the prompt is too long': [
    {
      status: 400,
      body: openAi('context_length_exceeded', 'invalid_request_error', "This model's maximum context length is 8192 tokens."),
    },
    CONTEXT,
  ],
  'llama.cpp: the prompt is too long': [
    {
      status: 400,
      body: {
        error: {
          code: 400,
          message: 'the request exceeds the available context size, try increasing it',
          type: 'exceed_context_size_error',
          n_prompt_tokens: 5000,
          n_ctx: 4096,
        },
      },
    },
    CONTEXT,
  ],
  'vLLM: the prompt is too long': [
    {
      status: 400,
      body: openAi(
        400,
        'BadRequestError',
        "This model's maximum context length is 4096 tokens. However, you requested 5020 tokens. Please reduce the length.",
      ),
    },
    CONTEXT,
  ],
  'vLLM, older: the prompt is too long, flat': [
    {
      status: 400,
      body: flat(400, 'BadRequestError', "This model's maximum context length is 4096 tokens. However, you requested 5020 tokens."),
    },
    CONTEXT,
  ],
  'vLLM: the decoder prompt is too long': [
    {
      status: 400,
      body: openAi(400, 'BadRequestError', 'The decoder prompt (length 5000) is longer than the maximum model length of 4096.'),
    },
    CONTEXT,
  ],
  'SGLang: the input is too long': [
    { status: 400, body: flat(400, 'BadRequestError', "The input (5000 tokens) is longer than the model's context length (4096 tokens).") },
    CONTEXT,
  ],
  'TGI: the input is too long': [
    {
      status: 422,
      body: {
        error:
          'Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens and 20 `max_new_tokens`',
        error_type: 'validation',
      },
    },
    CONTEXT,
  ],
  'Ollama: the input is too long': [
    { status: 400, body: openAi(null, 'invalid_request_error', 'the input length exceeds the context length') },
    CONTEXT,
  ],
  'Anthropic: the prompt is too long': [
    { status: 400, body: anthropic('invalid_request_error', 'prompt is too long: 210000 tokens > 200000 maximum') },
    CONTEXT,
  ],
  'Anthropic: the body is too large': [{ status: 413, body: anthropic('request_too_large', 'Request exceeds the maximum size') }, CONTEXT],
  'Groq: more tokens than a minute has': [
    {
      status: 413,
      body: openAi(
        'rate_limit_exceeded',
        'tokens',
        'Request too large for model `m` on tokens per minute (TPM): Limit 6000, Requested 9000',
      ),
    },
    CONTEXT,
  ],
  'Gemini: too many tokens': [
    {
      status: 400,
      body: [
        {
          error: {
            code: 400,
            message: 'The input token count (1100000) exceeds the maximum number of tokens allowed (1048576).',
            status: 'INVALID_ARGUMENT',
          },
        },
      ],
    },
    CONTEXT,
  ],
  // Content filter
  'OpenAI: the content policy refused': [{ status: 400, body: openAi('content_policy_violation', 'invalid_request_error') }, CONTENT],
  'Azure: the content filter refused': [
    {
      status: 400,
      body: {
        error: {
          message: "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
          type: null,
          param: 'prompt',
          code: 'content_filter',
          status: 400,
        },
      },
    },
    CONTENT,
  ],
  'OpenRouter: a moderated provider flagged the input': [
    {
      status: 403,
      body: {
        error: {
          code: 403,
          message: 'Your input was flagged',
          metadata: { reasons: ['violence'], flagged_input: '…', provider_name: 'OpenAI' },
        },
      },
    },
    CONTENT,
  ],
  // Needs a human
  'OpenAI: a wrong key': [
    { status: 401, body: openAi('invalid_api_key', 'invalid_request_error', 'Incorrect API key provided: sk-abc') },
    DISABLED,
  ],
  'llama.cpp: a wrong key': [{ status: 401, body: openAi(401, 'authentication_error', 'Invalid API Key') }, DISABLED],
  'Anthropic: no permission': [{ status: 403, body: anthropic('permission_error') }, DISABLED],
  'Anthropic: billing': [{ status: 402, body: anthropic('billing_error') }, DISABLED],
  'OpenAI: the money is used up, as a 429': [
    { status: 429, body: openAi('insufficient_quota', 'insufficient_quota', 'You exceeded your current quota') },
    DISABLED,
  ],
  'OpenAI: the money is used up, told by the type only': [{ status: 429, body: openAi(null, 'insufficient_quota') }, DISABLED],
  'a credit balance that is used up, as a 429': [
    { status: 429, body: openAi('credit_balance_exhausted', 'invalid_request_error') },
    DISABLED,
  ],
  'Anthropic: a spend limit, as a 429': [
    { status: 429, body: anthropic('rate_limit_error', 'Limit', { details: { error_code: 'enforced_spend_limit_reached' } }) },
    DISABLED,
  ],
  'Anthropic: a spend limit of one’s own, as a 400': [
    { status: 400, body: anthropic('invalid_request_error', 'You have reached your specified API usage limits.') },
    DISABLED,
  ],
  'Anthropic: no credit, as a 400': [
    { status: 400, body: anthropic('invalid_request_error', 'Your credit balance is too low to access the Anthropic API.') },
    DISABLED,
  ],
  'a region that is not served': [
    {
      status: 403,
      body: openAi('unsupported_country_region_territory', 'request_forbidden', 'Country, region, or territory not supported'),
    },
    DISABLED,
  ],
  'OpenRouter: no credits': [{ status: 402, body: { error: { code: 402, message: 'Insufficient credits' } } }, DISABLED],
  'OpenRouter: only what is in flight is too much': [
    { status: 402, headers: { 'retry-after': '5' }, body: { error: { code: 402, message: 'In-flight budget' } } },
    { ...RATE_LIMIT, retryAfterMs: 5000 },
  ],
  // Capacity
  'Anthropic: overloaded': [{ status: 529, body: anthropic('overloaded_error', 'Overloaded') }, CAPACITY],
  'OpenAI: the engine is overloaded': [{ status: 503, body: openAi('server_is_overloaded', 'server_error') }, CAPACITY],
  'OpenAI: slow down': [{ status: 503, body: openAi('slow_down', 'server_error') }, CAPACITY],
  'Groq: capacity': [{ status: 498, body: openAi('capacity_exceeded', 'server_error') }, CAPACITY],
  'Gemini: unavailable': [
    { status: 503, body: [{ error: { code: 503, message: 'The model is overloaded.', status: 'UNAVAILABLE' } }] },
    CAPACITY,
  ],
  'TGI: overloaded, as a 429': [{ status: 429, body: { error: 'Model is overloaded', error_type: 'overloaded' } }, CAPACITY],
  'Azure: high demand, as a 429': [
    {
      status: 429,
      headers: { 'retry-after': '2' },
      body: openAi('429', 'too_many_requests', 'The system is currently experiencing high demand. Please retry.'),
    },
    { ...CAPACITY, retryAfterMs: 2000 },
  ],
  'llama.cpp: the model is loading': [{ status: 503, body: openAi(503, 'unavailable_error', 'Loading model') }, CAPACITY],
  'Ollama: the queue is full': [
    { status: 503, body: { error: 'server busy, please try again.  maximum pending requests exceeded' } },
    CAPACITY,
  ],
  'a load balancer without backends, in HTML': [
    { status: 503, body: '<html><body><h1>503 Service Temporarily Unavailable</h1></body></html>' },
    CAPACITY,
  ],
  'Bedrock: unavailable': [
    { status: 503, headers: { 'x-amzn-errortype': 'ServiceUnavailableException' }, body: { message: 'Try your request again.' } },
    CAPACITY,
  ],
  'LocalAI: the model is loading': [{ status: 503, body: { error: { message: 'loading', code: 503, type: '' }, loading: true } }, CAPACITY],
  // Rate limits
  'OpenAI: a rate limit': [
    { status: 429, headers: { 'retry-after-ms': '1200', 'retry-after': '2' }, body: openAi('rate_limit_exceeded', 'tokens') },
    { ...RATE_LIMIT, retryAfterMs: 1200 },
  ],
  'Anthropic: a rate limit': [
    { status: 429, headers: { 'retry-after': '30' }, body: anthropic('rate_limit_error') },
    { ...RATE_LIMIT, retryAfterMs: 30_000 },
  ],
  'Gemini: a quota a minute': [
    {
      status: 429,
      body: [
        {
          error: {
            code: 429,
            message: 'Quota exceeded',
            status: 'RESOURCE_EXHAUSTED',
            details: [{ '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: '37s' }],
          },
        },
      ],
    },
    { ...RATE_LIMIT, retryAfterMs: 37_000 },
  ],
  'Bedrock: throttled': [
    { status: 429, headers: { 'x-amzn-errortype': 'ThrottlingException' }, body: { message: 'Too many requests' } },
    RATE_LIMIT,
  ],
  'a 429 that says nothing': [{ status: 429, body: '' }, RATE_LIMIT],
  // Missing models
  'OpenAI: no such model': [
    { status: 404, body: openAi('model_not_found', 'invalid_request_error', 'The model `gpt-9` does not exist') },
    MISSING,
  ],
  'vLLM: no such model': [{ status: 404, body: openAi(404, 'NotFoundError', 'The model `llama` does not exist.') }, MISSING],
  'vLLM, older: no such model, flat': [{ status: 404, body: flat(404, 'NotFoundError', 'The model `llama` does not exist.') }, MISSING],
  'llama.cpp router: no such model, as a 400': [
    { status: 400, body: openAi(400, 'invalid_request_error', "model 'llama' not found") },
    MISSING,
  ],
  'Ollama: no such model': [{ status: 404, body: openAi(null, 'api_error', 'model "llama" not found, try pulling it first') }, MISSING],
  'Anthropic: no such model': [{ status: 404, body: anthropic('not_found_error', 'model: claude-9') }, MISSING],
  'Gemini: no such model': [
    {
      status: 404,
      body: [
        { error: { code: 404, message: 'models/gemini-9 is not found for API version v1main, or is not supported.', status: 'NOT_FOUND' } },
      ],
    },
    MISSING,
  ],
  'Azure: no such deployment': [
    { status: 404, body: openAi('DeploymentNotFound', 'invalid_request_error', 'The API deployment for this resource does not exist.') },
    MISSING,
  ],
  'Bedrock: no such model': [
    {
      status: 404,
      headers: { 'x-amzn-errortype': 'ResourceNotFoundException' },
      body: { message: 'Could not resolve the foundation model.' },
    },
    MISSING,
  ],
  // Once more
  'a 500 of any engine': [{ status: 500, body: openAi(500, 'server_error', 'CUDA error') }, SERVER],
  'Anthropic: api_error': [{ status: 500, body: anthropic('api_error', 'Internal server error') }, SERVER],
  'TGI: a generation failed': [{ status: 424, body: { error: 'Request failed during generation', error_type: 'generation' } }, SERVER],
  'a 502 of a load balancer, in HTML': [{ status: 502, body: '<html><h1>502 Bad Gateway</h1></html>' }, SERVER],
  'a lock that another request holds': [{ status: 409, body: openAi(null, 'conflict_error') }, SERVER],
  'Bedrock: the model is not ready, as a 429': [
    { status: 429, headers: { 'x-amzn-errortype': 'ModelNotReadyException' }, body: { message: 'The model is not ready.' } },
    SERVER,
  ],
  'Bedrock: the model took too long': [
    { status: 408, headers: { 'x-amzn-errortype': 'ModelTimeoutException' }, body: { message: 'Timed out.' } },
    LATE,
  ],
  'a 504 of a load balancer': [{ status: 504, body: 'upstream request timeout' }, LATE],
  // Not there
  'llama.cpp without --embeddings': [
    { status: 501, body: openAi(501, 'not_supported_error', 'This server does not support embeddings.') },
    NOT_IMPLEMENTED,
  ],
  'LMDeploy: embeddings': [{ status: 400, body: flat(400, 'invalid_request_error', 'Unsupported by turbomind.') }, NOT_IMPLEMENTED],
  // The client's own
  'OpenAI: a wrong value': [
    { status: 400, body: openAi('invalid_value', 'invalid_request_error', 'temperature must be at most 2') },
    fatal(400),
  ],
  'vLLM: a wrong value, flat': [
    { status: 400, body: flat(400, 'BadRequestError', 'temperature must be non-negative, got -1.0.') },
    fatal(400),
  ],
  'SGLang, native: a wrong value': [{ status: 400, body: { error: { message: 'top_p must be in (0, 1].' } } }, fatal(400)],
  'TGI: a wrong value': [
    { status: 422, body: { error: 'Input validation error: `temperature` must be strictly positive', error_type: 'validation' } },
    fatal(422),
  ],
  'FastAPI: a list of details': [
    { status: 422, body: { detail: [{ loc: ['body', 'messages'], msg: 'field required', type: 'missing' }] } },
    fatal(422),
  ],
  'FastAPI: no such path': [{ status: 404, body: { detail: 'Not Found' } }, fatal(404)],
  'llama.cpp: no such path': [{ status: 404, body: openAi(404, 'not_found_error', 'File Not Found') }, fatal(404)],
  'Go’s mux: no such path': [{ status: 404, body: '404 page not found' }, fatal(404)],
  'FastAPI: a wrong method': [{ status: 405, body: { detail: 'Method Not Allowed' } }, fatal(405)],
  'no length of the body': [{ status: 411, body: '' }, fatal(411)],
  'a wrong media type': [{ status: 415, body: 'Unsupported Media Type' }, fatal(415)],
  // No answer of an API
  'a redirect': [
    { status: 302, headers: { location: 'https://elsewhere.example.com' }, body: '' },
    { class: 'BAD_RESPONSE', code: 'upstream_error', status: 502, when: 'ServerError' },
  ],
}

const textOf = (body: unknown): string => (typeof body === 'string' ? body : JSON.stringify(body))

const taken = ({ class: failure, code, status, when, retryAfterMs }: Failure): Taken => ({
  class: failure,
  code,
  status: statusOf({ code, message: '', ...(status !== undefined && { status }) }),
  ...(when !== undefined && { when }),
  ...(retryAfterMs !== undefined && { retryAfterMs }),
})

for (const [name, [{ status, headers = {}, body }, expected]] of Object.entries(CASES)) {
  test(name, () => {
    const failure = classifyAnswer(status, headers, textOf(body), NOW_MS)
    assert.deepEqual(taken(failure), expected)
    assert.equal(failure.upstream?.status, status)
    assert.equal(failure.silent, false)
    assert.notEqual(failure.message, '')
  })
}

test("the provider's code and type are told as they are, a status in their place is not", () => {
  const said = (body: unknown): unknown => classifyAnswer(400, {}, textOf(body), NOW_MS).upstream
  assert.deepEqual(said(openAi('invalid_value', 'invalid_request_error')), {
    status: 400,
    code: 'invalid_value',
    type: 'invalid_request_error',
  })
  assert.deepEqual(said(openAi(400, 'BadRequestError')), { status: 400, code: null, type: 'BadRequestError' })
  assert.deepEqual(said(anthropic('invalid_request_error')), { status: 400, code: null, type: 'invalid_request_error' })
  assert.deepEqual(said('no JSON'), { status: 400, code: null, type: null })
})

const messageOf = (status: number, body: unknown): string => classifyAnswer(status, {}, textOf(body), NOW_MS).message

test("the client reads the provider's words about its own request, and the field they are about", () => {
  const body = { error: { message: 'temperature must be at most 2', type: 'invalid_request_error', param: 'temperature', code: null } }
  assert.equal(messageOf(400, body), 'temperature must be at most 2')
  assert.equal(classifyAnswer(400, {}, textOf(body), NOW_MS).param, 'temperature')
  assert.equal(messageOf(422, { error: 'inputs cannot be empty', error_type: 'validation' }), 'inputs cannot be empty')
  assert.equal(messageOf(400, openAi('content_filter', 'x', 'Filtered: violence.')), 'Filtered: violence.')
})

test("the client reads nothing of the operator's account", () => {
  for (const [status, body] of [
    [401, openAi('invalid_api_key', 'x', 'Incorrect API key provided: sk-abc123')],
    [429, openAi('insufficient_quota', 'x', 'Organization org-123 has no money')],
    [429, openAi('rate_limit_exceeded', 'x', 'Rate limit reached for org-123')],
  ] as const) {
    assert.doesNotMatch(messageOf(status, body), /sk-|org-/)
  }
})

test('an HTML page is not told to the client', () => {
  assert.equal(messageOf(502, '<html><body>nginx at 10.0.0.7</body></html>'), 'The target answered 502')
  assert.equal(messageOf(415, '<p>no</p>'), 'The target refused the request with status 415.')
})

test('what a provider says is cut at 2,000 characters', () => {
  assert.equal(messageOf(400, openAi(null, 'x', 'y'.repeat(5000))).length, 2000)
})

test('an error inside an answer of status 200 has its own status, or 500', () => {
  const inside = (error: Readonly<Record<string, unknown>>): Taken => taken(classifyErrorObject(error, {}, NOW_MS))
  assert.deepEqual(inside({ message: 'boom' }), SERVER)
  assert.deepEqual(inside({ message: 'boom', code: 503 }), CAPACITY)
  assert.deepEqual(inside({ message: 'boom', http_status_code: 429 }), RATE_LIMIT)
  assert.deepEqual(inside({ message: 'boom', code: 'context_length_exceeded' }), CONTEXT)
  assert.deepEqual(inside({ message: "The input (9 tokens) is longer than the model's context length (8 tokens).", code: 400 }), CONTEXT)
  assert.deepEqual(inside({ type: 'overloaded_error', message: 'Overloaded' }), CAPACITY)
  assert.deepEqual(inside({ message: 'boom', code: 200 }), SERVER)
  assert.deepEqual(inside({ type: 'rate_limit_error', message: 'Slowly' }), RATE_LIMIT)
  assert.deepEqual(inside({ type: 'api_error', message: 'Internal server error' }), SERVER)
  assert.deepEqual(inside({ type: 'invalid_request_error', message: 'prompt is too long: 9 tokens > 8 maximum' }), CONTEXT)
  assert.deepEqual(inside({ type: 'timeout_error', message: 'Too late' }), LATE)
})

const errorWith = (code: string, message = 'it failed'): Error => Object.assign(new Error(message), { code })

const ERRORS_OF_THE_WORLD: Readonly<Record<string, [Error, Partial<Failure>]>> = {
  'connection refused': [errorWith('ECONNREFUSED'), { class: 'REFUSED', when: 'Unavailable', code: 'upstream_error' }],
  'no such host': [errorWith('ENOTFOUND'), { class: 'REFUSED', when: 'Unavailable', code: 'upstream_error' }],
  'no route to the host': [errorWith('EHOSTUNREACH'), { class: 'REFUSED', when: 'Unavailable', code: 'upstream_error' }],
  'an address that this installation denies': [errorWith('EADDRDENIED'), { class: 'REFUSED', when: 'Unavailable', code: 'upstream_error' }],
  'a reset': [errorWith('ECONNRESET'), { class: 'RETRY_SAME', when: 'Unavailable', code: 'upstream_error' }],
  'the other side closed': [errorWith('UND_ERR_SOCKET'), { class: 'RETRY_SAME', when: 'Unavailable', code: 'upstream_error' }],
  'a broken pipe': [errorWith('EPIPE'), { class: 'RETRY_SAME', when: 'Unavailable', code: 'upstream_error' }],
  'a certificate that nobody signed': [
    errorWith('DEPTH_ZERO_SELF_SIGNED_CERT'),
    { class: 'RETRY_SAME', when: 'Unavailable', code: 'upstream_error' },
  ],
  'bytes that are no HTTP': [errorWith('HPE_INVALID_CONSTANT'), { class: 'BAD_RESPONSE', when: 'ServerError', code: 'upstream_error' }],
  'a head that is too large': [
    errorWith('UND_ERR_HEADERS_OVERFLOW'),
    { class: 'BAD_RESPONSE', when: 'ServerError', code: 'upstream_error' },
  ],
  'no connection in time': [
    errorWith('UND_ERR_CONNECT_TIMEOUT'),
    { class: 'OUR_DEADLINE', when: 'Timeout', code: 'upstream_timeout', phase: 'connect', silent: true },
  ],
}

for (const [name, [error, expected]] of Object.entries(ERRORS_OF_THE_WORLD)) {
  test(name, () => assert.partialDeepStrictEqual(classifyError(error), expected))
}

test('the address of a connection that failed stands in the log only', () => {
  const failure = classifyError(errorWith('ECONNREFUSED', 'connect ECONNREFUSED 10.0.0.7:8000'))
  assert.match(failure.cause, /10\.0\.0\.7/)
  assert.doesNotMatch(failure.message, /10\.0\.0\.7/)
})

test('of why an endpoint cools down clients read neither addresses nor what a provider says', () => {
  assert.equal(
    shownCause(classifyError(errorWith('ECONNREFUSED', 'connect ECONNREFUSED 10.0.0.7:8000'))),
    'The target refused the connection.',
  )
  const account = classifyAnswer(401, {}, textOf(openAi('invalid_api_key', 'x', 'Incorrect API key provided: sk-abc123')), NOW_MS)
  assert.equal(shownCause(account), 'HTTP 401')
  assert.match(shownCause(deadline('idle', 'cause')), /phase: idle/)
})

test('a deadline before the first byte means silence, one in the middle does not', () => {
  assert.deepEqual(
    (['connect', 'first_token', 'total', 'idle'] as const).map((phase) => deadline(phase, '').silent),
    [true, true, true, false],
  )
  assert.match(deadline('first_token', '').message, /phase: first token/)
})

test('bytes that are no answer', () => {
  assert.deepEqual(taken(badResponse('No JSON.')), { class: 'BAD_RESPONSE', code: 'upstream_error', status: 502, when: 'ServerError' })
})

test('whatever an upstream sends, it is taken for something, and the client gets no success and no 401', () => {
  fc.assert(
    fc.property(fc.integer({ min: 300, max: 999 }), fc.oneof(fc.string(), fc.json()), (status, body) => {
      const failure = classifyAnswer(status, {}, body, NOW_MS)
      const shown = statusOf({ code: failure.code, message: '', ...(failure.status !== undefined && { status: failure.status }) })
      assert.ok(failure.code in ERRORS && shown >= 400 && shown < 600 && shown !== 401)
      assert.ok(failure.retryAfterMs === undefined || failure.retryAfterMs >= 0)
    }),
  )
})

test('every failure has one word for metrics and logs', () => {
  const answer = (status: number, body: unknown): string => failureLabel(classifyAnswer(status, {}, textOf(body), NOW_MS))
  const error = (code: string): string => failureLabel(classifyError(errorWith(code)))
  assert.deepEqual(
    {
      refused: error('ECONNREFUSED'),
      reset: error('ECONNRESET'),
      connect: error('UND_ERR_CONNECT_TIMEOUT'),
      phases: (['first_token', 'idle', 'total'] as const).map((phase) => failureLabel(deadline(phase, ''))),
      bytes: failureLabel(badResponse('')),
      500: answer(500, ''),
      504: answer(504, ''),
      503: answer(503, ''),
      429: answer(429, ''),
      401: answer(401, ''),
      402: answer(402, ''),
      quota: answer(429, openAi('insufficient_quota', 'x')),
      model: answer(404, openAi('model_not_found', 'x')),
      501: answer(501, ''),
      413: answer(413, ''),
      filter: answer(400, openAi('content_filter', 'x')),
      400: answer(400, ''),
    },
    {
      refused: 'upstream_connect_failed',
      reset: 'upstream_connect_failed',
      connect: 'upstream_connect_timeout',
      phases: ['upstream_first_token_timeout', 'upstream_idle_timeout', 'upstream_total_timeout'],
      bytes: 'upstream_bad_response',
      500: 'upstream_server_error',
      504: 'upstream_server_error',
      503: 'upstream_overloaded',
      429: 'upstream_rate_limited',
      401: 'upstream_credentials_rejected',
      402: 'upstream_billing',
      quota: 'upstream_billing',
      model: 'upstream_model_missing',
      501: 'upstream_not_implemented',
      413: 'caller_context_too_long',
      filter: 'upstream_content_filtered',
      400: 'caller_invalid_request',
    },
  )
})
