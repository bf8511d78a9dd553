import assert from 'node:assert/strict'
import { test } from 'node:test'
import { problem } from '../translate/problems.ts'
import { verdictOf } from './conditions.ts'
import { factsOf, type Heard } from './facts.ts'
import { allHave, heard, type Scene, translated } from './report.fixture.ts'
import { troublesOf } from './troubles.ts'

const MOMENT = { nowMs: 1_800_000_000_000, gatheringUntilMs: 0 }
const DOWN = { up: 0, down: 2 }

const CASES: Readonly<Record<string, { readonly scene?: Scene; readonly said: Heard; readonly tells: readonly string[] }>> = {
  'nothing while endpoints take requests': { said: heard(allHave(2), { e1: { up: 2, down: 0 } }), tells: [] },
  'one of two endpoints': {
    said: heard(allHave(2), { e1: DOWN }),
    tells: ['LlamaModel team-a/m EndpointsDown backend gpu: Some of its endpoints take no requests.'],
  },
  'all of them, and the policy that has nothing else': {
    said: heard(allHave(2), { e1: DOWN, e2: DOWN }),
    tells: [
      'LlamaModel team-a/m EndpointsDown backend gpu: None of its endpoints takes requests.',
      'RoutingPolicy team-a/p NoReadyTarget rule default: No target has an endpoint that takes requests.',
    ],
  },
  'a backend without an endpoint beside one that serves': {
    scene: { endpoints: { gpu: ['e1'], spare: [] } },
    said: heard(allHave(2)),
    tells: ['LlamaModel team-a/m NoEndpoints backend spare: It has no endpoint.'],
  },
  'nothing of a backend with a problem, which has its own Event': {
    scene: {
      endpoints: { gpu: ['e1'], spare: [] },
      problems: [problem('ServiceNotFound', 'LlamaModel team-a/m', 'spec.backends[1].service.name', 'spare')],
    },
    said: heard(allHave(2)),
    tells: [],
  },
  'nothing while a gateway has not confirmed the object': { said: heard(allHave(0), { e1: DOWN, e2: DOWN }), tells: [] },
}

for (const [sentence, { scene, said, tells }] of Object.entries(CASES)) {
  test(`troubles: ${sentence}`, () => {
    const verdicts = [...factsOf(translated(scene), said).values()].map((facts) => verdictOf(facts, MOMENT))
    assert.deepEqual(
      verdicts.flatMap(troublesOf).map(({ object, code, at, message }) => `${object} ${code} ${at}: ${message}`),
      tells,
    )
  })
}
