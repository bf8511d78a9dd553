/** The suite that every engine's profile passes: its own texts are read right, everyone else's do not mislead it, and it never throws. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Answer, EngineProfile, HealthVerdict, ModelFacts, ProbeTarget, SignalReading } from './engine.ts'
import { recogniseEngine } from './engines.ts'

export interface EngineCases {
  profile: EngineProfile
  /** Answers that give it away. Empty = it is what remains. */
  recognised: readonly Answer[]
  health: readonly { says: string; status: number; body: string; verdict: HealthVerdict }[]
  models: readonly { says: string; json: unknown; model: string; facts: ModelFacts }[]
  signals: readonly { says: string; text: string; model: string; reading: SignalReading }[]
  /** For the target `{ basePath: '/v1', upstreamModel: 'a/b' }`. */
  requests: { health: string; models: string; signals: readonly string[] }
}

const TARGET: ProbeTarget = { basePath: '/v1', upstreamModel: 'a/b' }
const NONSENSE = ['', '<html>', 'null', '[]', '[null]', '{"data":[null,{"id":7}],"models":3}', '{"data":{}}', 'a:b{c="d} 1', ' 1\n{} 2\n']

export function engineSuite(cases: EngineCases, foreign: readonly Answer[]): void {
  const { profile } = cases
  const name = profile.engine

  test(`${name} is recognised by its own answers only`, () => {
    for (const answer of cases.recognised) assert.equal(recogniseEngine(answer), name)
    for (const answer of foreign) assert.equal(profile.recognise(answer), false, JSON.stringify(answer.json))
  })

  test(`${name} is asked by requests that load no model`, () => {
    assert.equal(profile.healthRequest(TARGET), cases.requests.health)
    assert.equal(profile.modelsRequest(TARGET), cases.requests.models)
    assert.deepEqual(profile.signalsRequests(TARGET), cases.requests.signals)
  })

  test(`${name} keeps a path prefix and obeys the paths of the resource`, () => {
    assert.equal(profile.modelsRequest({ ...TARGET, basePath: '/x/v1' }), '/x/v1/models')
    assert.match(profile.healthRequest({ ...TARGET, basePath: '/x/v1' }), /^\/x\//)
    assert.match(profile.healthRequest({ ...TARGET, healthPath: '/own' }), /^\/own(\?|$)/)
  })

  for (const { says, status, body, verdict } of cases.health) {
    test(`${name} health: ${says}`, () => assert.equal(profile.readHealth(status, body), verdict))
  }
  for (const { says, json, model, facts } of cases.models) {
    test(`${name} models: ${says}`, () => assert.deepEqual(profile.readModels(json, model), facts))
  }
  for (const { says, text, model, reading } of cases.signals) {
    test(`${name} signals: ${says}`, () => assert.deepEqual(profile.readSignals(text, { model }), reading))
  }

  test(`${name} reads nonsense as unknown`, () => {
    for (const body of NONSENSE) {
      assert.deepEqual(
        Object.keys(profile.readSignals(body, { model: 'a/b' })).filter((key) => key !== 'running'),
        [],
      )
      assert.equal(profile.readSignals(body, { model: 'a/b' }).waiting, undefined)
      profile.readModels(JSON.stringify(body), 'a/b')
      profile.readModels(body, 'a/b')
    }
    assert.equal(profile.readHealth(500, ''), 'bad')
  })
}
