/** The sixteen provider faults: for each, what the client sees and what the backends saw. Deadlines are scaled by `timeouts`. */
import assert from 'node:assert/strict'
import {
  cleanlyInterrupted,
  type FaultCase,
  healthy,
  httpError,
  type Mode,
  type Outcome,
  wallOf,
  wholeAnswer,
} from '../support/fault-wall.ts'
import { CLOSE, chunk, END, error, HANG, pause, RESET, send, streamHead, whole, wholeHead } from '../support/model-server/answers.ts'
import type { Answer } from '../support/model-server/script.ts'
import { jsonOf, ROUTES, streamOf, WORDS } from '../support/routes.ts'

const DEADLINE_MS = 300
const FIRST_TOKEN: FaultCase['timeouts'] = { firstTokenMs: DEADLINE_MS }
const IDLE: FaultCase['timeouts'] = { streamIdleMs: DEADLINE_MS }

/** A stream that does `end` after this many words. */
function cutStream({ speech }: Mode, words: number, end: readonly Answer[number][]): Answer {
  const { begin, words: content } = speech.events(WORDS)
  return [streamHead(), ...[...begin, ...content.slice(0, words)].map(chunk), ...end]
}

/** The announced length, 60 % of the body, then `end`. */
function cutWhole({ speech }: Mode, end: readonly Answer[number][]): Answer {
  const body = JSON.stringify(speech.answer(WORDS))
  return [wholeHead(body.length), send(body.slice(0, Math.floor(body.length * 0.6))), ...end]
}

const tries = ({ primary, fallback }: Outcome): readonly [number, number] => [primary.length, fallback.length]
const answeredBy = ({ got }: Outcome, model: string): void => assert.equal(got.headers['x-llama-swap-model'], model)

/** Rescued by the fallback after at most so many tries of the primary. */
const rescued =
  (mostTries: number): FaultCase['check'] =>
  (outcome) => {
    wholeAnswer(outcome)
    answeredBy(outcome, outcome.fallbackName)
    assert.ok(outcome.primary.length <= mostTries, `${outcome.primary.length} tries of the primary`)
    assert.equal(outcome.fallback.length, 1)
    assert.equal(Number(outcome.got.headers['x-llama-swap-attempts']), outcome.primary.length + 1)
  }

/** Answered by the primary itself, at the second try; the fallback never heard of it. */
const mended: FaultCase['check'] = (outcome) => {
  wholeAnswer(outcome)
  answeredBy(outcome, outcome.primaryName)
  assert.deepEqual(tries(outcome), [2, 0])
}

const OVERLOADED = error(503, null, 'no capacity')

wallOf({
  'S01: 429 with Retry-After once: the same target again, not before it said': {
    primary: (mode) => [error(429, 'rate_limit_exceeded', 'slow down', { 'retry-after': 2 }), healthy(mode)],
    check: (outcome) => {
      wholeAnswer(outcome)
      assert.deepEqual(tries(outcome), [2, 0])
      const [first, second] = outcome.primary
      assert.ok((second?.atMs ?? 0) - (first?.atMs ?? 0) >= 1800)
    },
  },
  'S02: 429 always, without Retry-After: the fallback answers': { primary: () => [error(429, null, 'slow down')], check: rescued(4) },
  'S03: 500 once: the same target again': { primary: (mode) => [error(500, null, 'oops'), healthy(mode)], check: mended },
  'S04: 503 always: the fallback answers': { primary: () => [OVERLOADED], check: rescued(6) },
  'S04 without a fallback: the error itself, with a time to come back': {
    alone: true,
    primary: () => [OVERLOADED],
    check: (outcome) => {
      httpError(outcome, 503, 'upstream_overloaded')
      assert.ok(Number(outcome.got.headers['retry-after']) >= 1)
      assert.ok(Number(outcome.got.headers['retry-after-ms']) >= 1)
      assert.ok(outcome.primary.length <= 6)
    },
  },
  'S05: reset before any byte, once: the same target again': { primary: (mode) => [[RESET], healthy(mode)], check: mended },
  'S06: silence: the fallback answers, the silent target is tried once': {
    modes: ['stream'],
    timeouts: FIRST_TOKEN,
    primary: () => [[HANG]],
    check: rescued(1),
  },
  'S06, not streaming, once the usual time is known: the same': {
    modes: ['whole'],
    warmUp: 20,
    primary: () => [[HANG]],
    check: rescued(1),
  },
  'S07: headers at once, no first token: the fallback answers': {
    modes: ['stream'],
    timeouts: FIRST_TOKEN,
    primary: ({ speech }) => [[streamHead(), ...speech.events(WORDS).begin.map(chunk), HANG]],
    check: rescued(1),
  },
  'S07, not streaming, once the usual time is known: within 15 s': {
    modes: ['whole'],
    warmUp: 20,
    primary: () => [[wholeHead(1000), HANG]],
    check: async (outcome) => {
      await rescued(1)(outcome)
      assert.ok(outcome.got.tookMs < 15_000)
    },
  },
  'S08: the stream dies after 40 of 60 words: a clean error, never a short answer': {
    modes: ['stream'],
    primary: (mode) => [cutStream(mode, 40, [CLOSE])],
    check: (outcome) => {
      cleanlyInterrupted(outcome, 40)
      assert.deepEqual(tries(outcome), [1, 0])
    },
  },
  'S08 by a reset: the same': {
    modes: ['stream'],
    primary: (mode) => [cutStream(mode, 40, [pause(20), RESET])],
    check: (outcome) => cleanlyInterrupted(outcome, 40),
  },
  'S08 with a proper end of the body but no finish: the same': {
    modes: ['stream'],
    primary: (mode) => [cutStream(mode, 40, [END])],
    check: (outcome) => cleanlyInterrupted(outcome, 40),
  },
  'S08, not streaming: 60 % of the announced body: the fallback answers': {
    modes: ['whole'],
    primary: (mode) => [cutWhole(mode, [CLOSE])],
    check: rescued(2),
  },
  'S09: silence after 20 words: the idle deadline ends it with a clean error': {
    modes: ['stream'],
    timeouts: IDLE,
    primary: (mode) => [cutStream(mode, 20, [HANG])],
    check: (outcome) => {
      cleanlyInterrupted(outcome, 20)
      assert.deepEqual(tries(outcome), [1, 0])
      assert.notEqual(outcome.primary[0]?.goneAtMs, undefined)
    },
  },
  'S09, not streaming: headers, silence, close: the fallback answers': {
    modes: ['whole'],
    primary: () => [[wholeHead(1000), pause(100), CLOSE]],
    check: rescued(2),
  },
  'S10: an event that is no JSON is skipped and counted': {
    modes: ['stream'],
    primary: ({ speech }) => {
      const events = streamOf(speech, WORDS)
      return [[streamHead(), ...[...events.slice(0, 9), 'data: {"choices":[{"ind\n\n', ...events.slice(9)].map(chunk), END]]
    },
    check: async (outcome) => {
      wholeAnswer(outcome)
      assert.deepEqual(tries(outcome), [1, 0])
      const metrics = await (await fetch(`${outcome.proxy.metricsUrl}/metrics`)).text()
      assert.match(metrics, new RegExp(`^llama_swap_stream_events_malformed_total\\{model="default/${outcome.primaryName}"\\} 1$`, 'm'))
    },
  },
  'S10, not streaming: a body that is no JSON: the fallback answers': {
    modes: ['whole'],
    primary: () => [whole('<html>no</html>')],
    check: rescued(2),
  },
  'S11: complete, but without [DONE]: the answer with its sentinel': {
    modes: ['stream'],
    primary: ({ speech }) => {
      const { begin, words, finish } = speech.events(WORDS)
      return [[streamHead(), ...[...begin, ...words, ...finish].map(chunk), END]]
    },
    check: wholeAnswer,
  },
  'S11, left open after the finish: ended within 8 s': {
    modes: ['stream'],
    primary: ({ speech }) => {
      const { begin, words, finish } = speech.events(WORDS)
      return [[streamHead(), ...[...begin, ...words, ...finish].map(chunk), HANG]]
    },
    check: (outcome) => {
      wholeAnswer(outcome)
      assert.ok(outcome.got.tookMs < 8000)
    },
  },
  'S12: prompt too long: a target with a larger window answers': {
    backend: { contextWindowTokens: 4096 },
    fallbackBackend: { contextWindowTokens: 8192 },
    primary: () => [error(400, 'context_length_exceeded', 'maximum context length is 4096 tokens')],
    check: rescued(1),
  },
  'S12 with no larger window anywhere: the 400, each target asked at most once': {
    backend: { contextWindowTokens: 4096 },
    fallbackBackend: { contextWindowTokens: 4096 },
    primary: () => [error(400, 'context_length_exceeded', 'maximum context length is 4096 tokens')],
    check: (outcome) => {
      httpError(outcome, 400, 'context_length_exceeded')
      assert.deepEqual(tries(outcome), [1, 0])
    },
  },
  "S13: content filter: that error with the provider's reason, nobody else asked": {
    primary: () => [error(400, 'content_policy_violation', 'our policy forbids this')],
    check: (outcome) => {
      const said = httpError(outcome, 400, 'content_filter')
      assert.equal(said['message'], 'our policy forbids this')
      assert.deepEqual(said['upstream'], { status: 400, code: 'content_policy_violation', type: 'some_error' })
      assert.deepEqual(tries(outcome), [1, 0])
    },
  },
  'S13 where the policy lists it: the fallback answers': {
    policyWhen: ['ContentFilter'],
    primary: () => [error(400, 'content_policy_violation', 'our policy forbids this')],
    check: rescued(1),
  },
  'S14: as S08 with a fallback that refuses to continue: the error is about the first failure': {
    modes: ['stream'],
    primary: (mode) => [cutStream(mode, 40, [CLOSE])],
    fallback: () => [error(400, 'invalid_request_error', 'assistant message prefill is not supported')],
    check: (outcome) => {
      cleanlyInterrupted(outcome, 40)
      assert.equal(outcome.got.body.includes('prefill'), false)
      assert.deepEqual(tries(outcome), [1, 0])
    },
  },
  "S16: 503 always: model and usage are the fallback's, failed tries cost nothing": {
    primary: () => [OVERLOADED],
    check: async (outcome) => {
      await rescued(6)(outcome)
      const { got, stream, speech, proxy } = outcome
      if (!stream) assert.equal(jsonOf(got.body)['model'], 'fallback-model')
      else assert.match(got.body, /"model":"fallback-model"/)
      const line = await proxy.accessLine(String(got.headers['x-request-id']))
      assert.deepEqual([line['input_tokens'], line['output_tokens']], [7, WORDS.length])
      assert.equal(line['model'], `default/${outcome.fallbackName}`)
      assert.equal(stream && speech !== ROUTES.responses && got.body.includes('"usage"'), false)
    },
  },
})
