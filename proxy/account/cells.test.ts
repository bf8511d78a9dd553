import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Registry } from 'prom-client'
import { CounterCells, HistogramCells } from './cells.ts'

const samples = async (registry: Registry): Promise<readonly string[]> =>
  (await registry.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'))

test('past its bound a counter keeps what it has and counts the rest under _other', async () => {
  const registry = new Registry()
  const dropped: string[] = []
  const cells = new CounterCells({
    registry,
    name: 'x_total',
    help: 'x',
    labelNames: ['model', 'kind'],
    maxSeries: 2,
    onDropped: (metric) => dropped.push(metric),
  })
  for (const model of ['a', 'b', 'c', 'd', 'a']) cells.add([model, 'k'])
  assert.deepEqual(await samples(registry), [
    'x_total{model="a",kind="k"} 2',
    'x_total{model="b",kind="k"} 1',
    'x_total{model="_other",kind="_other"} 2',
  ])
  assert.deepEqual(dropped, ['x_total', 'x_total'])
})

test('when room gets short the models that left are forgotten, and no count of the others is lost', async () => {
  const registry = new Registry()
  const cells = new CounterCells({ registry, name: 'x_total', help: 'x', labelNames: ['model'], maxSeries: 3 })
  for (const model of ['gone', 'stays']) cells.add([model])
  cells.tidy('model', (model) => model === 'stays')
  for (const model of ['stays', 'new', 'newer']) cells.add([model])
  assert.deepEqual(await samples(registry), ['x_total{model="stays"} 2', 'x_total{model="new"} 1', 'x_total{model="newer"} 1'])
})

test('while there is room a model that left keeps its last count', async () => {
  const registry = new Registry()
  const cells = new CounterCells({ registry, name: 'x_total', help: 'x', labelNames: ['model'] })
  cells.add(['gone'])
  cells.tidy('model', () => false)
  assert.deepEqual(await samples(registry), ['x_total{model="gone"} 1'])
})

test('a histogram is cumulative, its bounds belong to the bucket below, and label values are escaped', async () => {
  const registry = new Registry()
  const cells = new HistogramCells({ registry, name: 'x_seconds', help: 'x', labelNames: ['model'], bounds: [0.1, 1] })
  for (const value of [0.1, 0.5, 7]) cells.observe(['a "quoted" one'], value)
  assert.deepEqual(await samples(registry), [
    'x_seconds_bucket{le="0.1",model="a \\"quoted\\" one"} 1',
    'x_seconds_bucket{le="1",model="a \\"quoted\\" one"} 2',
    'x_seconds_bucket{le="+Inf",model="a \\"quoted\\" one"} 3',
    'x_seconds_sum{model="a \\"quoted\\" one"} 7.6',
    'x_seconds_count{model="a \\"quoted\\" one"} 3',
  ])
})
