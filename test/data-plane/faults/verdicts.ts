/** What a case may say of an outcome: the sentences of the catalogue, as assertions. */
import assert from 'node:assert/strict'
import { eventually } from '../../support/eventually.ts'
import { eventsOf, jsonOf, WORDS } from '../../support/routes.ts'
import { type FaultCase, type Outcome, wholeAnswer } from './wall.ts'

type Json = Readonly<Record<string, unknown>>

export const tries = ({ primary, fallback }: Outcome): readonly [number, number] => [primary.length, fallback.length]

export const answeredBy = ({ got }: Outcome, model: string): void => assert.equal(got.headers['x-llama-swap-model'], model)

/** Rescued by the fallback after so many tries of the primary. */
export const rescuedAfter =
  (primaryTries: number): FaultCase['check'] =>
  (outcome) => {
    wholeAnswer(outcome)
    answeredBy(outcome, outcome.fallbackName)
    assert.deepEqual(tries(outcome), [primaryTries, 1])
  }

export const answeredAtOnce: FaultCase['check'] = (outcome) => {
  wholeAnswer(outcome)
  answeredBy(outcome, outcome.primaryName)
  assert.deepEqual(tries(outcome), [1, 0])
}

/** Answered by the primary itself, at the second try; the fallback never heard of it. */
export const mended: FaultCase['check'] = (outcome) => {
  wholeAnswer(outcome)
  answeredBy(outcome, outcome.primaryName)
  assert.deepEqual(tries(outcome), [2, 0])
}

/** A stream that says of itself that it is not complete: some words, then an error as its last event, and no sentinel. */
export function cleanlyInterrupted({ got, speech }: Outcome, words: number): void {
  assert.equal(got.status, 200)
  assert.equal(got.whole, true)
  assert.equal(speech.textOfEvents(got.body), WORDS.slice(0, words).join(''))
  endsWithError({ got, speech })
}

/** Its last event is an error, and no sentinel is in it. */
export function endsWithError({ got, speech }: Pick<Outcome, 'got' | 'speech'>): void {
  for (const event of speech.events(WORDS).sentinel) assert.equal(got.body.includes(event), false)
  assert.equal(got.body.includes('[DONE]'), false)
  const last = eventsOf(got.body).at(-1)
  const error = errorOf(last)
  const code = error['code']
  if (isOpenAi({ speech })) assert.equal(code, 'upstream_stream_interrupted')
  else assert.deepEqual(error['details'], { error_code: 'upstream_stream_interrupted' })
}

/** The one HTTP error with this status and code, in the envelope of the route. Anthropic's API has 529 for what is 503 elsewhere. */
export function httpError({ got, speech }: Pick<Outcome, 'got' | 'speech'>, status: number, code: string): Json {
  const isAnthropic = !isOpenAi({ speech })
  assert.equal(got.status, isAnthropic && status === 503 ? 529 : status, got.body)
  assert.equal(got.headers['content-type'], 'application/json')
  assert.equal(typeof got.headers['x-request-id'], 'string')
  assert.match(String(got.headers['x-should-retry']), /^(true|false)$/)
  const body = jsonOf(got.body)
  const error = errorOf(body)
  if (isAnthropic) assert.deepEqual([body['type'], typeof error['type'], error['details']], ['error', 'string', { error_code: code }])
  else assert.equal(error['code'], code)
  return error
}

function errorOf(value: Json | undefined): Json {
  const error = value?.['error'] ?? (value?.['type'] === 'error' ? value : undefined)
  assert.ok(typeof error === 'object' && error !== null, `no error object in ${JSON.stringify(value)}`)
  return { ...error }
}

export const isOpenAi = ({ speech }: Pick<Outcome, 'speech'>): boolean => !speech.path.startsWith('/v1/messages')

/** Resolves once the series of a metric that hold `labels` add up to `value`: a request is booked when its answer is over. */
export function metricIs({ proxy }: Pick<Outcome, 'proxy'>, name: string, labels: string, value: number): Promise<void> {
  return eventually(async () => {
    const text = await (await fetch(`${proxy.metricsUrl}/metrics`)).text()
    const lines = text.split('\n').filter((line) => line.startsWith(`${name}{`) && line.includes(labels))
    assert.equal(
      lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0),
      value,
      `${name} ${labels}`,
    )
  }, 2000)
}

/**
 * Not the answer, but nothing that could be taken for one: an HTTP error in the envelope, a stream whose last event is an error, or any other
 * body that has broken off.
 */
export function answeredCleanly({ got, speech, stream }: Pick<Outcome, 'got' | 'speech' | 'stream'>): void {
  if (got.status !== 200) {
    assert.equal(got.headers['content-type'], 'application/json')
    errorOf(jsonOf(got.body))
    return
  }
  assert.equal(got.whole, stream)
  if (stream) endsWithError({ got, speech })
}
