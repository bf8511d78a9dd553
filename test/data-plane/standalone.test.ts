/** `llama-swap standalone` as a user runs it: with nothing, with the flat file, with resources; edits while it runs. */
import assert from 'node:assert/strict'
import { after, before, describe, type TestContext, test } from 'node:test'
import { discoverEngines } from '../../cli/discover.ts'
import { ask, asking, type Got } from '../support/client.ts'
import { isError } from '../support/errors.ts'
import { chunk, END, error, streamHead, wait, whole } from '../support/model-server/answers.ts'
import { type ModelServer, type ScriptedBackend, startModelServer } from '../support/model-server/model-server.ts'
import { type RunningStandalone, startStandalone } from '../support/proxy.ts'
import { jsonOf, ROUTES, WORDS } from '../support/routes.ts'

const { chat } = ROUTES
const WELL = whole(chat.answer(['well']))
const CLIENT_KEY = 'sk-client-0123456789-abcdefgh'
const NEXT_CLIENT_KEY = 'sk-client-9876543210-hgfedcba'
const BACKEND_KEY = 'sk-backend-0123456789-abcdefgh'

let server: ModelServer
before(() => {
  server = startModelServer()
})
after(() => server.close())

async function standalone(
  t: TestContext,
  config: string | undefined,
  env: Readonly<Record<string, string>> = {},
): Promise<RunningStandalone> {
  const running = await startStandalone(config, { env })
  t.after(() => running.close())
  return running
}

const asked = (proxy: RunningStandalone, model: string, headers: Readonly<Record<string, string>> = {}): Promise<Got> =>
  ask(proxy.url, { body: chat.request(model, false), headers })

/** Asks until the answer fits; fails after `withinMs`. */
async function eventually(withinMs: number, attempt: () => Promise<boolean>): Promise<void> {
  const untilMs = Date.now() + withinMs
  while (!(await attempt())) assert.ok(Date.now() < untilMs, `not within ${withinMs} ms`)
}

test('without anything: two simulated engines, "auto" streams an answer, and it says so', async (t) => {
  const found = await discoverEngines()
  const proxy = await standalone(t, undefined)
  const got = await ask(proxy.url, { body: { model: 'auto', stream: true, messages: [{ role: 'user', content: 'Analyze this dataset' }] } })
  assert.equal(got.status, 200)
  if (found.length > 0) return assert.match(proxy.program.output(), /Found an engine at/) // whoever runs this has engines of their own
  assert.ok(chat.textOfEvents(got.body).length > 10)
  assert.ok(got.body.endsWith('data: [DONE]\n\n'))
  assert.equal(got.headers['x-llama-swap-simulated'], '1')
  assert.match(proxy.program.output(), /SIMULATED/)
  assert.match(proxy.program.output(), /curl -N http:\/\/localhost:\d+\/v1\/chat\/completions/)
  const engines = [...proxy.program.output().matchAll(/http:\/\/127\.0\.0\.1:\d+/g)].map(([url]) => url)
  assert.equal(engines.length, 2)
  await proxy.close()
  for (const url of engines) await assert.rejects(fetch(url), 'the engines ended with it')
})

test("health and metrics are on the admin port, and the table's origin is shown", async (t) => {
  const proxy = await standalone(t, 'models: []\n')
  for (const path of ['/healthz', '/readyz', '/startupz', '/metrics']) assert.equal((await fetch(proxy.adminUrl + path)).status, 200, path)
  const shown = jsonOf(await (await fetch(`${proxy.adminUrl}/debug/table`)).text())
  assert.match(String(shown['from']), /llama-swap\.yaml$/)
})

/** The file of the original idea; only the addresses are other ones. */
const flatFile = (llama: ScriptedBackend, mistral: ScriptedBackend): string => `models:
- name: llama-70b
  endpoint: ${llama.url}
  weight: 10
  max_tokens: 4096
- name: mistral-7b
  endpoint: ${mistral.url}
  weight: 5
  max_tokens: 8192
routing:
  strategy: weighted-round-robin
  fallback_enabled: true
`

describe('with the flat file', () => {
  test('weights hold exactly, ceilings are clamped, the other model answers when one fails', async (t) => {
    const [llama, mistral] = await Promise.all([server.open(WELL), server.open(WELL)])
    const proxy = await standalone(t, flatFile(llama, mistral))
    for (let count = 0; count < 30; count++) assert.equal((await asked(proxy, 'auto')).status, 200)
    const seen = await Promise.all([llama.seen(), mistral.seen()])
    assert.deepEqual(
      seen.map(({ length }) => length),
      [20, 10],
    )
    assert.deepEqual(
      seen.map(([first]) => jsonOf(first?.body ?? '')['max_tokens']),
      [4096, 8192],
    )
    assert.deepEqual(
      seen.map(([first]) => jsonOf(first?.body ?? '')['model']),
      ['llama-70b', 'mistral-7b'],
    )
    await llama.script(error(503, null, 'no capacity'))
    for (let count = 0; count < 6; count++) assert.equal((await asked(proxy, 'auto')).headers['x-llama-swap-model'], 'mistral-7b')
    assert.equal((await asked(proxy, 'llama-70b')).status, 503)
  })

  test('an edit takes effect within a second and touches no stream; a broken one keeps the last good version and is shown', async (t) => {
    const { begin, words, finish, sentinel } = chat.events(WORDS)
    const slow = [
      streamHead(),
      ...[...begin, ...words.slice(0, 30)].map(chunk),
      wait('edited'),
      ...[...words.slice(30), ...finish, ...sentinel].map(chunk),
      END,
    ]
    const [llama, mistral] = await Promise.all([server.open(slow), server.open(WELL)])
    const config = flatFile(llama, mistral)
    const proxy = await standalone(t, config)
    const stream = asking(proxy.url, { body: chat.request('llama-70b', true) })
    await stream.until((body) => body.includes('w29 '))

    const edited = config.replace('mistral-7b', 'mistral-8x7b')
    await proxy.edit(edited)
    await eventually(1000, async () => (await asked(proxy, 'mistral-8x7b')).status === 200)
    isError(await asked(proxy, 'mistral-7b'), 'model_not_found')

    await proxy.edit(edited.replace('weight: 5', 'weight: heavy'))
    const line = await proxy.program.line(({ level, msg }) => level === 'error' && String(msg).includes('problem'))
    assert.match(JSON.stringify(line), /weight/)
    assert.equal(line['line'], 8)
    assert.equal((await asked(proxy, 'mistral-8x7b')).status, 200, 'the last good version still serves')
    assert.match(await (await fetch(`${proxy.adminUrl}/debug/table`)).text(), /heavy|weight/)

    await proxy.edit('models: [\n')
    await eventually(1000, async () => (await (await fetch(`${proxy.adminUrl}/debug/table`)).text()).includes('"problems": [\n    {'))
    assert.equal((await asked(proxy, 'mistral-8x7b')).status, 200)

    await proxy.edit(config)
    await eventually(1000, async () => (await asked(proxy, 'mistral-7b')).status === 200)
    llama.go('edited')
    const got = await stream.got
    assert.equal(chat.textOfEvents(got.body), WORDS.join(''))
    assert.ok(got.whole)
  })
})

const resources = (url: string, clientKey: string): string => `apiVersion: llamaswap.dev/v1alpha1
kind: LlamaModel
metadata:
  name: rented
spec:
  modelName: rented
  backends:
  - name: provider
    url: ${url}/v1
    auth:
      type: Header
      secretRefs: [{name: provider, key: api-key}]
---
apiVersion: v1
kind: Secret
metadata:
  name: provider
stringData:
  api-key: \${PROVIDER_KEY}
---
apiVersion: v1
kind: Secret
metadata:
  name: apps
  labels:
    llamaswap.dev/api-key: "true"
stringData:
  first: ${clientKey}
`

describe('with resources and Secrets', () => {
  const bearer = (key: string) => ({ authorization: `Bearer ${key}` })

  test('keys make authentication the default; credentials come from the environment, and are shown nowhere', async (t) => {
    const backend = await server.open(WELL)
    const proxy = await standalone(t, resources(backend.url, `\${CLIENT_KEY}`), { PROVIDER_KEY: BACKEND_KEY, CLIENT_KEY })
    isError(await asked(proxy, 'rented'), 'invalid_api_key')
    assert.equal((await asked(proxy, 'rented', bearer(CLIENT_KEY))).status, 200)
    const headers = new Map((await backend.seen()).at(-1)?.headers)
    assert.equal(headers.get('authorization'), `Bearer ${BACKEND_KEY}`)
    const table = await (await fetch(`${proxy.adminUrl}/debug/table`)).text()
    await proxy.close()
    for (const secret of [CLIENT_KEY, BACKEND_KEY]) assert.equal((proxy.program.output() + table).includes(secret), false)
  })

  test('a rotated key works within 2 s and the old one no longer does', async (t) => {
    const backend = await server.open(WELL)
    const proxy = await standalone(t, resources(backend.url, CLIENT_KEY), { PROVIDER_KEY: BACKEND_KEY })
    assert.equal((await asked(proxy, 'rented', bearer(CLIENT_KEY))).status, 200)
    await proxy.edit(resources(backend.url, NEXT_CLIENT_KEY))
    await eventually(2000, async () => (await asked(proxy, 'rented', bearer(NEXT_CLIENT_KEY))).status === 200)
    isError(await asked(proxy, 'rented', bearer(CLIENT_KEY)), 'invalid_api_key')
  })

  test('losing the last key does not open the port', async (t) => {
    const backend = await server.open(WELL)
    const config = resources(backend.url, CLIENT_KEY)
    const proxy = await standalone(t, config, { PROVIDER_KEY: BACKEND_KEY })
    await proxy.edit(config.split('---').slice(0, 2).join('---'))
    await eventually(2000, async () => (await asked(proxy, 'rented', bearer(CLIENT_KEY))).status === 401)
    isError(await asked(proxy, 'rented'), 'invalid_api_key')
  })

  test('a variable that is not set is a problem that names it', async (t) => {
    const proxy = await standalone(t, resources('http://127.0.0.1:9', CLIENT_KEY))
    const line = await proxy.program.line(({ msg }) => String(msg).includes('problem'))
    assert.match(JSON.stringify(line), /PROVIDER_KEY/)
  })
})
