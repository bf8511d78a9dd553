/** What every test of this folder ends with is worth something: a request in flight and the bytes of its body are seen, and their end is. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertAtRest, unrest } from '../support/at-rest.ts'
import { asking } from '../support/client.ts'
import { HANG } from '../support/model-server/answers.ts'
import { startModelServer } from '../support/model-server/model-server.ts'
import { startProxy } from '../support/proxy.ts'
import { ROUTES } from '../support/routes.ts'
import { oneModel } from '../support/table.ts'

test('a proxy is not at rest while a request is in flight, and is once its client has left', async (t) => {
  const server = startModelServer()
  t.after(() => server.close())
  const backend = await server.open([HANG])
  const proxy = await startProxy(oneModel('m', backend.url))
  t.after(() => proxy.close())
  const watched = { adminUrl: proxy.adminUrl, metricsUrl: proxy.metricsUrl, pid: proxy.program.pid }
  await assertAtRest(watched)
  const client = asking(proxy.url, { body: ROUTES.chat.request('m', true) })
  await backend.received()
  const seen = (await unrest(watched)).join('\n')
  for (const part of [/^default\/m at .*: 1 in flight$/m, /in_flight\{.*\} 1$/m, /held_bytes [1-9]/]) assert.match(seen, part)
  client.leave()
  await assertAtRest(watched)
})
