/** What the files in examples/ promise, by a real standalone program with scripted engines in place of the servers that they name. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { ask, type Got } from '../support/client.ts'
import { error, whole } from '../support/model-server/answers.ts'
import { type ModelServer, type ScriptedBackend, startModelServer } from '../support/model-server/model-server.ts'
import type { Answer } from '../support/model-server/script.ts'
import { ROOT } from '../support/program.ts'
import { type RunningStandalone, startStandalone } from '../support/proxy.ts'
import { jsonOf, ROUTES } from '../support/routes.ts'

const { chat } = ROUTES
const well = whole({ ...Object(chat.answer(['well'])), usage: { prompt_tokens: 20, completion_tokens: 10, total_tokens: 30 } })
const broken = error(500, null, 'it broke')
const KEYS = { TEAM_A_KEY: 'team-a-has-a-key-of-its-own', TEAM_B_KEY: 'team-b-has-a-key-of-its-own', OPENAI_API_KEY: 'sk-example' }

let server: ModelServer
before(() => {
  server = startModelServer()
})
after(() => server.close())

interface Scene {
  readonly proxy: RunningStandalone
  /** By the host that the file names. */
  readonly backends: Readonly<Record<string, ScriptedBackend>>
  ask(body?: object, headers?: Readonly<Record<string, string>>): Promise<Got>
}

/** `answers`: by host; all hosts that the file names must be there. */
async function withExample(
  name: string,
  answers: Readonly<Record<string, readonly Answer[]>>,
  use: (scene: Scene) => Promise<void>,
): Promise<void> {
  let config = readFileSync(join(ROOT, 'examples', `${name}.yaml`), 'utf8')
  const backends: Record<string, ScriptedBackend> = {}
  for (const [host, all] of Object.entries(answers)) {
    const backend = await server.open(...all)
    backends[host] = backend
    const before = config
    config = config.replaceAll(`https://${host}`, backend.url).replaceAll(`http://${host}:8000`, backend.url)
    assert.notEqual(config, before, `${name} does not name ${host}`)
  }
  assert.doesNotMatch(config, /gpu-server|https:/)
  const proxy = await startStandalone(config, { env: KEYS })
  const request = (body: object = {}, headers: Readonly<Record<string, string>> = {}): Promise<Got> =>
    ask(proxy.url, { body: { model: 'auto', messages: [{ role: 'user', content: 'a short question' }], ...body }, headers })
  try {
    await use({ proxy, backends, ask: request })
  } finally {
    await proxy.close()
  }
}

const modelOf = ({ headers }: Got): unknown => headers['x-llama-swap-model']
const GPU_1 = 'gpu-server-1'
const GPU_2 = 'gpu-server-2'
const OPENAI = 'api.openai.com'

test('cheap first: the cheapest; the dearer one for long prompts; nothing above two cents', () =>
  withExample('cheap-first', { [GPU_1]: [well], [GPU_2]: [well] }, async (scene) => {
    for (let round = 0; round < 5; round++) assert.equal(modelOf(await scene.ask()), 'small-7b')
    const long = [{ role: 'user', content: 'many words of a long text '.repeat(3000) }]
    assert.equal(modelOf(await scene.ask({ messages: long, max_tokens: 10 })), 'large-70b')
    const refused = await scene.ask({ messages: long, max_tokens: 100_000 })
    assert.deepEqual([refused.status, Object(jsonOf(refused.body)['error']).code], [400, 'cost_ceiling_exceeded'])
  }))

test('local first: the own server; the rented API when it breaks or the prompt is too long', () =>
  withExample('local-first', { [GPU_1]: [well, broken], [OPENAI]: [well] }, async (scene) => {
    assert.equal(modelOf(await scene.ask()), 'llama-70b')
    const fallen = await scene.ask()
    assert.deepEqual([fallen.status, modelOf(fallen)], [200, 'rented-mini'])
    assert.match(String(fallen.headers['x-llama-swap-why']), /fallback 1; rule default of rented/)
    const long = [{ role: 'user', content: 'many words of a long text '.repeat(8000) }]
    assert.equal(modelOf(await scene.ask({ messages: long })), 'rented-mini')
  }))

test('code to coder: by the header of a tool, by the tools in the request, and nobody else', () =>
  withExample('code-to-coder', { [GPU_1]: [well], [GPU_2]: [well] }, async (scene) => {
    assert.equal(modelOf(await scene.ask({}, { 'user-agent': 'coding-tool/1.2' })), 'qwen-coder')
    const tool = (name: string): object => ({ tools: [{ type: 'function', function: { name, parameters: {} } }] })
    assert.equal(modelOf(await scene.ask(tool('edit_file'))), 'qwen-coder')
    assert.equal(modelOf(await scene.ask(tool('get_weather'))), 'general-32b')
    assert.equal(modelOf(await scene.ask()), 'general-32b')
  }))

test('vision: pictures to the model that sees, text to the other', () =>
  withExample('vision', { [GPU_1]: [well], [GPU_2]: [well] }, async (scene) => {
    const picture = { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } }
    const seen = await scene.ask({ messages: [{ role: 'user', content: [{ type: 'text', text: 'What is this?' }, picture] }] })
    assert.deepEqual([modelOf(seen), seen.headers['x-llama-swap-rule']], ['vision-8b', 'pictures'])
    assert.equal(modelOf(await scene.ask()), 'text-70b')
  }))

test('team limits: the fourth request of team-b in a minute is refused, team-a is not touched', () =>
  withExample('team-limits', { [GPU_1]: [well] }, async (scene) => {
    const by = (key: string): Promise<Got> => scene.ask({}, { authorization: `Bearer ${key}` })
    for (let round = 0; round < 3; round++) assert.equal((await by(KEYS.TEAM_B_KEY)).status, 200)
    assert.equal((await by(KEYS.TEAM_B_KEY)).status, 429)
    assert.equal((await by(KEYS.TEAM_A_KEY)).status, 200)
    assert.equal((await scene.ask()).status, 401)
  }))

/** By a way of its own: the parts of the date in Berlin. */
function isNightInBerlin(now: Date): boolean {
  const [day = '', hour = ''] = new Intl.DateTimeFormat('en-GB', {
    timeZone: 'Europe/Berlin',
    weekday: 'short',
    hour: '2-digit',
    hourCycle: 'h23',
  })
    .format(now)
    .split(', ')
  const hours = Number(hour)
  if (day === 'Sat' || day === 'Sun') return true
  return hours >= 20 || (hours < 6 && day !== 'Mon')
}

test('night shift: the large model at night and on weekends, the fast one by day', () =>
  withExample('night-shift', { [GPU_1]: [well], [GPU_2]: [well] }, async (scene) => {
    const before = isNightInBerlin(new Date())
    const model = modelOf(await scene.ask())
    if (isNightInBerlin(new Date()) === before) assert.equal(model, before ? 'large-70b' : 'fast-8b')
  }))

test('quota shift: from 70 % of the quota on requests move to the own server', () =>
  withExample('quota-shift', { [GPU_1]: [well], [OPENAI]: [well] }, async (scene) => {
    const models: unknown[] = []
    for (let at = 0; at < 100; at++) models.push(modelOf(await scene.ask()))
    const own = models.filter((model) => model === 'own-8b').length
    assert.deepEqual(new Set(models.slice(0, 60)), new Set(['rented']))
    assert.ok(own >= 5 && own <= 30, `${own} of 100 went to the own server`)
  }))

test('sticky sessions: a conversation stays at its model and server; conversations are spread', () =>
  withExample('sticky-sessions', { [GPU_1]: [well], [GPU_2]: [well], 'gpu-server-3': [well] }, async (scene) => {
    const places = new Set<unknown>()
    for (let session = 0; session < 12; session++) {
      const turns = [{ role: 'user', content: `question ${session}` }]
      const first = await scene.ask({ messages: turns })
      const more = [...turns, { role: 'assistant', content: 'well' }, { role: 'user', content: 'and then?' }]
      for (let turn = 0; turn < 3; turn++)
        assert.equal((await scene.ask({ messages: more })).headers['x-llama-swap-endpoint'], first.headers['x-llama-swap-endpoint'])
      places.add(first.headers['x-llama-swap-endpoint'])
    }
    assert.equal(places.size, 3)
    const [named, again] = [
      await scene.ask({}, { 'x-session-id': 's1' }),
      await scene.ask({ messages: [{ role: 'user', content: 'else' }] }, { 'x-session-id': 's1' }),
    ]
    assert.equal(named.headers['x-llama-swap-endpoint'], again.headers['x-llama-swap-endpoint'])
  }))
