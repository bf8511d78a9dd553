import assert from 'node:assert/strict'
import { test } from 'node:test'
import { tableOf } from '../account/record.fixture.ts'
import { compileTable } from '../routing-table/compile.ts'
import type { CompiledTable } from '../routing-table/compiled.ts'
import { otherRoute } from './other-routes.ts'

const plain = tableOf(['a'])
const listing = (method: 'GET' | 'DELETE', path: string): CompiledTable => {
  const { table } = plain
  return compileTable({ ...table, models: table.models.map((model) => ({ ...model, extraRoutes: [{ method, path }] })) })
}
const found = (table: CompiledTable, method: string, path: string): string | undefined => {
  const dialect = otherRoute(table, method, path)
  return dialect === undefined ? undefined : `${dialect.method} ${dialect.path} as ${dialect.route}`
}

test('any POST below /v1 is one, but for what the proxy itself answers', () => {
  assert.equal(found(plain, 'POST', '/v1/score'), 'POST /v1/score as other')
  for (const path of ['/v1/models', '/v1/models/a', '/v1/route:explain', '/v1', '/v1/', '/score', '/upstream/a/x'])
    assert.equal(found(plain, 'POST', path), undefined, path)
})

test('others are where a model lists them, by method and path', () => {
  const table = listing('DELETE', '/tokenizer')
  assert.equal(found(table, 'DELETE', '/tokenizer'), 'DELETE /tokenizer as other')
  assert.equal(found(table, 'GET', '/tokenizer'), undefined)
  assert.equal(found(listing('GET', '/v1/models'), 'GET', '/v1/models'), undefined)
})

test('a path that could be read in two ways is none', () => {
  for (const path of ['/v1/../x', '/v1/./x', '/v1//x', '/v1/%2e%2e/x', '/v1/x%2fy', '/v1/x\\y', '/v1/.hidden', '/v1/x/', '/v1/ä'])
    assert.equal(found(plain, 'POST', path), undefined, path)
})

test('a method that no route has is none', () => {
  for (const method of ['HEAD', 'OPTIONS', 'TRACE', 'post']) assert.equal(found(plain, method, '/v1/score'), undefined)
})
