/** What a proxy has logged, replayed: with the same resources it says what was; with others, what can be worked out by hand. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import { dump } from 'js-yaml'
import { ask } from '../support/client.ts'
import { valueAt } from '../support/control-plane/api.ts'
import { eventually } from '../support/eventually.ts'
import { whole } from '../support/model-server/answers.ts'
import { type ModelServer, startModelServer } from '../support/model-server/model-server.ts'
import { ROOT } from '../support/program.ts'
import { startStandalone } from '../support/proxy.ts'
import { ROUTES } from '../support/routes.ts'

const { chat } = ROUTES
const REQUESTS = 120

let server: ModelServer
let folder: string
let log: readonly string[] = []

const answer = whole({ ...Object(chat.answer(['well'])), usage: { prompt_tokens: 100, completion_tokens: 50, total_tokens: 150 } })

/** Of two models, the first twice as dear as the second. */
function resources(policy: object): string {
  const model = (name: string, url: string, price: string): object => ({
    apiVersion: 'llamaswap.dev/v1alpha1',
    kind: 'LlamaModel',
    metadata: { name },
    spec: { pricing: { inputPerMillionTokens: price, outputPerMillionTokens: price }, backends: [{ name: 'gpu', url, engine: 'Generic' }] },
  })
  const auto = {
    apiVersion: 'llamaswap.dev/v1alpha1',
    kind: 'RoutingPolicy',
    metadata: { name: 'auto' },
    spec: { virtualModels: ['auto'], ...policy },
  }
  return [model('a', urls[0] ?? '', '2'), model('b', urls[1] ?? '', '1'), auto].map((one) => dump(one)).join('---\n')
}

let urls: readonly string[] = []

const file = (name: string, content: string): string => {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'replay-'))
  server = startModelServer()
  urls = (await Promise.all([server.open(answer), server.open(answer)])).map(({ url }) => url)
  log = await recorded()
})
after(async () => {
  await server.close()
  rmSync(folder, { recursive: true })
})

/** Access lines of a standalone program: weights 2 : 1 in turns. */
async function recorded(): Promise<readonly string[]> {
  const proxy = await startStandalone(resources({ strategy: 'WeightedRoundRobin', targets: [{ model: 'a', weight: 2 }, { model: 'b' }] }))
  try {
    for (let at = 0; at < REQUESTS; at++) {
      const got = await ask(proxy.url, { body: { model: 'auto', messages: [{ role: 'user', content: `question ${at}` }] } })
      assert.equal(got.status, 200)
    }
    const lines = (): string[] =>
      proxy.program
        .output()
        .split('\n')
        .filter((line) => line.includes('"msg":"request"'))
    await eventually(async () => assert.equal(lines().length, REQUESTS))
    return lines()
  } finally {
    await proxy.close()
  }
}

async function replay(args: readonly string[], stdin = ''): Promise<{ code: number | null; out: string; err: string }> {
  const child = spawn(process.execPath, ['cli/main.ts', 'replay', ...args], { cwd: ROOT, stdio: ['pipe', 'pipe', 'pipe'] })
  child.stdin.end(stdin)
  const [out, err, code] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise<number | null>((resolve) => child.once('close', resolve)),
  ])
  return { code, out, err }
}

async function reportOf(policy: object, lines: readonly string[] = log, old?: object): Promise<unknown> {
  const config = file('new.yaml', resources(policy))
  const before = old === undefined ? [] : ['--old', file('old.yaml', resources(old))]
  const { code, out, err } = await replay([file('access.log', lines.join('\n')), '--config', config, ...before, '--output', 'json'])
  assert.equal(code, 0, err)
  return JSON.parse(out)
}

test('the same resources give the recorded shares and the recorded cost', async () => {
  const report = await reportOf({ strategy: 'WeightedRoundRobin', targets: [{ model: 'a', weight: 2 }, { model: 'b' }] })
  assert.deepEqual(valueAt(report, 'models'), { 'default/a': { old: 80, new: 80 }, 'default/b': { old: 40, new: 40 } })
  assert.equal(valueAt(report, 'moved'), 0)
  // 150 tokens each: 80 × 150 × 2 and 40 × 150 × 1, by the million.
  for (const which of ['old', 'new']) assert.ok(Math.abs(Number(valueAt(report, 'cost', 'usd', which)) - 0.03) < 1e-9)
  assert.deepEqual(valueAt(report, 'undecided'), {})
})

test('the cheapest for all: shares, cost and who moves', async () => {
  const report = await reportOf({ strategy: 'LowestCost', targets: [{ model: 'a' }, { model: 'b' }] })
  assert.deepEqual(valueAt(report, 'models'), { 'default/a': { old: 80, new: 0 }, 'default/b': { old: 40, new: 120 } })
  assert.equal(valueAt(report, 'moved'), 80)
  assert.ok(Math.abs(Number(valueAt(report, 'cost', 'usd', 'new')) - 0.018) < 1e-9)
  assert.ok(Number(valueAt(report, 'latency', 'wholeMs', 'new', 'p50')) > 0)
})

test('chance by weight: within sampling error', async () => {
  const report = await reportOf({
    strategy: 'WeightedRandom',
    targets: [
      { model: 'a', weight: 1 },
      { model: 'b', weight: 3 },
    ],
  })
  const share = Number(valueAt(report, 'models', 'default/b', 'new')) / REQUESTS
  assert.ok(Math.abs(share - 0.75) < 0.15, String(share))
})

test('a rule on headers cannot be decided again, and that is said; one before it can', async () => {
  const byHeader = { name: 'gold', matches: [{ headers: [{ name: 'x-tier', value: 'gold' }] }], targets: [{ model: 'a' }] }
  const unknown = await reportOf({ rules: [byHeader], targets: [{ model: 'b' }] })
  assert.deepEqual(valueAt(unknown, 'undecided'), { 'rule gold of default/auto looks at headers': REQUESTS })
  const first = { name: 'short', matches: [{ promptTokens: { max: 100 } }], targets: [{ model: 'b' }] }
  const known = await reportOf({ rules: [first, byHeader], targets: [{ model: 'a' }] })
  assert.deepEqual(valueAt(known, 'undecided'), {})
  assert.deepEqual(valueAt(known, 'rules', 'default/auto/short'), { old: 0, new: REQUESTS })
})

test('with the old resources, the rule that was taken says which headers there were; how far they agree with the log is said', async () => {
  const gold = [{ headers: [{ name: 'x-tier', value: 'gold' }] }]
  const before = { rules: [{ name: 'gold', matches: gold, targets: [{ model: 'a' }] }], targets: [{ model: 'b' }] }
  const lines = log.map((line, at) => {
    const rule = at % 4 === 0 ? 'gold' : 'default'
    return line
      .replace(/"rule":"[^"]*"/, `"rule":"${rule}"`)
      .replace(/"model":"default\/[ab]","backend"/, `"model":"default/${rule === 'gold' ? 'a' : 'b'}","backend"`)
  })
  const report = await reportOf(
    { rules: [{ name: 'best', matches: gold, targets: [{ model: 'b' }] }], targets: [{ model: 'a' }] },
    lines,
    before,
  )
  assert.deepEqual(valueAt(report, 'undecided'), {})
  assert.deepEqual(valueAt(report, 'rules', 'default/auto/best'), { old: 0, new: REQUESTS / 4 })
  assert.deepEqual(valueAt(report, 'models'), { 'default/a': { old: 30, new: 90 }, 'default/b': { old: 90, new: 30 } })
  assert.deepEqual(valueAt(report, 'agreement'), { requests: REQUESTS, same: REQUESTS })
})

test('a backend whose endpoints only a cluster knows counts as up too, and is named', async () => {
  const backend = { name: 'gpu', service: { name: 'llm', port: { number: 8000 } }, engine: 'Generic' }
  const inCluster = { apiVersion: 'llamaswap.dev/v1alpha1', kind: 'LlamaModel', metadata: { name: 'c' }, spec: { backends: [backend] } }
  const config = file('c.yaml', `${resources({ targets: [{ model: 'c' }] })}---\n${dump(inCluster)}`)
  const { code, out } = await replay(['-', '--config', config, '--output', 'json'], log.join('\n'))
  assert.equal(code, 0)
  const report: unknown = JSON.parse(out)
  assert.deepEqual(valueAt(report, 'models', 'default/c'), { old: 0, new: REQUESTS })
  assert.deepEqual([valueAt(report, 'standIns'), valueAt(report, 'latency', 'unknown')], [['default/c gpu'], REQUESTS])
  assert.deepEqual(valueAt(report, 'cost', 'unknown'), { old: 0, new: REQUESTS })
})

test('requests whose cost the log does not know are priced anew, apart', async () => {
  const unpriced = log.map((line) => JSON.stringify({ ...Object(JSON.parse(line)), cost_usd: null }))
  const report = await reportOf({ strategy: 'LowestCost', targets: [{ model: 'a' }, { model: 'b' }] }, unpriced)
  assert.deepEqual(valueAt(report, 'cost', 'unknown'), { old: REQUESTS, new: 0 })
  assert.ok(Math.abs(Number(valueAt(report, 'cost', 'newAloneUsd')) - 0.018) < 1e-9)
})

test('what would be refused is counted by its code', async () => {
  const report = await reportOf({ targets: [{ model: 'a' }], costCeiling: { perRequest: '0.0000001' } })
  assert.deepEqual(valueAt(report, 'refused'), { cost_ceiling_exceeded: { old: 0, new: REQUESTS } })
})

test('other lines, cut ones and those of later versions are counted and passed over', async () => {
  const newer = (log[0] ?? '').replace('"v":1', '"v":2')
  const report = await reportOf({ targets: [{ model: 'a' }] }, [
    '{"level":"info","msg":"ready"}',
    'words',
    newer,
    ...log,
    (log[1] ?? '').slice(0, 200),
  ])
  assert.deepEqual(valueAt(report, 'skipped'), { other: 2, newer: 1, broken: 1 })
  assert.equal(valueAt(report, 'requests'), REQUESTS)
})

test('for people: a table, from standard input too', async () => {
  const config = file('new.yaml', resources({ strategy: 'LowestCost', targets: [{ model: 'a' }, { model: 'b' }] }))
  const { code, out } = await replay(['-', '--config', config], log.join('\n'))
  assert.equal(code, 0)
  assert.match(out, /120 requests; 80 would go to another model/)
  assert.match(out, /default\/b +40 +33\.3% +120 +100\.0%/)
})

test('wrong use is 2, a log without requests 1; both say what to do', async () => {
  const config = file('new.yaml', resources({ targets: [{ model: 'a' }] }))
  const [noConfig, noFile, noRequests, badConfig] = await Promise.all([
    replay(['x.log']),
    replay([join(folder, 'no.log'), '--config', config]),
    replay(['-', '--config', config], 'nothing\n'),
    replay(['-', '--config', file('bad.yaml', 'kind: RoutingPolicy\n')], log.join('\n')),
  ])
  assert.deepEqual([noConfig.code, noFile.code, noRequests.code, badConfig.code], [2, 2, 1, 2])
  assert.match(noConfig.err, /--config/)
  assert.match(noFile.err, /no\.log/)
  assert.match(noRequests.err, /no access line/)
  assert.match(badConfig.err, /check/)
})
