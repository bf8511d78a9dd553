/**
 * Each file of charts/llama-swap/ci/ and the objects that come of it: cases/NAME.yaml. `GOLDEN=write` writes them instead of comparing; their
 * diff is read like code. Left out: definitions of resources and dashboards, which are copies of files, and the random key. Both helms give
 * the same objects.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { dump } from 'js-yaml'
import { valueAt } from '../support/control-plane/api.ts'
import { CHART, CI_CASES, CRD_CHART, ciFile, HELM_VERSIONS, helm, kindOf, nameOf, render } from './render.ts'

const CASES = join(CHART, 'cases')
const WRITE = process.env['GOLDEN'] === 'write'
if (WRITE && process.env['CI'] !== undefined) throw new Error('GOLDEN=write is for people: CI only compares')

const isCopy = (object: unknown): boolean =>
  kindOf(object) === 'CustomResourceDefinition' || nameOf(object).includes('/llama-swap-dashboard-')

function written(objects: readonly unknown[]): string {
  const kept = objects.filter((object) => !isCopy(object))
  const text = kept.map((object) => dump(object, { noRefs: true, lineWidth: -1 })).join('---\n')
  return text.replace(/^ {2}key: bHMt\S+$/m, '  key: RANDOM')
}

for (const name of CI_CASES) {
  test(`${name}: the same objects as written, by both helms`, async () => {
    const [three, four] = await Promise.all(HELM_VERSIONS.map(async (version) => written(await render({ version, files: [ciFile(name)] }))))
    assert.equal(three, four)
    const path = join(CASES, `${name}.yaml`)
    if (WRITE) writeFileSync(path, four ?? '')
    assert.equal(four, readFileSync(path, 'utf8'), 'GOLDEN=write make test-charts rewrites them')
  })

  test(`${name}: lint of both helms has nothing to say`, async () => {
    for (const version of HELM_VERSIONS) {
      const { stdout, stderr, code } = await helm(version, ['lint', '--strict', CHART, '--values', ciFile(name)])
      const complaints = `${stdout}${stderr}`.match(/\[(WARNING|ERROR)\].*/g)
      assert.deepEqual([complaints, code], [null, 0])
    }
  })
}

test('every case has a file of values', () => {
  assert.ok(CI_CASES.length > 0)
  assert.deepEqual(
    readdirSync(CASES).sort(),
    CI_CASES.map((name) => `${name}.yaml`),
  )
})

test('the random key is another one each time, and long enough', async () => {
  const keys = await Promise.all(
    [1, 2].map(async () => {
      const secret = (await render({})).find((object) => nameOf(object) === 'Secret llama-swap/llama-swap-first-key')
      return Buffer.from(String(valueAt(secret, 'data', 'key')), 'base64').toString()
    }),
  )
  for (const key of keys) assert.match(key, /^ls-[A-Za-z0-9]{40}$/)
  assert.notEqual(keys[0], keys[1])
})

test('the chart of the definitions lints, and both helms render it alike', async () => {
  const [three, four] = await Promise.all(HELM_VERSIONS.map((version) => render({ version, chart: CRD_CHART })))
  assert.deepEqual(three, four)
  for (const version of HELM_VERSIONS) assert.equal((await helm(version, ['lint', '--strict', CRD_CHART])).code, 0)
})
