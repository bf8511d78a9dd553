import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeTable } from '../../test/support/table.ts'
import { compileTable } from '../routing-table/index.ts'
import { Live } from './live.ts'
import { MeanOutput } from './mean-output.ts'

test('answers take the place of what is usual', () => {
  const mean = new MeanOutput()
  assert.equal(mean.meanTokens, 256)
  mean.add(1256)
  // (4 × 256 + 1,256) ÷ 5.
  assert.equal(mean.meanTokens, 456)
  for (let count = 0; count < 300; count++) mean.add(20)
  assert.ok(mean.meanTokens > 20 && mean.meanTokens < 21)
})

test('all endpoints of a model share what one has shown, another model does not; answers without text say nothing', () => {
  const backends = [{ url: ['http://127.0.0.1:1', 'http://127.0.0.1:2'] }]
  const table = compileTable(makeTable({ models: { a: { backends }, b: { backends } } }))
  const live = new Live()
  live.apply(table, 0)
  const meansOf = (model: string): (number | undefined)[] =>
    (table.models.get(`default/${model}`)?.endpoints ?? []).map(({ id }) => live.endpoint(id).outputs?.meanTokens)
  const [first] = table.models.get('default/a')?.endpoints ?? []
  const shown = { promptTokens: 10, firstTokenMs: 100, wholeMs: 1000 }
  live.answered(first?.id ?? '', { ...shown, outputTokens: 1256 }, 1000)
  live.answered(first?.id ?? '', { ...shown, outputTokens: 0 }, 2000)
  assert.deepEqual(
    [meansOf('a'), meansOf('b')],
    [
      [456, 456],
      [256, 256],
    ],
  )
})
