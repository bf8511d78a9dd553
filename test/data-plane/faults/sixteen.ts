/**
 * The sixteen provider faults, with the program's defaults and `interrupt: Continue` in the policy. Each has rules of conduct, which must hold
 * for any score, and where the catalogue has them advisory ones, which part a pass from a partial.
 */
import assert from 'node:assert/strict'
import type { Got } from '../../support/client.ts'
import {
  CLOSE,
  chunk,
  END,
  either,
  error,
  HANG,
  pause,
  RESET,
  send,
  streamHead,
  whole,
  wholeHead,
} from '../../support/model-server/answers.ts'
import type { Answer, Step } from '../../support/model-server/script.ts'
import { ROUTES, streamOf, WORDS } from '../../support/routes.ts'
import { answeredBy, httpError, isOpenAi, metricIs, tries } from './verdicts.ts'
import { answerText, CAPABLE, type Drive, type FaultCase, FULL, healthy, type Mode, type Outcome, wholeAnswer } from './wall.ts'

export const IDS = Array.from({ length: 16 }, (_, index) => `S${String(index + 1).padStart(2, '0')}`)

export interface Fault extends Omit<FaultCase, 'check'> {
  /** Of the catalogue: S01 to S16. */
  readonly id: string
  /** Until the answer's end. */
  readonly withinS: number
  conduct?(outcome: Outcome): void | Promise<void>
  advice?(outcome: Outcome): void | Promise<void>
  /** Absent: the whole answer. Throws when the outcome is another. */
  ideal?(outcome: Outcome): void
}

const DEADLINE_MS = 300
const FIRST_TOKEN: FaultCase['timeouts'] = { firstTokenMs: DEADLINE_MS }
const IDLE: FaultCase['timeouts'] = { streamIdleMs: DEADLINE_MS }
const OVERLOADED = error(503, null, 'no capacity')
/** A target that declares to go on with an answer which has begun. */
const CONTINUES: Partial<NonNullable<FaultCase['backend']>> = {
  engine: 'vLLM',
  capabilities: [...CAPABLE, 'prefixContinuation'],
}

/** A stream that does `end` after this many words. */
function cutStream({ speech }: Mode, words: number, end: readonly Step[]): Answer {
  const { begin, words: content } = speech.events(WORDS)
  return [streamHead(), ...[...begin, ...content.slice(0, words)].map(chunk), ...end]
}

/** The announced length, 60 % of the body, then `end`. */
function cutWhole({ speech }: Mode, end: readonly Step[]): Answer {
  const body = answerText(speech)
  return [
    wholeHead(Buffer.byteLength(body), { 'content-type': speech.answerType ?? 'application/json' }),
    send(body.slice(0, Math.floor(body.length * 0.6))),
    ...end,
  ]
}

/** A target that goes on where the answer stopped after `words` words if it is given them, and else begins anew. */
const goesOn = (mode: Mode, words: number): Answer =>
  either(`w${words - 1} `, healthy(mode, 'fallback-model', WORDS.slice(words)), healthy(mode, 'fallback-model'))

/** As S14 has it: it refuses whatever has begun. */
const refusesPrefix = (mode: Mode, words: number): Answer =>
  either(
    `w${words - 1} `,
    error(400, 'invalid_request_error', 'assistant message prefill is not supported'),
    healthy(mode, 'fallback-model'),
  )

const atMost = (primaryTries: number) => (outcome: Outcome) => {
  const [primary, fallback] = tries(outcome)
  assert.ok(primary <= primaryTries && primary + fallback <= 6, `${primary} tries of the primary, ${fallback} of the fallback`)
}

const sameTarget = (outcome: Outcome): void => {
  answeredBy(outcome, outcome.primaryName)
  assert.deepEqual(tries(outcome), [2, 0])
}

const inPlace = (outcome: Outcome): void => {
  answeredBy(outcome, outcome.primaryName)
  assert.deepEqual(tries(outcome), [1, 0])
}

const triedOnce = (outcome: Outcome): void => assert.equal(outcome.primary.length, 1, 'the silent target is tried once')

const left = ({ primary }: Outcome): void => assert.notEqual(primary[0]?.goneAtMs, undefined, 'the silent target was left')

/** Where the target declares that it goes on, it is given what the client has. */
const givenTheText =
  (words: number) =>
  ({ fallback }: Outcome): void =>
    assert.ok(fallback.at(-1)?.body.includes(`w${words - 1} `), 'the fallback was asked to begin anew')

const gapMs = ({ primary: [first, second] }: Outcome): number => (second?.atMs ?? Number.POSITIVE_INFINITY) - (first?.atMs ?? 0)

const usageCounted = async ({ got, proxy, speech }: Outcome): Promise<void> => {
  const line = await proxy.accessLine(String(got.headers['x-request-id']))
  assert.deepEqual([line['input_tokens'], line['output_tokens']], [7, WORDS.length])
  if (speech === ROUTES.chat || speech === ROUTES.completions) assert.match(got.body, /"usage":\{"prompt_tokens":7/)
}

const failedTriesCostNothing = async (outcome: Outcome): Promise<void> => {
  atMost(6)(outcome)
  const { got, stream, speech, proxy, fallbackName } = outcome
  answeredBy(outcome, fallbackName)
  const healthyAnswer = stream ? streamOf(speech, WORDS, 'fallback-model').join('') : answerText(speech, 'fallback-model')
  if (healthyAnswer.includes('"model"')) assert.match(got.body, /"model":"fallback-model"/)
  const line = await proxy.accessLine(String(got.headers['x-request-id']))
  assert.equal(line['model'], `default/${fallbackName}`)
  if (healthyAnswer.includes('_tokens":7')) assert.equal(line['input_tokens'], 7)
}

/** Continuation is of streams; where an answer is held until it is whole, it is another try. */
const CUT: Pick<Fault, 'interrupt' | 'fallbackBackend'> = { interrupt: 'Continue', fallbackBackend: CONTINUES }

/** A whole stream without its sentinel, then `end`. */
const withoutSentinel = (end: Step): Fault => ({
  id: 'S11',
  withinS: 8,
  modes: ['stream'],
  asksUsage: true,
  primary: ({ speech }) => {
    const { begin, words, finish } = speech.events(WORDS)
    return [[streamHead(), ...[...begin, ...words, ...finish].map(chunk), end]]
  },
  conduct: inPlace,
  advice: usageCounted,
})

export const SIXTEEN: Readonly<Record<string, Fault>> = {
  'S01: 429 with Retry-After once': {
    id: 'S01',
    withinS: 20,
    primary: (mode) => [error(429, 'rate_limit_exceeded', 'slow down', { 'retry-after': 2 }), healthy(mode)],
    conduct: ({ primary }) =>
      assert.ok(primary.filter(({ atMs }) => atMs - (primary[0]?.atMs ?? 0) < 1500).length <= 2, 'at most 2 tries in the first 1.5 s'),
    advice: (outcome) => {
      sameTarget(outcome)
      assert.ok(gapMs(outcome) >= 1800, `a gap of ${gapMs(outcome)} ms`)
    },
  },
  'S02: 429 always, without Retry-After': { id: 'S02', withinS: 40, primary: () => [error(429, null, 'slow down')], conduct: atMost(4) },
  'S03: 500 once': {
    id: 'S03',
    withinS: 20,
    primary: (mode) => [error(500, null, 'oops'), healthy(mode)],
    conduct: atMost(2),
    advice: sameTarget,
  },
  'S04: 503 always': { id: 'S04', withinS: 40, primary: () => [OVERLOADED], conduct: atMost(6) },
  'S04: 503 always, and no fallback': {
    id: 'S04',
    withinS: 40,
    alone: true,
    primary: () => [OVERLOADED],
    conduct: atMost(6),
    ideal: (outcome) => {
      httpError(outcome, 503, 'upstream_overloaded')
      assert.ok(Number(outcome.got.headers['retry-after']) >= 1)
      assert.ok(Number(outcome.got.headers['retry-after-ms']) >= 1)
    },
  },
  'S05: reset before any byte, once': { id: 'S05', withinS: 20, primary: (mode) => [[RESET], healthy(mode)], conduct: atMost(2) },
  'S06: silence': {
    id: 'S06',
    withinS: 100,
    modes: ['stream'],
    timeouts: FIRST_TOKEN,
    primary: (mode) => [FULL ? [pause(120_000), ...healthy(mode)] : [HANG]],
    conduct: left,
    advice: triedOnce,
  },
  'S06: silence, where a whole answer is asked for': {
    id: 'S06',
    withinS: 100,
    modes: ['whole'],
    ...(!FULL && { warmUp: 20 }),
    primary: (mode) => [FULL ? [pause(120_000), ...healthy(mode)] : [HANG]],
    conduct: left,
    advice: triedOnce,
  },
  'S07: the head at once, the first token late': {
    id: 'S07',
    withinS: 60,
    modes: ['stream'],
    timeouts: FIRST_TOKEN,
    primary: (mode) => [
      [streamHead(), ...mode.speech.events(WORDS).begin.map(chunk), ...(FULL ? [pause(20_000), ...healthy(mode).slice(1)] : [HANG])],
    ],
    conduct: left,
    advice: ({ got }) => assert.ok(got.tookMs < 15_000, `done after ${got.tookMs} ms`),
  },
  'S07: the head at once, the whole body late': {
    id: 'S07',
    withinS: 60,
    modes: ['whole'],
    warmUp: 20,
    primary: ({ speech }) => {
      const body = answerText(speech)
      return [[wholeHead(Buffer.byteLength(body), { 'content-type': speech.answerType ?? 'application/json' }), pause(20_000), send(body)]]
    },
    conduct: left,
    advice: ({ got }) => assert.ok(got.tookMs < 15_000, `done after ${got.tookMs} ms`),
  },
  'S08: the stream dies after 40 of 60 words': {
    id: 'S08',
    withinS: 40,
    modes: ['stream'],
    ...CUT,
    primary: (mode) => [cutStream(mode, 40, [CLOSE])],
    fallback: (mode) => [goesOn(mode, 40)],
    conduct: atMost(5),
    advice: givenTheText(40),
  },
  'S08: the stream dies by a reset': {
    id: 'S08',
    withinS: 40,
    modes: ['stream'],
    ...CUT,
    primary: (mode) => [cutStream(mode, 40, [pause(20), RESET])],
    fallback: (mode) => [goesOn(mode, 40)],
    conduct: atMost(5),
    advice: givenTheText(40),
  },
  'S08: the stream ends in order, but without a finish': {
    id: 'S08',
    withinS: 40,
    modes: ['stream'],
    ...CUT,
    primary: (mode) => [cutStream(mode, 40, [END])],
    fallback: (mode) => [goesOn(mode, 40)],
    conduct: atMost(5),
    advice: givenTheText(40),
  },
  'S08: 60 % of the announced body': {
    id: 'S08',
    withinS: 40,
    modes: ['whole'],
    interrupt: 'Continue',
    primary: (mode) => [cutWhole(mode, [CLOSE])],
    conduct: atMost(5),
  },
  'S09: silence after 20 words': {
    id: 'S09',
    withinS: 45,
    modes: ['stream'],
    timeouts: IDLE,
    ...CUT,
    primary: (mode) => [cutStream(mode, 20, FULL ? [pause(30_000), CLOSE] : [HANG])],
    fallback: (mode) => [goesOn(mode, 20)],
    conduct: (outcome) => {
      atMost(5)(outcome)
      left(outcome)
    },
    advice: givenTheText(20),
  },
  'S09: the head, silence, then the end': {
    id: 'S09',
    withinS: 45,
    modes: ['whole'],
    primary: (mode) => [[...cutWhole(mode, []).slice(0, 1), pause(FULL ? 30_000 : 100), CLOSE]],
    conduct: atMost(5),
  },
  'S10: the tenth event is no JSON': {
    id: 'S10',
    withinS: 30,
    modes: ['stream'],
    primary: ({ speech }) => {
      const events = streamOf(speech, WORDS)
      return [[streamHead(), ...[...events.slice(0, 9), 'data: {"choices":[{"ind\n\n', ...events.slice(9)].map(chunk), END]]
    },
    conduct: (outcome) => metricIs(outcome, 'llama_swap_stream_events_malformed_total', `"default/${outcome.primaryName}"`, 1),
    advice: inPlace,
  },
  'S10: a body that is no JSON': {
    id: 'S10',
    withinS: 30,
    modes: ['whole'],
    primary: () => [whole('<html>no</html>')],
    conduct: atMost(5),
  },
  'S11: complete, but without [DONE]': withoutSentinel(END),
  'S11: complete, but left open': withoutSentinel(HANG),
  'S12: the prompt is too long, and a larger window exists': {
    id: 'S12',
    withinS: 20,
    backend: { contextWindowTokens: 4096 },
    fallbackBackend: { contextWindowTokens: 8192 },
    primary: () => [error(400, 'context_length_exceeded', 'maximum context length is 4096 tokens')],
    conduct: atMost(1),
  },
  'S12: the prompt is too long, and no window is larger': {
    id: 'S12',
    withinS: 20,
    backend: { contextWindowTokens: 4096 },
    fallbackBackend: { contextWindowTokens: 4096 },
    primary: () => [error(400, 'context_length_exceeded', 'maximum context length is 4096 tokens')],
    conduct: inVain,
    ideal: (outcome) => void httpError(outcome, 400, 'context_length_exceeded'),
  },
  'S13: the content filter refuses': {
    id: 'S13',
    withinS: 20,
    primary: () => [error(400, 'content_policy_violation', 'our policy forbids this')],
    conduct: inVain,
    ideal: (outcome) => {
      const said = httpError(outcome, 400, 'content_filter')
      assert.equal(said['message'], 'our policy forbids this')
      if (isOpenAi(outcome)) assert.deepEqual(said['upstream'], { status: 400, code: 'content_policy_violation', type: 'some_error' })
    },
  },
  'S13: the content filter refuses, and the policy lists that': {
    id: 'S13',
    withinS: 20,
    policyWhen: ['ContentFilter'],
    primary: () => [error(400, 'content_policy_violation', 'our policy forbids this')],
    conduct: atMost(1),
  },
  'S14: as S08, and the fallback refuses an answer that has begun': {
    id: 'S14',
    withinS: 40,
    modes: ['stream'],
    interrupt: 'Continue',
    primary: (mode) => [cutStream(mode, 40, [CLOSE])],
    fallback: (mode) => [refusesPrefix(mode, 40)],
    conduct: (outcome) => {
      atMost(5)(outcome)
      assert.equal(outcome.got.body.includes('prefill'), false)
      assert.deepEqual(
        outcome.fallback.filter(({ body }) => body.includes('w39 ')),
        [],
        'no prefill where it is not declared',
      )
    },
  },
  'S15: an outage, and its end': {
    id: 'S15',
    withinS: 30,
    primary: () => [OVERLOADED],
    drive: outage,
    conduct: ({ primary }) => {
      const recovered = primary.findIndex(({ bytes }) => bytes > 2000)
      const during = recovered === -1 ? primary.length : recovered
      assert.ok(during <= REQUESTS, `${during} tries of the primary during the outage`)
    },
    advice: (outcome) => answeredBy(outcome, outcome.primaryName),
  },
  'S16: 503 always, and the fallback is another model': {
    id: 'S16',
    withinS: 40,
    primary: () => [OVERLOADED],
    conduct: failedTriesCostNothing,
  },
}

/** Asked once, and nobody else. */
function inVain(outcome: Outcome): void {
  assert.deepEqual(tries(outcome), [1, 0])
}

const REQUESTS = 20
const EVERY_MS = FULL ? 4000 : 300
const OUTAGE_MS = FULL ? 60_000 : 4000
const BACK_WITHIN_MS = 30_000

/** Twenty requests, each answered whole; then more until the primary answers again. Returns the last answer. */
async function outage({ ask, primary, primaryName, ...mode }: Drive): Promise<Got> {
  const startMs = performance.now()
  let mendedAtMs: number | undefined
  for (let number = 1; ; number++) {
    const got = await ask()
    wholeAnswer({ ...mode, got })
    assert.ok(got.tookMs < BACK_WITHIN_MS)
    const nowMs = performance.now()
    if (mendedAtMs === undefined && nowMs - startMs >= OUTAGE_MS) {
      await primary.script(healthy(mode))
      mendedAtMs = nowMs
    }
    const isBack = mendedAtMs !== undefined && got.headers['x-llama-swap-model'] === primaryName
    if (isBack && number >= REQUESTS) return got
    if (mendedAtMs !== undefined && !isBack) assert.ok(nowMs - mendedAtMs < BACK_WITHIN_MS, 'not back on the primary within 30 s')
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS))
  }
}
