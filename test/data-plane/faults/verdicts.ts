/** What a case may say of an outcome: the sentences of the catalogue, as assertions. */
import assert from 'node:assert/strict'
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
  if (code === undefined) assert.ok(typeof error['type'] === 'string' && error['type'] !== '', 'Anthropic errors have a type')
  else assert.equal(code, 'upstream_stream_interrupted')
}

/** The one HTTP error with this status and code, in the envelope of the route. */
export function httpError({ got, speech }: Pick<Outcome, 'got' | 'speech'>, status: number, code: string): Json {
  assert.equal(got.status, status, got.body)
  assert.equal(got.headers['content-type'], 'application/json')
  assert.equal(typeof got.headers['x-request-id'], 'string')
  assert.match(String(got.headers['x-should-retry']), /^(true|false)$/)
  const body = jsonOf(got.body)
  const error = errorOf(body)
  if (speech.path.startsWith('/v1/messages')) assert.deepEqual([body['type'], typeof error['type']], ['error', 'string'])
  else assert.equal(error['code'], code)
  return error
}

function errorOf(value: Json | undefined): Json {
  const error = value?.['error'] ?? (value?.['type'] === 'error' ? value : undefined)
  assert.ok(typeof error === 'object' && error !== null, `no error object in ${JSON.stringify(value)}`)
  return { ...error }
}

export const isOpenAi = ({ speech }: Pick<Outcome, 'speech'>): boolean => !speech.path.startsWith('/v1/messages')

/** The value of one metric's series that hold `labels`, summed. */
export async function metric({ proxy }: Pick<Outcome, 'proxy'>, name: string, labels: string): Promise<number> {
  const text = await (await fetch(`${proxy.metricsUrl}/metrics`)).text()
  const lines = text.split('\n').filter((line) => line.startsWith(`${name}{`) && line.includes(labels))
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0)
}

/** Not the answer, but nothing that could be taken for one: an HTTP error in the envelope, or a stream whose last event is an error. */
export function answeredCleanly({ got, speech }: Pick<Outcome, 'got' | 'speech'>): void {
  if (got.status === 200) {
    assert.equal(got.whole, true)
    endsWithError({ got, speech })
  } else {
    assert.equal(got.headers['content-type'], 'application/json')
    errorOf(jsonOf(got.body))
  }
}
