/** Definitions of resources in both charts are those of crds/, kept at an uninstall unless values say otherwise. */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { load } from 'js-yaml'
import { textAt, valueAt } from '../support/control-plane/api.ts'
import { ROOT } from '../support/program.ts'
import { CHART, CRD_CHART, HELM_VERSIONS, kindOf, render } from './render.ts'

const KEEP = 'helm.sh/resource-policy'
const KEEP_VALUE = { [CHART]: 'crds.keep', [CRD_CHART]: 'keep' }

const VERSION = textAt(load(readFileSync(join(CRD_CHART, 'Chart.yaml'), 'utf8')), 'version')

const specs = globSync('crds/*.yaml', { cwd: ROOT })
  .sort()
  .map((file) => valueAt(load(readFileSync(join(ROOT, file), 'utf8')), 'spec'))

for (const chart of [CHART, CRD_CHART]) {
  test(`${chart.split('/').at(-1)} has them, to the last number`, async () => {
    for (const version of HELM_VERSIONS) {
      const objects = (await render({ version, chart })).filter((object) => kindOf(object) === 'CustomResourceDefinition')
      assert.ok(objects.length > 0)
      assert.deepEqual(
        objects.map((object) => valueAt(object, 'spec')),
        specs,
      )
      for (const object of objects) assert.equal(valueAt(object, 'metadata', 'annotations', KEEP), 'keep')
    }
  })

  test(`${chart.split('/').at(-1)} leaves them to helm where that is asked for`, async () => {
    const objects = await render({ chart, set: [`${KEEP_VALUE[chart]}=false`, 'commonAnnotations.a=b'] })
    for (const object of objects.filter((one) => kindOf(one) === 'CustomResourceDefinition'))
      assert.deepEqual(valueAt(object, 'metadata', 'annotations'), { a: 'b', 'llamaswap.dev/definitions': VERSION })
  })
}
