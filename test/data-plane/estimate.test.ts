/** What a model reports of its prompts decides what it is asked: windows by its own count, learnt from usage and from refusals. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { ask, type Got } from '../support/client.ts'
import { whole } from '../support/model-server/answers.ts'
import { type ModelServer, startModelServer } from '../support/model-server/model-server.ts'
import { startProxy } from '../support/proxy.ts'
import { ROUTES } from '../support/routes.ts'
import { makeTable } from '../support/table.ts'

const { chat } = ROUTES
const WINDOW = 4096
/** Tokens that the engine makes of a word, where common vocabularies make about one. */
const TIMES = 2

let server: ModelServer
before(() => {
  server = startModelServer()
})
after(() => server.close())

const SENTENCE = 'We saw the old house and the tree. '
const SIZES = [100, 150, 200, 250, 300, 350, 400, 450, 500, 550, 600, 650].flatMap((words) => [words, words + 8, words + 16])

const counting = (tokens: number) =>
  whole({
    ...Object(chat.answer(['well'])),
    usage: { prompt_tokens: tokens, completion_tokens: 1, total_tokens: tokens + 1 },
  })

const refusing = (tokens: number) => {
  const error = { code: 400, type: 'exceed_context_size_error', message: 'the request exceeds the available context size' }
  return whole({ error: { ...error, n_prompt_tokens: tokens, n_ctx: WINDOW } }, { status: 400 })
}

const reported = (words: number): number => Math.round((words / 8) * 9 * TIMES)

test('a model that counts twice as many tokens is not asked prompts that another model is asked', async () => {
  const [doubled, plain] = await Promise.all([server.open(...SIZES.map((words) => counting(reported(words)))), server.open(counting(3400))])
  const of = (url: string) => ({ backends: [{ url, contextWindowTokens: WINDOW }] })
  const proxy = await startProxy(makeTable({ models: { doubled: of(doubled.url), plain: of(plain.url) } }))
  const post = (model: string, words: number): Promise<Got> =>
    ask(proxy.url, { body: { model, messages: [{ role: 'user', content: SENTENCE.repeat(Math.ceil(words / 8)) }] } })
  try {
    for (const words of SIZES) assert.equal((await post('doubled', words)).status, 200)
    const refused = await post('doubled', 3000)
    assert.equal(refused.status, 400)
    assert.match(refused.body, /context_length_exceeded/)
    assert.match(refused.body, /about 6[0-9]{3} tokens/)
    assert.equal((await doubled.seen()).length, SIZES.length)
    assert.equal((await post('plain', 3000)).status, 200)
  } finally {
    await proxy.close()
  }
})

test("an engine's own refusals of long prompts teach as well", async () => {
  const sizes = Array.from({ length: 30 }, (_, at) => 2400 + 24 * at)
  const backend = await server.open(...sizes.map((words) => refusing(reported(words))))
  const proxy = await startProxy(makeTable({ models: { m: { backends: [{ url: backend.url, contextWindowTokens: WINDOW }] } } }))
  const post = (words: number): Promise<Got> =>
    ask(proxy.url, { body: { model: 'm', messages: [{ role: 'user', content: SENTENCE.repeat(Math.ceil(words / 8)) }] } })
  try {
    for (const words of sizes) assert.equal((await post(words)).status, 400)
    assert.match((await post(3000)).body, /about 6[0-9]{3} tokens/)
    assert.ok((await backend.seen()).length < sizes.length, 'it is not asked any more once its count is known')
  } finally {
    await proxy.close()
  }
})
