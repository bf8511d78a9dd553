/** Faults as the official OpenAI SDK meets them: a cut answer is raised, never taken for a whole one; retries are not multiplied. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import OpenAI, { APIError } from 'openai'
import { CLOSE, chunk, error, streamHead } from '../support/model-server/answers.ts'
import { type ModelServer, type ScriptedBackend, startModelServer } from '../support/model-server/model-server.ts'
import { type RunningProxy, startProxy } from '../support/proxy.ts'
import { ROUTES, type RouteSpeech, WORDS } from '../support/routes.ts'
import { makeTable } from '../support/table.ts'

let server: ModelServer
let proxy: RunningProxy
let broken: ScriptedBackend
let limited: ScriptedBackend

const cutOff = ({ events }: RouteSpeech) => {
  const { begin, words } = events(WORDS)
  return [streamHead(), ...[...begin, ...words.slice(0, 40)].map(chunk), CLOSE]
}

before(async () => {
  server = startModelServer()
  broken = await server.open(error(500, null, 'oops'))
  limited = await server.open(error(429, 'insufficient_quota', 'no money'))
  const cut = await Promise.all(
    Object.entries(ROUTES).map(async ([name, speech]) => [`cut-${name}`, (await server.open(cutOff(speech))).url] as const),
  )
  const capabilities = ['chat', 'completions', 'responses'] as const
  const models = Object.fromEntries(
    [...cut, ['broken', broken.url] as const, ['limited', limited.url] as const].map(([name, url]) => [
      name,
      { backends: [{ url, capabilities }] },
    ]),
  )
  proxy = await startProxy(makeTable({ models }))
})
after(async () => {
  await proxy.close()
  await server.close()
})

const client = (): OpenAI => new OpenAI({ baseURL: `${proxy.url}/v1`, apiKey: 'none' })
const messages = [{ role: 'user' as const, content: 'hi' }]

describe('a stream that is cut off is raised', () => {
  const STREAMS: Readonly<Record<string, () => Promise<AsyncIterable<unknown>>>> = {
    chat: () => client().chat.completions.create({ model: 'cut-chat', messages, stream: true }),
    completions: () => client().completions.create({ model: 'cut-completions', prompt: 'hi', stream: true }),
    responses: () => client().responses.create({ model: 'cut-responses', input: 'hi', stream: true }),
  }
  for (const [route, start] of Object.entries(STREAMS)) {
    test(route, async () => {
      let events = 0
      const reading = (async () => {
        for await (const _event of await start()) events++
      })()
      await assert.rejects(reading, (raised: unknown) => {
        assert.ok(raised instanceof APIError, String(raised))
        assert.equal(raised.code, 'upstream_stream_interrupted')
        return true
      })
      assert.ok(events >= 40)
    })
  }
})

describe('the SDK does not try again what we have tried', () => {
  for (const [model, tries, status, code] of [
    ['broken', 2, 502, 'upstream_error'],
    ['limited', 1, 502, 'upstream_credentials_rejected'],
  ] as const) {
    test(`${model}: one request, ${tries} at the backend`, async () => {
      await assert.rejects(client().chat.completions.create({ model, messages }), (raised: unknown) => {
        assert.ok(raised instanceof APIError)
        assert.deepEqual([raised.status, raised.code], [status, code])
        return true
      })
      assert.equal((await (model === 'broken' ? broken : limited).seen()).length, tries)
    })
  }
})
