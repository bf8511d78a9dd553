import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DIALECTS } from '../dialects/dialects.ts'
import { isKnownRoute } from './known-routes.ts'

test('every route that is spoken is known', () => {
  assert.deepEqual(
    [...DIALECTS.keys()].filter((path) => !isKnownRoute(path)),
    [],
  )
})

test("lists, explanations and raw access are the proxy's own, with all that is below them", () => {
  const own = ['/v1/models', '/v1/models/llama', '/v1/route:explain', '/upstream/llama/metrics']
  assert.deepEqual(own.filter(isKnownRoute), own)
})

test('other routes are not known', () => {
  const others = ['/v1/score', '/v1/modelsx', '/v1/chat', '/tokenize', '/']
  assert.deepEqual(others.filter(isKnownRoute), [])
})
