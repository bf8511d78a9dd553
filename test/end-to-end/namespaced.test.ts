/** docs/tutorials/namespaced.md, and what its reader does not see: nothing outside the namespace is made, changed or asked for. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fieldsOf, textOf } from '../../operator/validate/raw-fields.ts'
import { valueAt } from '../support/control-plane/api.ts'
import { eventually } from '../support/eventually.ts'
import { runApp } from './support/app.ts'
import { clusterHere, kubectl } from './support/cluster.ts'
import { startEngine } from './support/engine.ts'
import { openTutorial } from './support/tutorial.ts'

const cluster = clusterHere()
const tutorial = openTutorial(cluster, 'namespaced', {
  namespace: 'own',
  substitutions: [[' --set image.registry=registry.example.com', '']],
})
after(() => tutorial.finish())

/** "Kind namespace/name generation", of all that is outside the namespace `own`; without what comes and goes by itself. */
async function elsewhere(): Promise<readonly string[]> {
  const kinds = (await kubectl(cluster, ['api-resources', '--verbs=list', '-o', 'name'])).split('\n')
  const steady = kinds.filter(
    (kind) => !/^(events|componentstatuses|leases|ipaddresses|endpointslices|endpoints|pods|replicasets)([.]|$)/.test(kind),
  )
  const format = String.raw`{range .items[*]}{.kind} {.metadata.namespace}/{.metadata.name} {.metadata.generation}{"\n"}{end}`
  const all = await kubectl(cluster, ['get', steady.join(','), '-A', '-o', `jsonpath=${format}`])
  return all.split('\n').filter((line) => line !== '' && !line.includes(' own/'))
}

interface Asked {
  readonly who: string
  /** "get secrets own", "list namespaces ", "get /version". */
  readonly what: string
  readonly isRefused: boolean
}

/** All that accounts of the namespace `own` have asked the API server for: the operator, and Ada. */
function asked(): readonly Asked[] {
  const lines = readFileSync(join(cluster.logs, 'audit.log'), 'utf8').trim().split('\n')
  return lines.map(readAsked).filter(({ who }) => who.startsWith('system:serviceaccount:own:'))
}

function readAsked(line: string): Asked {
  const event = fieldsOf(JSON.parse(line))
  const { resource, namespace = '' } = fieldsOf(event['objectRef'])
  const target = resource === undefined ? textOf(event['requestURI']) : `${textOf(resource)} ${textOf(namespace)}`
  return {
    who: textOf(fieldsOf(event['user'])['username']),
    what: `${textOf(event['verb'])} ${target}`,
    isRefused: fieldsOf(event['annotations'])['authorization.k8s.io/decision'] === 'forbid',
  }
}

let untouched: readonly string[] = []
before(async () => {
  await tutorial.run('What an administrator does, once')
  await startEngine(cluster, { name: 'engine', namespace: 'own' })
  untouched = await elsewhere()
})

test('somebody who is admin of one namespace installs there, and is answered', async () => {
  await tutorial.run('Install')
  const [answer = ''] = await tutorial.run('Ask')
  assert.match(answer, /"object": ?"chat.completion"/)
})

test('an app streams, by the name of the Service', async () => {
  const key = await kubectl(cluster, ['-n', 'own', 'get', 'secret', 'llama-swap-first-key', '-o', 'jsonpath={.data.key}'])
  const env = { OPENAI_BASE_URL: 'http://llama-swap.own.svc/v1', OPENAI_API_KEY: Buffer.from(key, 'base64').toString() }
  const { output, exitCode } = await runApp(cluster, { namespace: 'own', env, script: STREAMS })
  assert.equal(exitCode, 0, output)
  assert.match(output, /[1-9][0-9]* pieces/)
})

const STREAMS = `
import OpenAI from 'openai'
const messages = [{ role: 'user', content: 'Tell me about llamas.' }]
const stream = await new OpenAI().chat.completions.create({ model: 'auto', max_tokens: 16, stream: true, messages })
let pieces = 0
for await (const chunk of stream) if (chunk.choices[0]?.delta.content) pieces += 1
console.log(pieces + ' pieces')
`

/** Of no namespace: what the API is, and what one's own rights are. */
const HARMLESS = /^(get [/].*|create selfsubject(access|rules)reviews )$/

test('nothing outside the namespace was made or changed, and nothing was asked for that is outside or not allowed', async () => {
  assert.deepEqual(await elsewhere(), untouched)
  const all = asked()
  for (const who of ['ada', 'llama-swap-operator']) assert.ok(all.some((one) => one.who.endsWith(`:${who}`)))
  const outside = all.filter(({ what, isRefused }) => isRefused || !(what.endsWith(' own') || HARMLESS.test(what)))
  assert.deepEqual(outside, [])
})

test('a second installation over the same namespace does not lead, and says whose it is; the first one goes on', async () => {
  await kubectl(cluster, ['create', 'namespace', 'other'])
  await kubectl(cluster, ['-n', 'other', 'create', 'rolebinding', 'ada', '--clusterrole=admin', '--serviceaccount=own:ada'])
  const leader = (): Promise<string> =>
    kubectl(cluster, ['-n', 'own', 'get', 'lease', 'llama-swap-scope', '-o', 'jsonpath={.spec.holderIdentity}'])
  const first = await leader()
  await tutorial.run('Twice the same namespace')
  assert.equal(await leader(), first)
  await eventually(async () => {
    const model = await cluster.ask('GET', '/apis/llamaswap.dev/v1alpha1/namespaces/own/llamamodels/smollm2')
    assert.equal(valueAt(model, 'status', 'summary', 'programmed'), '2/2')
  })
})
