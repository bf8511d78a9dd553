/** Faults beyond the sixteen: stale sockets, lies, encodings, errors in odd places. What the client sees and what the backends saw. */
import assert from 'node:assert/strict'
import { cleanlyInterrupted, type FaultCase, healthy, httpError, type Outcome, wallOf, wholeAnswer } from '../support/fault-wall.ts'
import { chunk, END, error, gzipped, RESET, send, stream, streamHead, whole, wholeHead } from '../support/model-server/answers.ts'
import { streamOf, WORDS } from '../support/routes.ts'

const tries = ({ primary, fallback }: Outcome): readonly [number, number] => [primary.length, fallback.length]

const rescuedAfter =
  (primaryTries: number): FaultCase['check'] =>
  (outcome) => {
    wholeAnswer(outcome)
    assert.deepEqual(tries(outcome), [primaryTries, 1])
  }

const answeredAtOnce: FaultCase['check'] = (outcome) => {
  wholeAnswer(outcome)
  assert.deepEqual(tries(outcome), [1, 0])
}

const NO_CONTENT_EVENT = 'data: {"choices":[],"prompt_filter_results":[]}\n\n'

wallOf({
  'a kept connection that breaks as the request arrives: a fresh one is used': {
    warmUp: 1,
    primary: (mode) => [[RESET], healthy(mode)],
    check: (outcome) => {
      wholeAnswer(outcome)
      assert.deepEqual(tries(outcome), [2, 0])
      assert.notEqual(outcome.primary[0]?.connection, outcome.primary[1]?.connection)
    },
  },
  'status 200 with an error for a body: the fallback answers': {
    modes: ['whole'],
    primary: () => [whole({ error: { message: 'no capacity', type: 'overloaded_error', code: 503 } })],
    check: rescuedAfter(1),
  },
  'an error as the first event: the fallback answers, nothing of it shows': {
    modes: ['stream'],
    primary: () => [stream(['event: error\ndata: {"error":{"message":"no capacity","type":"overloaded_error","code":503}}\n\n'])],
    check: (outcome) => {
      wholeAnswer(outcome)
      assert.equal(outcome.got.body.includes('no capacity'), false)
      assert.deepEqual(tries(outcome), [1, 1])
    },
  },
  'an error event behind content: a clean error in our words': {
    modes: ['stream'],
    primary: ({ speech }) => {
      const { begin, words } = speech.events(WORDS)
      const event = 'event: error\ndata: {"error":{"message":"out of memory","type":"server_error","code":500}}\n\n'
      return [stream([...begin, ...words.slice(0, 5), event, 'data: [DONE]\n\n'])]
    },
    check: (outcome) => {
      cleanlyInterrupted(outcome, 5)
      assert.deepEqual(tries(outcome), [1, 0])
    },
  },
  'an event without choices before the content is no fault': {
    modes: ['stream'],
    primary: ({ speech }) => [stream([NO_CONTENT_EVENT, ...streamOf(speech, WORDS)])],
    check: answeredAtOnce,
  },
  'a whole stream in one write': {
    modes: ['stream'],
    primary: ({ speech }) => [stream([streamOf(speech, WORDS).join('')])],
    check: answeredAtOnce,
  },
  'a whole answer in two writes that split a character': {
    modes: ['whole'],
    primary: ({ speech }) => {
      const bytes = Buffer.from(JSON.stringify(speech.answer(WORDS, 'mödel')))
      const middle = bytes.indexOf(Buffer.from('ö')) + 1
      const part = (from: number, to?: number) => ({ do: 'sendBytes', base64: bytes.subarray(from, to).toString('base64') }) as const
      return [[wholeHead(bytes.length), part(0, middle), { do: 'pause', ms: 20 }, part(middle)]]
    },
    check: answeredAtOnce,
  },
  'an informational status before the answer is not the answer': {
    primary: (mode) => [[send('HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n'), ...healthy(mode)]],
    check: answeredAtOnce,
  },
  'an answer in gzip that nobody asked for is decoded': {
    primary: ({ speech, stream: streams }) => [
      streams
        ? gzipped(streamOf(speech, WORDS).join(''), 'text/event-stream')
        : gzipped(JSON.stringify(speech.answer(WORDS)), 'application/json'),
    ],
    check: async (outcome) => {
      await answeredAtOnce(outcome)
      assert.equal(outcome.got.headers['content-encoding'], undefined)
    },
  },
  'a broken gzip: the fallback answers': {
    primary: () => [whole('this is no gzip', { headers: { 'content-encoding': 'gzip' } })],
    check: rescuedAfter(2),
  },
  'an unknown encoding: the fallback answers': {
    primary: () => [whole('???', { headers: { 'content-encoding': 'rot13' } })],
    check: rescuedAfter(2),
  },
  'bytes that are no HTTP: the fallback answers': { primary: () => [[send('good morning\r\n\r\n')]], check: rescuedAfter(2) },
  'a head that is too large: the fallback answers': {
    primary: (mode) => [[send(`HTTP/1.1 200 OK\r\nx-much: ${'x'.repeat(80_000)}\r\n\r\n`), ...healthy(mode)]],
    check: rescuedAfter(2),
  },
  'a body longer than announced: the fallback answers': {
    modes: ['whole'],
    primary: ({ speech }) => [[wholeHead(100), send(JSON.stringify(speech.answer(WORDS)))]],
    check: rescuedAfter(2),
  },
  'an event that never ends: given up at 1 MiB, the fallback answers': {
    modes: ['stream'],
    primary: () => [[streamHead(), chunk('data: "'), { do: 'flood', text: 'x'.repeat(65_536), times: 1000 }, END]],
    check: async (outcome) => {
      await rescuedAfter(2)(outcome)
      assert.ok((outcome.primary[0]?.bytes ?? 0) < 16_000_000)
    },
  },
  'a whole answer where a stream was asked for': {
    modes: ['stream'],
    primary: ({ speech }) => [whole(speech.answer(WORDS))],
    check: (outcome) => {
      wholeAnswer({ ...outcome, stream: false })
      assert.match(String(outcome.got.headers['content-type']), /^application\/json/)
    },
  },
  'a redirect is not followed and not passed on': {
    alone: true,
    primary: () => [whole('', { status: 302, headers: { location: 'http://127.0.0.1:1/elsewhere' } })],
    check: (outcome) => {
      httpError(outcome, 502, 'upstream_error')
      assert.equal(outcome.got.headers['location'], undefined)
    },
  },
  'an HTML error page becomes JSON': {
    alone: true,
    primary: () => [whole('<html><body>Bad gateway</body></html>', { status: 502, headers: { 'content-type': 'text/html' } })],
    check: (outcome) => {
      httpError(outcome, 502, 'upstream_error')
      assert.equal(outcome.got.body.includes('<'), false)
    },
  },
  'an error body without end is read up to a bound': {
    alone: true,
    primary: () => [
      [send('HTTP/1.1 500 Oops\r\ntransfer-encoding: chunked\r\n\r\n'), { do: 'flood', text: 'x'.repeat(65_536), times: 1000 }],
    ],
    check: (outcome) => {
      httpError(outcome, 502, 'upstream_error')
      assert.ok((outcome.primary[0]?.bytes ?? 0) < 16_000_000)
    },
  },
  "the backend's 401 is the operator's fault, never the client's": {
    alone: true,
    primary: () => [error(401, 'invalid_api_key', 'Incorrect API key provided: sk-abc')],
    check: (outcome) => {
      httpError(outcome, 502, 'upstream_credentials_rejected')
      assert.equal(outcome.got.headers['x-should-retry'], 'false')
      assert.equal(outcome.got.body.includes('sk-abc'), false)
      assert.equal(outcome.primary.length, 1)
    },
  },
  'a 401 with a fallback: the fallback answers, the refused target is asked once': {
    primary: () => [error(401, null, 'no')],
    check: rescuedAfter(1),
  },
  'a 429 for want of money is no rate limit': {
    primary: () => [error(429, 'insufficient_quota', 'You exceeded your current quota')],
    check: rescuedAfter(1),
  },
  'a second credential is tried at once when the first is refused': {
    backend: { keys: ['sk-first-of-two', 'sk-second-of-two'] },
    primary: (mode) => [error(401, null, 'no'), healthy(mode)],
    check: (outcome) => {
      wholeAnswer(outcome)
      assert.deepEqual(tries(outcome), [2, 0])
      const sent = outcome.primary.map(({ headers }) => headers.find(([name]) => name === 'authorization')?.[1])
      assert.deepEqual(sent, ['Bearer sk-first-of-two', 'Bearer sk-second-of-two'])
    },
  },
  'a model the backend does not have: the fallback answers': {
    primary: () => [error(404, 'model_not_found', 'no such model')],
    check: rescuedAfter(1),
  },
  'a model nobody has: our 502, not a 404 about the name the client sent': {
    alone: true,
    primary: () => [error(404, 'model_not_found', 'no such model')],
    check: (outcome) => void httpError(outcome, 502, 'upstream_error'),
  },
  'a 501: the fallback answers': { primary: () => [error(501, null, 'not here')], check: rescuedAfter(1) },
  "the client's own mistake is passed on with its status and words, and nobody else is asked": {
    primary: () => [error(422, 'invalid_temperature', 'temperature must be at most 2')],
    check: (outcome) => {
      const said = httpError(outcome, 422, 'invalid_value')
      assert.equal(said['message'], 'temperature must be at most 2')
      assert.equal(outcome.got.headers['x-should-retry'], 'false')
      assert.deepEqual(tries(outcome), [1, 0])
    },
  },
  'both targets fail: the error is the first cause': {
    primary: () => [error(503, null, 'no capacity')],
    fallback: () => [error(401, null, 'no')],
    check: (outcome) => {
      httpError(outcome, 503, 'upstream_overloaded')
      assert.equal(outcome.fallback.length, 1)
    },
  },
})
