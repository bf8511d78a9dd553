/** A stream cut in two at every byte, inside characters, line ends and field names, whatever its lines end with: the client gets every byte. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { ask } from '../../support/client.ts'
import { END, pause, streamHead } from '../../support/model-server/answers.ts'
import { type ModelServer, type ScriptedBackend, startModelServer } from '../../support/model-server/model-server.ts'
import type { Answer, Step } from '../../support/model-server/script.ts'
import { type RunningProxy, startProxy } from '../../support/proxy.ts'
import { ROUTES } from '../../support/routes.ts'
import { oneModel } from '../../support/table.ts'

const BETWEEN_MS = 2
const AT_A_TIME = 16

const event = (content: string, finish: string): string =>
  `data: {"choices":[{"index":0,"delta":{${content}},"finish_reason":${finish}}]}\n\n`
const STREAM = `${event('"content":"Grüße 🦙"', 'null')}${event('', '"stop"')}data: [DONE]\n\n`
/** One JSON value over two lines of data, a comment, fields that nobody knows. */
const ODD = `: hello\nid: 7\n${event('"content":"Grüße 🦙"', 'null').replace(',"delta"', ',\ndata: "delta"')}retry: 10\n\n${event('', '"stop"')}data: [DONE]\n\n`

const STREAMS: Readonly<Record<string, string>> = {
  'line feeds': STREAM,
  'carriage returns and line feeds': STREAM.replaceAll('\n', '\r\n'),
  'carriage returns': STREAM.replaceAll('\n', '\r'),
  'a byte order mark': `\uFEFF${STREAM}`,
  'data over two lines, comments, unknown fields': ODD,
}

let server: ModelServer
let backend: ScriptedBackend
let proxy: RunningProxy

before(async () => {
  server = startModelServer()
  backend = await server.open()
  proxy = await startProxy(oneModel('m', backend.url))
})
after(async () => {
  await proxy.close()
  await server.close()
})

const chunkOf = (bytes: Buffer): Step => ({
  do: 'sendBytes',
  base64: Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]).toString('base64'),
})

const cutAt = (bytes: Buffer, at: number): Answer => [
  streamHead(),
  chunkOf(bytes.subarray(0, at)),
  pause(BETWEEN_MS),
  chunkOf(bytes.subarray(at)),
  END,
]

describe('a stream in two pieces, cut at every byte', () => {
  for (const [name, text] of Object.entries(STREAMS)) {
    test(name, async () => {
      const bytes = Buffer.from(text)
      const offsets = Array.from({ length: bytes.length - 1 }, (_, index) => index + 1)
      await backend.script(...offsets.map((at) => cutAt(bytes, at)))
      const before = (await backend.seen()).length
      for (let from = 0; from < offsets.length; from += AT_A_TIME) {
        const answers = offsets.slice(from, from + AT_A_TIME).map(() => ask(proxy.url, { body: ROUTES.chat.request('m', true) }))
        for (const got of await Promise.all(answers)) assert.deepEqual([got.status, got.whole, got.body], [200, true, text])
      }
      assert.equal((await backend.seen()).length - before, offsets.length, 'nothing was tried twice')
    })
  }
})
