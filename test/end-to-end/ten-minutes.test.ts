/** docs/tutorials/ten-minutes.md, as its reader does it. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { valueAt } from '../support/control-plane/api.ts'
import { clusterHere } from './support/cluster.ts'
import { openFirstPage } from './support/first-page.ts'

const cluster = clusterHere()
const tutorial = openFirstPage(cluster)
after(() => tutorial.finish())

test('helm install, and operators and gateways get ready', async () => {
  const [installed] = await tutorial.run('Install')
  assert.match(installed ?? '', /curl/)
})

test('an engine, a model and a policy', async () => {
  await tutorial.run('Run an engine')
  await tutorial.run('Name it')
  for (const [plural, name] of [
    ['llamamodels', 'smollm2'],
    ['routingpolicies', 'auto'],
  ]) {
    const object = await cluster.ask('GET', `/apis/llamaswap.dev/v1alpha1/namespaces/llama-swap/${plural}/${name}`)
    assert.equal(condition(object, 'Ready'), 'True')
    assert.equal(condition(object, 'Degraded'), undefined)
  }
})

function condition(object: unknown, type: string): unknown {
  const conditions = valueAt(object, 'status', 'conditions')
  assert.ok(Array.isArray(conditions))
  return valueAt(
    conditions.find((one) => valueAt(one, 'type') === type),
    'status',
  )
}

test('the first answer, streamed to curl', async () => {
  const [answer = ''] = await tutorial.run('The first answer')
  assert.match(answer, /^data: \{.*"delta":\{"content":"/m)
  assert.match(answer, /data: \[DONE\]\s*$/)
})

test('an app in another namespace finds the Service by its name and streams with the SDK', async () => {
  const [written = ''] = await tutorial.run('An application in the cluster')
  const [, said = ''] = written.split(/^why: .*\n/m)
  assert.ok(said.trim().split(/\s+/).length >= 5, written)
})

test('helm test passes', async () => {
  const [said = ''] = await tutorial.run('Check the installation')
  assert.match(said, /Phase:\s+Succeeded/)
})
