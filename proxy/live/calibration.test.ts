import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeTable } from '../../test/support/table.ts'
import { noParts, promptOf } from '../estimate/prompt.ts'
import { compileTable } from '../routing-table/index.ts'
import { Calibrations } from './calibration.ts'

const [A, B] = ['default/a', 'default/b']
const ENGLISH = promptOf({ ...noParts(), texts: ['What is the capital of France? '.repeat(20)] })
const CHINESE = promptOf({ ...noParts(), texts: ['你好世界'.repeat(100)] })
const request = (prompt = ENGLISH) => ({ promptTokens: Math.ceil(prompt.plainTokens), prompt })

const tableOf = (...names: readonly string[]) =>
  compileTable(
    makeTable({
      models: Object.fromEntries(names.map((name) => [name, { backends: [{ url: 'http://10.0.0.1', upstreamModel: 'llama' }] }])),
    }),
  )

function calibrated(answers: number): Calibrations {
  const tokens = new Calibrations()
  tokens.apply(tableOf('a'))
  for (let at = 0; at < answers; at++) tokens.learn(A, ENGLISH, Math.round(ENGLISH.plainTokens * 1.5))
  return tokens
}

test('a model that has reported nothing is estimated plainly, with room for what estimates miss', () => {
  const tokens = calibrated(0)
  assert.equal(tokens.of(A, request()), request().promptTokens)
  assert.equal(tokens.certain(A, request()), 0.6)
})

test('a model is estimated by its own reports, others are not', () => {
  const tokens = calibrated(30)
  assert.ok(Math.abs(tokens.of(A, request()) / (ENGLISH.plainTokens * 1.5) - 1) < 0.03)
  assert.equal(tokens.of(B, request()), request().promptTokens)
})

test('once it is calibrated less room is left, but not for texts of which it has had none', () => {
  const tokens = calibrated(60)
  assert.ok(tokens.certain(A, request()) > 0.8, String(tokens.certain(A, request())))
  assert.equal(tokens.certain(A, request(CHINESE)), 0.6)
  assert.equal(calibrated(19).certain(A, request()), 0.6)
})

test('where only a number is known that number holds', () => {
  assert.equal(calibrated(30).of(A, { promptTokens: 77 }), 77)
  assert.equal(calibrated(30).certain(A, { promptTokens: 77 }), 0.6)
})

test('a new model that the engine calls alike begins with what is known; one that has left is forgotten', () => {
  const tokens = calibrated(60)
  tokens.apply(tableOf('a', 'b'))
  assert.ok(tokens.of(B, request()) > 1.4 * ENGLISH.plainTokens)
  assert.equal(tokens.certain(B, request()), 0.6)
  tokens.apply(tableOf('b'))
  assert.equal(tokens.learn(A, ENGLISH, 100), false)
  tokens.apply(tableOf('a'))
  tokens.apply(tableOf())
  tokens.apply(tableOf('a'))
  assert.equal(tokens.of(A, request()), request().promptTokens)
})
