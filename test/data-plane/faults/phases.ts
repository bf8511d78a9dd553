/**
 * One request in each phase of its life, at the same time, through one proxy: held there until `release`. In: a model server. Out: the table
 * they need, and what begins them. Each of them, let go, has the whole answer.
 */
import assert from 'node:assert/strict'
import type { RoutingTable } from '../../../proxy/routing-table/v1.ts'
import { type Asking, asking, type Got } from '../../support/client.ts'
import { eventually } from '../../support/eventually.ts'
import { CLOSE, chunk, END, error, pause, send, stream, streamHead, wait, whole, wholeHead } from '../../support/model-server/answers.ts'
import { type DeafBackend, startDeafBackend } from '../../support/model-server/deaf-backend.ts'
import { type ScriptedBackend, startModelServer } from '../../support/model-server/model-server.ts'
import type { Answer } from '../../support/model-server/script.ts'
import type { RunningProxy } from '../../support/proxy.ts'
import { ROUTES, streamOf, WORDS } from '../../support/routes.ts'
import { type ModelLines, makeTable, oneModel, type PolicyLines } from '../../support/table.ts'

const { chat } = ROUTES
const { begin, words, finish, sentinel } = chat.events(WORDS)
const TEXT = JSON.stringify(chat.answer(WORDS))
const HEALTHY = stream(streamOf(chat, WORDS))
const GATE = 'go'
/** Until what cannot be opened by a gate has opened of itself: long enough for a push or a signal to come between. */
const MEANWHILE_MS = 2500

interface Phase {
  readonly stream: boolean
  readonly answers: readonly Answer[]
  readonly model?: Omit<ModelLines, 'backends'>
  readonly interrupt?: 'Continue'
}

export const PHASES: Readonly<Record<string, Phase>> = {
  'before the head of a stream': { stream: true, answers: [[wait(GATE), ...HEALTHY]] },
  'before the head of a whole answer': { stream: false, answers: [[wait(GATE), ...whole(TEXT)]] },
  'before the first token': {
    stream: true,
    answers: [[streamHead(), ...begin.map(chunk), wait(GATE), ...[...words, ...finish, ...sentinel].map(chunk), END]],
  },
  'in the middle of a stream': {
    stream: true,
    answers: [
      [
        streamHead(),
        ...[...begin, ...words.slice(0, 30)].map(chunk),
        wait(GATE),
        ...[...words.slice(30), ...finish, ...sentinel].map(chunk),
        END,
      ],
    ],
  },
  'in the middle of a whole answer': {
    stream: false,
    answers: [[wholeHead(TEXT.length), send(TEXT.slice(0, 50)), wait(GATE), send(TEXT.slice(50))]],
  },
  'waiting to try again': { stream: false, answers: [error(429, null, 'slow down', { 'retry-after-ms': MEANWHILE_MS }), whole(TEXT)] },
  'going on with a stream that broke': {
    stream: true,
    interrupt: 'Continue',
    answers: [
      [streamHead(), ...[...begin, ...words.slice(0, 30)].map(chunk), pause(50), CLOSE],
      [
        streamHead(),
        ...[...begin, ...words.slice(0, 10)].map(chunk),
        wait(GATE),
        ...[...words.slice(10), ...finish, ...sentinel].map(chunk),
        END,
      ],
    ],
  },
  queued: { stream: true, model: { limits: { maxConcurrentPerEndpoint: 1 } }, answers: [[wait(GATE), ...HEALTHY]] },
  connecting: { stream: true, answers: [HEALTHY] },
}

export interface Begun {
  readonly name: string
  readonly stream: boolean
  readonly client: Asking
  readonly backend: ScriptedBackend
}

export interface Ground {
  readonly table: RoutingTable
  /** Nothing of it but the model that requests wait for, at another address. */
  next(): Promise<RoutingTable>
  /** Begins them all; resolves when each is where it should be. */
  begin(proxy: RunningProxy): Promise<readonly Begun[]>
  release(): void
  close(): Promise<void>
}

const idOf = (name: string): string => name.replaceAll(' ', '-')

export async function phases(): Promise<Ground> {
  const server = startModelServer()
  const deaf = await startDeafBackend()
  const backends = new Map<string, ScriptedBackend>()
  for (const [name, { answers }] of Object.entries(PHASES)) backends.set(name, await server.open(...answers))
  return {
    table: tableOf(backends, deaf),
    next: async () => oneModel('queued', (await server.open(HEALTHY)).url),
    begin: (proxy) => begunOf(proxy, backends),
    release: () => {
      for (const backend of backends.values()) backend.go(GATE)
    },
    close: async () => {
      await server.close()
      await deaf.close()
    },
  }
}

function tableOf(backends: ReadonlyMap<string, ScriptedBackend>, deaf: DeafBackend): RoutingTable {
  const models: Record<string, ModelLines> = { deaf: { backends: [{ url: deaf.url, timeouts: { connectMs: MEANWHILE_MS } }] } }
  const policies: Record<string, PolicyLines> = {}
  for (const [name, { model, interrupt }] of Object.entries(PHASES)) {
    const id = idOf(name)
    models[`${id}-model`] = { ...model, backends: [{ url: backends.get(name)?.url ?? '' }] }
    const onlyTarget: PolicyLines = { targets: [`${id}-model`], fallback: interrupt === undefined ? {} : { interrupt } }
    policies[id] = name === 'connecting' ? { targets: ['deaf'], fallback: { targets: [`${id}-model`] } } : onlyTarget
  }
  return makeTable({ models, policies })
}

async function begunOf(proxy: RunningProxy, backends: ReadonlyMap<string, ScriptedBackend>): Promise<readonly Begun[]> {
  const begun: Begun[] = []
  for (const [name, { stream: streams }] of Object.entries(PHASES)) {
    const backend = backends.get(name)
    assert.ok(backend !== undefined)
    const askFor = (): Asking =>
      asking(proxy.url, { body: chat.request(idOf(name), streams), headers: { 'x-request-id': `${idOf(name)}-${begun.length}` } })
    const first = askFor()
    begun.push({ name, stream: streams, client: first, backend })
    await ARRIVED[name]?.({ proxy, backend, client: first })
    if (ARRIVED[name] === undefined) await backend.received()
    if (name !== 'queued') continue
    begun.push({ name, stream: streams, client: askFor(), backend })
    await eventually(async () => assert.match(await metrics(proxy), /^llama_swap_queue_requests\{.*\} 1$/m))
  }
  return begun
}

/** When a request is in its phase, where that is not as soon as the backend has it. */
const ARRIVED: Readonly<Record<string, (at: { proxy: RunningProxy; backend: ScriptedBackend; client: Asking }) => Promise<unknown>>> = {
  'in the middle of a stream': ({ client }) => client.until((body) => body.includes('w29 ')),
  'going on with a stream that broke': ({ backend }) => backend.received(2),
  'waiting to try again': async ({ proxy, backend }) => {
    await backend.received()
    await inFlight(proxy, 'waiting-to-try-again-model', 0)
  },
  connecting: ({ proxy }) => inFlight(proxy, 'deaf', 1),
}

const metrics = async (proxy: RunningProxy): Promise<string> => (await fetch(`${proxy.metricsUrl}/metrics`)).text()

const inFlight = (proxy: RunningProxy, model: string, count: number): Promise<void> =>
  eventually(async () =>
    assert.match(await metrics(proxy), new RegExp(`^llama_swap_endpoint_in_flight\\{model="default/${model}",[^}]*\\} ${count}$`, 'm')),
  )

/** Every word once, and an end as it should be. */
export function isWhole({ name, stream: streams }: Begun, got: Got): void {
  assert.deepEqual([got.status, got.whole], [200, true], `${name}: ${got.body}`)
  assert.equal(streams ? chat.textOfEvents(got.body) : chat.textOfAnswer(got.body), WORDS.join(''), name)
  if (streams) assert.equal(got.body.split('data: [DONE]\n\n').length - 1, 1, name)
}
