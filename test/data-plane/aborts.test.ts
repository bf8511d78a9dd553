/** The client leaves, in every phase of a request: the upstream is left within 50 ms, nothing is tried again, the log says 499. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type Asking, asking } from '../support/client.ts'
import { chunk, error, HANG, send, streamHead, wholeHead } from '../support/model-server/answers.ts'
import { type DeafBackend, startDeafBackend } from '../support/model-server/deaf-backend.ts'
import { type ModelServer, type ScriptedBackend, startModelServer } from '../support/model-server/model-server.ts'
import type { Answer } from '../support/model-server/script.ts'
import type { Line } from '../support/program.ts'
import { type RunningProxy, startProxy } from '../support/proxy.ts'
import { rawClient } from '../support/raw.ts'
import { ROUTES, WORDS } from '../support/routes.ts'
import { makeTable } from '../support/table.ts'

const WITHIN_MS = 50
const TIMES = 5
const { chat } = ROUTES
const { begin, words } = chat.events(WORDS)
const [word = ''] = words

interface Phase {
  readonly stream: boolean
  readonly answer: Answer
  /** The body read before the client leaves; absent: it leaves before any head. */
  readonly reads?: RegExp
}

const PHASES: Readonly<Record<string, Phase>> = {
  'before the head of a stream': { stream: true, answer: [HANG] },
  'before the head of a whole answer': { stream: false, answer: [HANG] },
  'between head and first token': { stream: true, answer: [streamHead(), ...begin.map(chunk), HANG] },
  'in the middle of a whole answer': { stream: false, answer: [wholeHead(1000), send('{"choices":'), HANG] },
  'in the middle of a stream': { stream: true, answer: [streamHead(), ...begin.map(chunk), chunk(word), HANG], reads: /w0/ },
  'in the middle of a stream that it does not read': {
    stream: true,
    answer: [streamHead(), { do: 'flood', text: word.repeat(1000), times: 1000 }, HANG],
    reads: /w0/,
  },
}

let server: ModelServer
let proxy: RunningProxy
let deaf: DeafBackend
const phases = new Map<string, ScriptedBackend>()
let retrying: ScriptedBackend

before(async () => {
  server = startModelServer()
  deaf = await startDeafBackend()
  retrying = await server.open(error(429, null, 'slow', { 'retry-after': 2 }))
  for (const [name, { answer }] of Object.entries(PHASES)) phases.set(name, await server.open(answer))
  const models = [...phases.values()].map(({ url }, index) => [`phase-${index}`, { backends: [{ url }] }] as const)
  const others = {
    deaf: { backends: [{ url: deaf.url, timeouts: { connectMs: 60_000 } }] },
    retrying: { backends: [{ url: retrying.url }] },
  }
  proxy = await startProxy(makeTable({ models: { ...Object.fromEntries(models), ...others } }))
})
after(async () => {
  await proxy.close()
  await server.close()
  await deaf.close()
})

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN

/** A client with an id of its own, so that its access line can be found. */
function startAsking(model: string, stream: boolean, id: string): Asking {
  return asking(proxy.url, { body: chat.request(model, stream), headers: { 'x-request-id': id } })
}

function saysGone(line: Line, outcomes: readonly string[]): void {
  assert.deepEqual([line['status'], line['code'], line['error_type']], [499, 'client_disconnected', 'caller_disconnected'])
  assert.deepEqual(Array.isArray(line['attempts']) && line['attempts'].map(({ outcome }) => outcome), outcomes)
}

describe('the upstream is left within 50 ms when the client leaves', () => {
  for (const [index, [name, { stream, reads }]] of Object.entries(PHASES).entries()) {
    test(name, async () => {
      const backend = phases.get(name)
      assert.ok(backend !== undefined)
      const delays: number[] = []
      for (let time = 1; time <= TIMES; time++) {
        const client = startAsking(`phase-${index}`, stream, `phase-${index}-${time}`)
        await backend.received(time)
        if (reads !== undefined) {
          const head = await client.head
          await client.until((body) => reads.test(body))
          head.pause()
        }
        const leftAtMs = client.leave()
        delays.push(((await backend.left(time)).goneAtMs ?? Number.NaN) - leftAtMs)
        saysGone(await proxy.accessLine(`phase-${index}-${time}`), ['gone'])
      }
      assert.ok(median(delays) <= WITHIN_MS, `after ${delays.join(', ')} ms`)
      assert.equal((await backend.seen()).length, TIMES, 'nothing was tried again')
    })
  }
})

test('while the connection is being made: settled at once', async () => {
  const client = startAsking('deaf', true, 'connecting')
  await inFlight(1)
  const leftAtMs = client.leave()
  saysGone(await proxy.accessLine('connecting'), ['gone'])
  assert.ok(Date.now() - leftAtMs < 1000)
  await inFlight(0)
})

test('while waiting to try again: settled at once, and no second try', async () => {
  const client = startAsking('retrying', false, 'waiting')
  await retrying.received()
  await new Promise((resolve) => setTimeout(resolve, 200))
  client.leave()
  const line = await proxy.accessLine('waiting')
  saysGone(line, ['upstream_rate_limited'])
  assert.ok(Number(line['duration_ms']) < 1500)
  assert.equal((await retrying.seen()).length, 1)
})

test('while its body is still being sent: nothing is tried', async () => {
  const client = rawClient(proxy.port)
  client.send(
    'POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx-request-id: sending\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{"model":',
  )
  await new Promise((resolve) => setTimeout(resolve, 100))
  client.destroy()
  saysGone(await proxy.accessLine('sending'), [])
})

test('requests in flight and bytes held are back at zero', async () => {
  await inFlight(0)
  assert.match(await (await fetch(`${proxy.metricsUrl}/metrics`)).text(), /^llama_swap_held_bytes 0$/m)
})

/** Resolves when this many requests are in flight over all endpoints. */
async function inFlight(count: number): Promise<void> {
  for (;;) {
    const text = await (await fetch(`${proxy.metricsUrl}/metrics`)).text()
    const counts = [...text.matchAll(/^llama_swap_endpoint_in_flight\{[^}]*\} (\d+)$/gm)].map(([, value]) => Number(value))
    if (counts.reduce((sum, value) => sum + value, 0) === count) return
  }
}
