/** Who may ask for what: modes, keys, expiry, access; and that no credential is ever shown, logged or handed to the wrong side. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { ask, type Got } from '../support/client.ts'
import { isError } from '../support/errors.ts'
import { error, stream, whole } from '../support/model-server/answers.ts'
import { type ModelServer, type ScriptedBackend, startModelServer } from '../support/model-server/model-server.ts'
import { type RunningProxy, startProxy } from '../support/proxy.ts'
import { jsonOf, ROUTES, streamOf } from '../support/routes.ts'
import { makeTable } from '../support/table.ts'

const { chat } = ROUTES
const KEYS = {
  teamA: 'sk-team-a-0123456789-abcdef',
  teamASecond: 'sk-team-a-second-key-456789',
  teamB: 'sk-team-b-0123456789-abcdef',
  expired: 'sk-expired-0123456789-abcdef',
} as const
const BACKEND_KEY = 'sk-backend-credential-0123456789'
const BACKEND_BARE_KEY = 'bare-backend-credential-987654'
const SECRETS: readonly string[] = [...Object.values(KEYS), BACKEND_KEY, BACKEND_BARE_KEY]

let server: ModelServer
let backend: ScriptedBackend
let required: RunningProxy
let optional: RunningProxy
let off: RunningProxy
const proxies = (): readonly RunningProxy[] => [required, optional, off]

before(async () => {
  server = startModelServer()
  backend = await server.open(whole(chat.answer(['well'])))
  const { url } = backend
  const table = makeTable({
    models: {
      'of-a': { namespace: 'team-a', backends: [{ url, keys: [BACKEND_KEY] }] },
      'of-a-for-all': { namespace: 'team-a', access: { from: 'All' }, backends: [{ url }] },
      'of-a-for-b': { namespace: 'team-a', access: { from: 'Namespaces', namespaces: ['team-b'] }, backends: [{ url }] },
      'of-a-inside': { namespace: 'team-a', visibility: 'Internal', backends: [{ url }] },
      'of-b': { namespace: 'team-b', backends: [{ url, keys: [BACKEND_BARE_KEY], auth: { header: 'x-api-key', scheme: '' } }] },
      'of-nobody': { namespace: 'anonymous', backends: [{ url }] },
    },
    keys: [
      { key: KEYS.teamA, client: 'team-a/apps' },
      { key: KEYS.teamASecond, client: 'team-a/apps' },
      { key: KEYS.teamB, client: 'team-b/apps', expiresAtMs: Date.now() + 3_600_000 },
      { key: KEYS.expired, client: 'team-a/old', expiresAtMs: Date.now() - 1000 },
    ],
  })
  const args = ['--anonymous-namespace', 'anonymous']
  ;[required, optional, off] = await Promise.all([
    startProxy(table, { auth: 'Required', args: [...args, '--log-level', 'debug'] }),
    startProxy(table, { auth: 'Optional', args }),
    startProxy(table, { auth: 'Off', args }),
  ])
})
after(async () => {
  await Promise.all(proxies().map((proxy) => proxy.close()))
  await server.close()
})

const bearer = (key: string): Readonly<Record<string, string>> => ({ authorization: `Bearer ${key}` })

const asked = (proxy: RunningProxy, model: string, headers: Readonly<Record<string, string>> = {}): Promise<Got> =>
  ask(proxy.url, { body: chat.request(model, false), headers })

async function modelsFor(proxy: RunningProxy, headers: Readonly<Record<string, string>>): Promise<string[]> {
  const got = await ask(proxy.url, { method: 'GET', path: '/v1/models', headers })
  const { data } = jsonOf(got.body)
  return Array.isArray(data) ? data.map(({ id }) => String(id)).sort() : []
}

describe('--auth Required', () => {
  test('a key as Authorization: Bearer or as x-api-key, each entry of a Secret', async () => {
    for (const headers of [
      bearer(KEYS.teamA),
      { 'x-api-key': KEYS.teamA },
      bearer(KEYS.teamASecond),
      { authorization: `bearer  ${KEYS.teamA} ` },
    ]) {
      assert.equal((await asked(required, 'of-a', headers)).status, 200)
    }
  })

  test('no key, a wrong one, an expired one, another scheme: 401 with WWW-Authenticate, and the body is not even read', async () => {
    const wrong = [
      {},
      bearer('sk-wrong-0123456789-abcdef'),
      bearer(KEYS.expired),
      bearer(''),
      { authorization: `Basic ${btoa(KEYS.teamA)}` },
      bearer(`${KEYS.teamA}x`),
    ]
    for (const headers of wrong) {
      const got = await asked(required, 'of-a', headers)
      isError(got, 'invalid_api_key')
      assert.equal(got.headers['www-authenticate'], 'Bearer')
    }
    assert.match((await asked(required, 'of-a', bearer(KEYS.expired))).body, /expired/)
  })

  test('an unknown path, the model list and explain need a key too', async () => {
    for (const [method, path] of [
      ['GET', '/v1/models'],
      ['GET', '/v1/models/of-a'],
      ['POST', '/v1/route:explain'],
    ] as const) {
      isError(await ask(required.url, { method, path, ...(method === 'POST' && { body: chat.request('of-a', false) }) }), 'invalid_api_key')
    }
  })

  test('a key shows and serves what its namespace may use, and a hidden name is answered like an absent one', async () => {
    assert.deepEqual(await modelsFor(required, bearer(KEYS.teamA)), ['of-a', 'of-a-for-all', 'of-a-for-b'])
    assert.deepEqual(await modelsFor(required, bearer(KEYS.teamB)), ['of-a-for-all', 'of-a-for-b', 'of-b'])
    const hidden = isError(await asked(required, 'of-a', bearer(KEYS.teamB)), 'model_not_found')
    const absent = isError(await asked(required, 'of-x', bearer(KEYS.teamB)), 'model_not_found')
    const inside = isError(await asked(required, 'of-a-inside', bearer(KEYS.teamA)), 'model_not_found')
    for (const said of [hidden, absent, inside]) assert.equal(String(said['message']).includes('of-a-inside is'), false)
    assert.equal(
      String(hidden['message']).replaceAll('"of-a"', '"of-x"').split(' Nearest')[0],
      String(absent['message']).split(' Nearest')[0],
    )
    isError(await asked(required, 'team-a/of-a', bearer(KEYS.teamB)), 'model_not_found')
    assert.equal((await asked(required, 'team-a/of-a-for-b', bearer(KEYS.teamB))).headers['x-llama-swap-model'], 'team-a/of-a-for-b')
  })
})

test('--auth Optional: without a key the anonymous namespace, with one its own, with a wrong one 401', async () => {
  assert.deepEqual(await modelsFor(optional, {}), ['of-a-for-all', 'of-nobody'])
  assert.equal((await asked(optional, 'of-nobody')).status, 200)
  assert.equal((await asked(optional, 'of-a', bearer(KEYS.teamA))).status, 200)
  isError(await asked(optional, 'of-a'), 'model_not_found')
  isError(await asked(optional, 'of-nobody', bearer('sk-wrong-0123456789-abcdef')), 'invalid_api_key')
})

test('--auth Off: keys are not even read', async () => {
  assert.equal((await asked(off, 'of-nobody', bearer('sk-wrong-0123456789-abcdef'))).status, 200)
  isError(await asked(off, 'of-a', bearer(KEYS.teamA)), 'model_not_found')
})

describe('credentials', () => {
  const sentTo = async (): Promise<ReadonlyMap<string, string>> => new Map((await backend.seen()).at(-1)?.headers)

  test("the client's never reaches a backend; the backend's own goes as its resource says, and nowhere else", async () => {
    const headers = {
      ...bearer(KEYS.teamA),
      cookie: 'a=b',
      'proxy-authorization': 'Basic x',
      'openai-organization': 'org',
      'x-forwarded-for': '10.1.2.3',
    }
    await asked(required, 'of-a', headers)
    const withKey = await sentTo()
    assert.equal(withKey.get('authorization'), `Bearer ${BACKEND_KEY}`)
    for (const name of ['cookie', 'proxy-authorization', 'x-api-key', 'openai-organization', 'x-forwarded-for'])
      assert.equal(withKey.has(name), false, name)
    await asked(required, 'of-a-for-all', { ...bearer(KEYS.teamA), 'x-api-key': KEYS.teamA })
    const without = await sentTo()
    assert.deepEqual([without.has('authorization'), without.has('x-api-key')], [false, false])
    await asked(required, 'of-b', bearer(KEYS.teamB))
    const bare = await sentTo()
    assert.deepEqual([bare.get('x-api-key'), bare.has('authorization')], [BACKEND_BARE_KEY, false])
  })

  test('headers that Connection names are not passed on', async () => {
    await asked(required, 'of-a-for-all', {
      ...bearer(KEYS.teamA),
      connection: 'close, traceparent',
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    })
    assert.equal((await sentTo()).has('connection'), true)
  })

  test('none is shown: not in answers, errors, logs, metrics, nor on the admin port', async () => {
    await backend.script(error(401, 'invalid_api_key', `Incorrect API key provided: ${BACKEND_KEY}`), stream(streamOf(chat, ['well'])))
    const answers = [
      await asked(required, 'of-a', bearer(KEYS.teamA)),
      await ask(required.url, { body: chat.request('of-a', true), headers: { ...bearer(KEYS.teamA), 'x-llama-swap-debug': '1' } }),
      await ask(required.url, { path: '/v1/route:explain', body: chat.request('of-a', false), headers: bearer(KEYS.teamA) }),
      await asked(required, 'of-a', bearer(KEYS.expired)),
    ]
    const shown = answers.flatMap(({ rawHeaders, body }) => [...rawHeaders, body])
    for (const proxy of proxies()) {
      for (const url of [`${proxy.adminUrl}/debug/table`, `${proxy.adminUrl}/debug/endpoints`, `${proxy.metricsUrl}/metrics`])
        shown.push(await (await fetch(url)).text())
      await proxy.close()
      shown.push(proxy.program.output())
    }
    const all = shown.join('\n')
    assert.ok(all.includes('"msg":"request"') && all.includes('[redacted]'))
    for (const secret of SECRETS) assert.equal(all.includes(secret), false, `${secret.slice(0, 8)}… is shown`)
  })
})
