/** docs/tutorials/two-teams.md, and what its reader does not see: how soon a key is good, and no more; and that no other token is taken. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { ask } from '../support/client.ts'
import type { KubeObject } from '../support/control-plane/objects.ts'
import { eventually } from '../support/eventually.ts'
import { APP_IMAGE } from './support/app.ts'
import { clusterHere, serviceUrl } from './support/cluster.ts'
import { startEngine } from './support/engine.ts'
import { install } from './support/install.ts'
import { openTutorial } from './support/tutorial.ts'
import { startWordsEngine } from './support/words-engine.ts'

const cluster = clusterHere()
const tutorial = openTutorial(cluster, 'two-teams', {
  namespace: 'shop',
  substitutions: [
    ['image: node:lts', `image: ${APP_IMAGE}`],
    ['cd /tmp && cp /script/app.mjs . && npm install --silent openai && node app.mjs', 'node /app/script/app.mjs'],
    ['mountPath: /script', 'mountPath: /app/script'],
  ],
})
after(() => tutorial.finish())

let url = ''
before(async () => {
  const installed = install(cluster)
  await tutorial.run('Two namespaces')
  const engines = [
    startEngine(cluster, { name: 'engine', namespace: 'search' }),
    startWordsEngine(cluster, { name: 'engine', namespace: 'shop', words: 3, everyMs: 10 }),
  ]
  await Promise.all([installed, ...engines])
  url = await serviceUrl(cluster, 'llama-swap', 'llama-swap')
})

/** The status of a request to the model, and what was said. */
async function answer(model: string, key: string): Promise<{ readonly status: number; readonly body: string }> {
  const body = { model, max_tokens: 4, messages: [{ role: 'user', content: 'Say one word.' }] }
  return ask(url, { headers: { authorization: `Bearer ${key}` }, body })
}

test('each team sees its own models and what is shared with it, and is told nothing of the rest', async () => {
  await tutorial.run('Models of each')
  await tutorial.run('A key each')
  await tutorial.run('Who sees what')
  await tutorial.run('What a refusal says')
})

test("a Pod's account has the rights of its namespace", async () => {
  await tutorial.run('An account in place of a key')
})

test('no other token of a Pod is taken, and it is said which one is', async () => {
  const token = (audience: string): Promise<string> => cluster.token({ namespace: 'shop', serviceAccount: 'default', audience })
  assert.equal((await answer('advisor', await token('llama-swap-client'))).status, 200)
  for (const audience of ['llama-swap-push', 'https://kubernetes.default.svc.cluster.local']) {
    const { status, body } = await answer('advisor', await token(audience))
    assert.equal(status, 401, audience)
    assert.match(body, /ask for one with the audience llama-swap-client/)
  }
})

/** Since the API server has had the change; gateways are asked by a new connection each time, so all are. */
const WITHIN_MS = 2_000

test('a key is good within two seconds, another in its place as well, and when it is deleted it is good no more', async (t) => {
  const [first, second] = ['first-key-of-the-search-team-0', 'second-key-of-the-search-team-0']
  await followed(t, 'made', { good: [first], bad: [second] }, secretOf(first))
  await followed(t, 'replaced', { good: [second], bad: [first] }, secretOf(second))
  await followed(t, 'deleted', { good: [], bad: [first, second] }, undefined)
})

const SECRETS = '/api/v1/namespaces/search/secrets'
const secretOf = (key: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: 'rotated', namespace: 'search', labels: { 'llamaswap.dev/api-key': 'true' } },
  stringData: { key },
})

interface Expected {
  readonly good: readonly string[]
  readonly bad: readonly string[]
}

/** `secret`: undefined = it is deleted. */
async function followed(
  t: { diagnostic(line: string): void },
  what: string,
  { good, bad }: Expected,
  secret: KubeObject | undefined,
): Promise<void> {
  if (secret === undefined) await cluster.ask('DELETE', `${SECRETS}/rotated`)
  else await cluster.apply(secret)
  const startMs = performance.now()
  await eventually(() => everywhere({ good, bad }), WITHIN_MS)
  t.diagnostic(`${what}: at every gateway after ${Math.round(performance.now() - startMs)} ms at most`)
}

/** Of two gateways each has most likely been met in ten connections. */
async function everywhere({ good, bad }: Expected): Promise<void> {
  const of = (keys: readonly string[]): readonly string[] =>
    Array.from({ length: keys.length === 0 ? 0 : 10 }, (_, n) => keys[n % keys.length] ?? '')
  const statuses = async (keys: readonly string[]): Promise<readonly number[]> =>
    Promise.all(
      of(keys).map(
        async (key) => (await ask(url, { method: 'GET', path: '/v1/models', headers: { authorization: `Bearer ${key}` } })).status,
      ),
    )
  assert.deepEqual(new Set(await statuses(good)), new Set(good.length === 0 ? [] : [200]))
  assert.deepEqual(new Set(await statuses(bad)), new Set([401]))
}

test('a key is changed without a moment in which none is good, and is taken away', async () => {
  await tutorial.run('Change a key, take one away')
})
