/** Over all cases of `decide`: the decision is the same, and everything that is ruled out has a reason. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { decide } from './decide.ts'
import { explainDecision } from './explain.ts'
import { readCase, writeDecision } from './golden.test.ts'
import type { Input } from './input.ts'

const CASES = join(import.meta.dirname, 'cases')
const inputs = readdirSync(CASES)
  .filter((file) => file.endsWith('.in.yaml'))
  .map((file): [string, Input] => [file, readCase(file, readFileSync(join(CASES, file), 'utf8'))])

test('in steps, every case ends as it does without', () => {
  for (const [file, input] of inputs)
    assert.equal(writeDecision(explainDecision(input).decision), writeDecision(decide({ ...input, explain: true })), file)
})

test('every candidate and every endpoint that is ruled out says by which rule and why', () => {
  for (const [file, input] of inputs) {
    const { decision, candidates, endpoints } = explainDecision(input)
    for (const [at, { lost, model, endpoints: kept }] of decision.candidates.entries()) {
      assert.equal(candidates[at] !== undefined, lost !== undefined, file)
      for (const endpoint of model.withLastResorts) {
        if (kept.includes(endpoint)) continue
        const out = endpoints.get(endpoint.id)
        assert.ok(out !== undefined && out.because !== '' && out.by !== '', `${file}: ${endpoint.id}`)
      }
    }
  }
})

const reasons = (name: string): unknown => {
  const input = inputs.find(([file]) => file === `${name}.in.yaml`)?.[1]
  assert.ok(input !== undefined, name)
  return Object.fromEntries(explainDecision(input).endpoints)
}

test('of endpoints of one target each has its own reason', () => {
  assert.deepEqual(reasons('endpoints-ruled-out-each-for-its-own-reason'), {
    'a-gpu-0': { by: 'healthyEndpoint', because: 'not ready: connection refused' },
    'a-gpu-1': { by: 'healthyEndpoint', because: 'cooling down: HTTP 503' },
    'a-gpu-2': { by: 'capable', because: 'it does not declare vision' },
    'a-gpu2-0': { by: 'withinContext', because: 'its context window is smaller than about 5000 tokens' },
    'a-gpu3-0': { by: 'capable', because: 'it does not declare vision' },
  })
})
