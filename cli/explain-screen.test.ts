import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chat } from '../proxy/dialects/chat.ts'
import { Live } from '../proxy/live/live.ts'
import { compileTable } from '../proxy/routing-table/index.ts'
import { explain } from '../proxy/serve/explain.ts'
import { makeTable } from '../test/support/table.ts'
import { explainScreen, isExplanation } from './explain-screen.ts'

const pricing = { inputPerMillionTokens: 10, outputPerMillionTokens: 10 }
const TABLE = compileTable(
  makeTable({
    models: {
      a: { backends: [{ url: 'http://10.0.0.1', pricing }] },
      small: { backends: [{ url: 'http://10.0.0.3', contextWindowTokens: 1 }] },
    },
    policies: { auto: { strategy: 'Adaptive', targets: [['a', 2], 'small', 'a'] } },
  }),
)

function screenOf(model: string): string {
  const live = new Live()
  live.apply(TABLE)
  const bytes = Buffer.from(JSON.stringify({ model, messages: [{ role: 'user', content: 'a question of some words' }] }))
  const client = { name: undefined, namespace: 'default' }
  const result = explain({ bytes, headers: {}, client, dialect: chat, table: TABLE, live, nowMs: 0, dice: 0, waitingFor: () => 0 })
  // As it comes from a proxy.
  const said: unknown = JSON.parse(JSON.stringify('explanation' in result ? result.explanation : result.error))
  assert.ok(isExplanation(said))
  return explainScreen(said)
}

test('where it goes, the rules, the candidates and the endpoints, each with its reason', () => {
  const screen = screenOf('auto')
  assert.match(screen, /^Goes to a at b0\/\w+, by rule default \(Adaptive\): /)
  assert.match(screen, /^default +yes$/m)
  assert.match(screen, /^small +0 +1 +withinContext: its context window is smaller than about \d+ tokens$/m)
  assert.match(screen, /^a b0\/\w+ +0 +0\.00\d+ +in flight 0$/m)
  assert.doesNotMatch(screen, /10\.0\.0|undefined| $/m)
})

test('a refusal stands with its code, and says no more than there is', () => {
  assert.match(
    screenOf('nope'),
    /^Is refused, model_not_found: No model "nope" .*\nAsked for nope on \/v1\/chat\/completions: about \d+ prompt tokens, needs chat\.\n$/,
  )
})
