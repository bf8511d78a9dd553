/**
 * The fault wall: each case is one fault of a primary target, with a healthy fallback beside it, run on every streaming route, streaming
 * and not, through one proxy process. In: cases. Out: node:test tests; each ends with a healthy request through the same targets.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { FallbackClass, RoutingTable, Timeouts } from '../../proxy/routing-table/v1.ts'
import { ask, type Got } from './client.ts'
import { stream as streamed, whole } from './model-server/answers.ts'
import { type ModelServer, type ScriptedBackend, type SeenRequest, startModelServer } from './model-server/model-server.ts'
import type { Answer } from './model-server/script.ts'
import { type RunningProxy, startProxy } from './proxy.ts'
import { eventsOf, jsonOf, ROUTES, type RouteSpeech, streamOf, WORDS } from './routes.ts'
import { type BackendLines, type ModelLines, makeTable, type PolicyLines } from './table.ts'

export interface Mode {
  readonly speech: RouteSpeech
  readonly stream: boolean
}

export interface FaultCase {
  /** What the primary does with its requests, the last answer again and again. */
  primary(mode: Mode): readonly Answer[]
  /** Absent: answers well. */
  fallback?(mode: Mode): readonly Answer[]
  readonly timeouts?: Timeouts
  readonly backend?: Partial<BackendLines>
  readonly fallbackBackend?: Partial<BackendLines>
  /** Asks for the model by name: there is no fallback. */
  readonly alone?: boolean
  /** Absent: the default classes. */
  readonly policyWhen?: readonly FallbackClass[]
  /** Healthy answers the primary gives before the fault, so that its usual times are known. */
  readonly warmUp?: number
  readonly modes?: readonly ('stream' | 'whole')[]
  check(outcome: Outcome): void | Promise<void>
}

export interface Outcome extends Mode {
  readonly got: Got
  readonly primary: readonly SeenRequest[]
  readonly fallback: readonly SeenRequest[]
  readonly proxy: RunningProxy
  readonly primaryName: string
  readonly fallbackName: string
}

interface Run extends Mode {
  readonly title: string
  readonly id: string
  readonly fault: FaultCase
}

const CAPABILITIES = ['chat', 'completions', 'responses'] as const

export const healthy = ({ speech, stream }: Mode, model = 'm', words: readonly string[] = WORDS): Answer =>
  stream ? streamed(streamOf(speech, words, model)) : whole(speech.answer(words, model))

export function wallOf(cases: Readonly<Record<string, FaultCase>>): void {
  const runs = Object.entries(cases).flatMap(([name, fault], index) => runsOf(name, `c${index}`, fault))
  const state: { server?: ModelServer; proxy?: RunningProxy; backends: Map<string, ScriptedBackend> } = { backends: new Map() }
  before(async () => {
    const server = startModelServer()
    state.server = server
    for (const { id, fault, ...mode } of runs) {
      state.backends.set(`${id}-p`, await server.open(...(fault.warmUp === undefined ? fault.primary(mode) : [healthy(mode)])))
      state.backends.set(`${id}-f`, await server.open(...(fault.fallback?.(mode) ?? [healthy(mode, 'fallback-model')])))
    }
    state.proxy = await startProxy(tableOf(runs, (name) => state.backends.get(name)?.url ?? ''))
  })
  after(async () => {
    await state.proxy?.close()
    await state.server?.close()
  })
  describe('with one proxy for all', { concurrency: 8 }, () => {
    for (const run of runs) {
      test(run.title, async () => {
        const { proxy, backends } = state
        const [primary, fallback] = [backends.get(`${run.id}-p`), backends.get(`${run.id}-f`)]
        assert.ok(proxy !== undefined && primary !== undefined && fallback !== undefined)
        await runCase(run, proxy, primary, fallback)
      })
    }
  })
}

function runsOf(name: string, id: string, fault: FaultCase): Run[] {
  const modes = fault.modes ?? ['stream', 'whole']
  return Object.entries(ROUTES).flatMap(([route, speech]) =>
    modes.map((mode) => ({ title: `${name} (${route}, ${mode})`, id: `${id}-${route}-${mode}`, fault, speech, stream: mode === 'stream' })),
  )
}

function tableOf(runs: readonly Run[], url: (name: string) => string): RoutingTable {
  const models: Record<string, ModelLines> = {}
  const policies: Record<string, PolicyLines> = {}
  for (const { id, fault } of runs) {
    const { timeouts = {}, backend, fallbackBackend, policyWhen } = fault
    models[`${id}-p`] = { backends: [{ url: url(`${id}-p`), timeouts, capabilities: CAPABILITIES, ...backend }] }
    models[`${id}-f`] = { backends: [{ url: url(`${id}-f`), capabilities: CAPABILITIES, ...fallbackBackend }] }
    policies[`${id}-auto`] = {
      targets: [`${id}-p`],
      fallback: { targets: [`${id}-f`], ...(policyWhen !== undefined && { when: policyWhen }) },
    }
  }
  return makeTable({ models, policies })
}

async function runCase(
  { id, fault, speech, stream }: Run,
  proxy: RunningProxy,
  primary: ScriptedBackend,
  fallback: ScriptedBackend,
): Promise<void> {
  const asked = fault.alone === true ? `${id}-p` : `${id}-auto`
  const askFor = (model: string): Promise<Got> => ask(proxy.url, { path: speech.path, body: speech.request(model, stream) })
  const warmUp = fault.warmUp ?? 0
  for (let done = 0; done < warmUp; done++) await askFor(`${id}-p`)
  if (warmUp > 0) await primary.script(...fault.primary({ speech, stream }))
  const got = await askFor(asked)
  const seen = { primary: (await primary.seen()).slice(warmUp), fallback: await fallback.seen() }
  await fault.check({ got, speech, stream, proxy, ...seen, primaryName: `${id}-p`, fallbackName: `${id}-f` })
  await primary.script(healthy({ speech, stream }))
  await fallback.script(healthy({ speech, stream }))
  wholeAnswer({ got: await askFor(asked), speech, stream })
}

/** The client has every word once, in order, and an answer that ends as it should. */
export function wholeAnswer({ got, speech, stream }: Pick<Outcome, 'got' | 'speech' | 'stream'>): void {
  assert.equal(got.status, 200, got.body)
  assert.equal(got.whole, true)
  const text = stream ? speech.textOfEvents(got.body) : speech.textOfAnswer(got.body)
  assert.equal(text, WORDS.join(''))
  if (!stream) return
  const sentinels = got.body.split('data: [DONE]\n\n').length - 1
  assert.equal(sentinels, speech === ROUTES.responses ? 0 : 1)
}

/** A stream that says of itself that it is not complete: some words, then an error as its last event, and no sentinel. */
export function cleanlyInterrupted({ got, speech }: Outcome, words: number): void {
  assert.equal(got.status, 200)
  assert.equal(got.whole, true)
  assert.equal(speech.textOfEvents(got.body), WORDS.slice(0, words).join(''))
  assert.equal(got.body.includes('[DONE]'), false)
  const { error } = jsonPart(eventsOf(got.body).at(-1))
  assert.equal(error['code'], 'upstream_stream_interrupted')
}

/** The one HTTP error with this status and code, in the envelope. */
export function httpError({ got }: Pick<Outcome, 'got'>, status: number, code: string): Readonly<Record<string, unknown>> {
  assert.equal(got.status, status, got.body)
  assert.equal(got.headers['content-type'], 'application/json')
  assert.equal(typeof got.headers['x-request-id'], 'string')
  const { error } = jsonPart(jsonOf(got.body))
  assert.equal(error['code'], code)
  return error
}

/** The `error` object of a body or an event. */
function jsonPart(value: Readonly<Record<string, unknown>> | undefined): { error: Readonly<Record<string, unknown>> } {
  const error = value?.['error']
  assert.ok(typeof error === 'object' && error !== null, `no error object in ${JSON.stringify(value)}`)
  return { error: { ...error } }
}
