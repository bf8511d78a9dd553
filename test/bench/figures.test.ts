import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FIGURES, type Figures, gates, lowest, type Results } from './figures.ts'
import { LOAD_NAMES, LOADS, requestBody } from './loads.ts'
import { report } from './report.ts'
import { withContinuation, withControlPlane, withFirstPart, withSoak } from './sections.ts'

const same = (value: number): Figures => ({
  cpu1k: value,
  cpu64k: value,
  cpu1kAtRate: value,
  cpuEvent: value,
  p50: value,
  p99: value,
  eventP50: value,
  eventP99: value,
  streamsMb: value,
  otherLoadsMb: value,
})

const results = (changes: Partial<Results> = {}): Results => ({
  direct: same(10),
  nginx: same(20),
  proxy: same(50),
  listeningMs: 150,
  readyMs: 200,
  ...changes,
})

const missed = (changes: Partial<Results>): string[] =>
  gates(results(changes))
    .filter(({ passed }) => !passed)
    .map(({ what }) => what)

test('the lowest of the rounds counts, figure by figure', () => {
  const rounds = [
    { ...same(3), p99: 1 },
    { ...same(2), p99: 5 },
  ]
  assert.deepEqual(lowest(rounds), { ...same(2), p99: 1 })
})

test('a gate is passed at its very limit and missed beyond it', () => {
  assert.deepEqual(missed({ proxy: same(50) }), [])
  assert.deepEqual(missed({ proxy: { ...same(50), cpu1k: 70.1, cpu64k: 90 } }), ['CPU per request, 1 KiB'])
  assert.deepEqual(missed({ proxy: { ...same(50), p99: 1021 }, readyMs: 300 }), ['99th percentile at 1,000 requests a second'])
  assert.deepEqual(missed({ proxy: { ...same(50), streamsMb: 181 }, readyMs: 301 }), ['memory at 1,000 streams', 'from start to ready'])
})

test('the report has a row for every figure and says which gates were missed', () => {
  const machine = { processor: 'P', cores: 2, kernel: 'k', node: 'n', nginx: 'x', date: 'd' }
  const text = report(results({ readyMs: 301 }), machine, 3)
  assert.equal(text.match(/^\| (CPU|latency|event|memory)[^|]*\|([^|]*\|){5}$/gm)?.length, FIGURES.length)
  assert.match(text, /\| from start to ready \| ≤ 300 ms \| 301 ms \| \*\*missed\*\* \|/)
})

test('a request has exactly the size it says and is a chat request', () => {
  for (const name of LOAD_NAMES) {
    const load = LOADS[name]
    const body = requestBody(load)
    assert.equal(Buffer.byteLength(body), load.bodyBytes)
    assert.equal(JSON.parse(body).model, load.model)
  }
})

test('two programs write the report, each its own part', () => {
  const first = withFirstPart('', '# Benchmarks\n\nold\n')
  const both = withControlPlane(first, 'a\n')
  assert.equal(both, '# Benchmarks\n\nold\n\n## Control plane\n\na\n')
  assert.equal(withFirstPart(both, '# Benchmarks\n\nnew\n'), '# Benchmarks\n\nnew\n\n## Control plane\n\na\n')
  assert.equal(withControlPlane(both, 'b'), '# Benchmarks\n\nold\n\n## Control plane\n\nb\n')
  const all = withSoak(both, 's')
  assert.equal(all, '# Benchmarks\n\nold\n\n## Control plane\n\na\n\n## Soak\n\ns\n')
  assert.equal(withControlPlane(withSoak(first, 's'), 'a'), all)
  assert.equal(withSoak(withFirstPart(all, '# Benchmarks\n\nold'), 's'), all)
  assert.equal(withContinuation(all, 'c'), `${all}\n## Streams that break\n\nc\n`)
  assert.equal(withSoak(withContinuation(both, 'c'), 's'), withContinuation(all, 'c'))
})
