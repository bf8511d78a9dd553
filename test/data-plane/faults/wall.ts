/**
 * The fault wall: each case is one fault of a primary target, with a healthy fallback beside it, run on every route that inference serves,
 * streaming and not, through one proxy process. In: cases. Out: node:test tests; each ends with a healthy request through the same targets.
 * Deadlines are scaled by the resource's `timeouts`; with FAULTS=full they are the program's own, and silences are as long as the catalogue says.
 */
import assert from 'node:assert/strict'
import { after, before, describe, type TestContext, test } from 'node:test'
import { DIALECTS } from '../../../proxy/dialects/dialects.ts'
import type { Backend, Fallback, FallbackClass, RoutingTable, Timeouts } from '../../../proxy/routing-table/v1.ts'
import { type AskOptions, ask, type Got } from '../../support/client.ts'
import { chunk, END, pause, streamHead, whole } from '../../support/model-server/answers.ts'
import { type ModelServer, type ScriptedBackend, type SeenRequest, startModelServer } from '../../support/model-server/model-server.ts'
import type { Answer } from '../../support/model-server/script.ts'
import { type RunningProxy, startProxy } from '../../support/proxy.ts'
import { ROUTES, type RouteSpeech, WORDS } from '../../support/routes.ts'
import { OTHER_ROUTES, type OtherSpeech } from '../../support/routes-other.ts'
import { type BackendLines, type ModelLines, makeTable, type PolicyLines } from '../../support/table.ts'

export const FULL = process.env['FAULTS'] === 'full'
/** A healthy answer's pace. */
const WORD_MS = FULL ? 15 : 0
const HEALTHY_WITHIN_MS = 10_000
const CONCURRENCY = 32

export type ModeName = 'stream' | 'whole'

export interface Mode {
  readonly route: string
  readonly speech: OtherSpeech
  readonly stream: boolean
}

export interface FaultCase {
  /** What the primary does with its requests, the last answer again and again. */
  primary(mode: Mode): readonly Answer[]
  /** Absent: answers well. */
  fallback?(mode: Mode): readonly Answer[]
  /** Deadlines of the primary in the scaled run. */
  readonly timeouts?: Timeouts
  readonly backend?: Partial<BackendLines>
  readonly fallbackBackend?: Partial<BackendLines>
  /** Where the primary is said to be, if not at its scripted backend. */
  readonly address?: (backend: ScriptedBackend) => string | Promise<string>
  /** Asks for the model by name: there is no fallback. */
  readonly alone?: boolean
  /** Absent: the default classes. */
  readonly policyWhen?: readonly FallbackClass[]
  readonly interrupt?: Fallback['interrupt']
  /** Healthy answers the primary gives before the fault, so that its usual times are known. */
  readonly warmUp?: number
  /** The client asks for usage in the stream, where that is asked for. */
  readonly asksUsage?: boolean
  /** Absent: both. */
  readonly modes?: readonly ModeName[]
  /** Absent: all. */
  readonly routes?: (route: string, speech: OtherSpeech) => boolean
  /** Absent: one request. Returns the answer to judge. */
  readonly drive?: (drive: Drive) => Promise<Got>
  check(outcome: Outcome, t: TestContext): void | Promise<void>
}

export interface Drive extends Mode {
  /** As the case asks. */
  readonly ask: () => Promise<Got>
  readonly primary: ScriptedBackend
  readonly primaryName: string
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

/** Every route that inference serves, as far as tests can speak it. */
export const SERVED: Readonly<Record<string, OtherSpeech>> = Object.fromEntries(
  Object.entries<OtherSpeech>({ ...ROUTES, ...OTHER_ROUTES }).filter(([, { path }]) => DIALECTS.has(path)),
)

export const modesOf = (route: string): readonly ModeName[] =>
  SERVED[route]?.events(WORDS).words.length === 0 ? ['whole'] : ['stream', 'whole']

const isAnthropic = ({ path }: RouteSpeech): boolean => path.startsWith('/v1/messages')

export const wholeText = (text: string, { answerType = 'application/json' }: OtherSpeech, status = 200): Answer =>
  whole(text, { status, headers: { 'content-type': answerType } })

const textOf = (answer: unknown): string => (typeof answer === 'string' ? answer : JSON.stringify(answer))

/** The bytes of a healthy whole answer. */
export const answerText = (speech: OtherSpeech, model = 'm', words = WORDS): string => textOf(speech.answer(words, model))

export function healthy({ speech, stream }: Pick<Mode, 'speech' | 'stream'>, model = 'm', words: readonly string[] = WORDS): Answer {
  if (!stream) return [pause(WORD_MS * words.length), ...wholeText(answerText(speech, model, words), speech)]
  const { begin, words: content, finish, sentinel } = speech.events(words, model)
  const paced = content.flatMap((event) => (WORD_MS > 0 ? [pause(WORD_MS), chunk(event)] : [chunk(event)]))
  return [streamHead(), ...begin.map(chunk), ...paced, ...[...finish, ...sentinel].map(chunk), END]
}

/** `env`: of the proxy's process. */
export function wallOf(
  cases: Readonly<Record<string, FaultCase>>,
  env: () => Promise<Readonly<Record<string, string>>> = async () => ({}),
): void {
  const runs = Object.entries(cases).flatMap(([name, fault], index) => runsOf(name, `c${index}`, fault))
  const state: { server?: ModelServer; proxy?: RunningProxy; backends: Map<string, ScriptedBackend> } = { backends: new Map() }
  before(async () => {
    const server = startModelServer()
    state.server = server
    const open = async (id: string, answers: readonly Answer[]): Promise<void> => void state.backends.set(id, await server.open(...answers))
    await Promise.all(
      runs.flatMap(({ id, fault, ...mode }) => [
        open(`${id}-p`, fault.warmUp === undefined ? fault.primary(mode) : [healthy(mode)]),
        open(`${id}-f`, fault.fallback?.(mode) ?? [healthy(mode, 'fallback-model')]),
      ]),
    )
    state.proxy = await startProxy(await tableOf(runs, state.backends), { env: await env() })
  })
  after(async () => {
    await state.proxy?.close()
    await state.server?.close()
  })
  describe('with one proxy for all', { concurrency: CONCURRENCY }, () => {
    for (const run of runs) {
      test(run.title, async (t) => {
        const { proxy, backends } = state
        const [primary, fallback] = [backends.get(`${run.id}-p`), backends.get(`${run.id}-f`)]
        assert.ok(proxy !== undefined && primary !== undefined && fallback !== undefined)
        await runCase(t, run, proxy, primary, fallback)
      })
    }
  })
}

/** The cells of a case: routes and modes on which it runs. */
export const cellsOf = ({ modes = ['stream', 'whole'], routes = () => true }: Pick<FaultCase, 'modes' | 'routes'>): readonly Mode[] =>
  Object.entries(SERVED).flatMap(([route, speech]) =>
    routes(route, speech)
      ? modesOf(route).flatMap((mode) => (modes.includes(mode) ? [{ route, speech, stream: mode === 'stream' }] : []))
      : [],
  )

const runsOf = (name: string, id: string, fault: FaultCase): Run[] =>
  cellsOf(fault).map((mode) => {
    const how = mode.stream ? 'stream' : 'whole'
    return { ...mode, title: `${name} (${mode.route}, ${how})`, id: `${id}-${mode.route.replace('_', '-')}-${how}`, fault }
  })

async function tableOf(runs: readonly Run[], backends: ReadonlyMap<string, ScriptedBackend>): Promise<RoutingTable> {
  const models: Record<string, ModelLines> = {}
  const policies: Record<string, PolicyLines> = {}
  for (const { id, fault, speech } of runs) {
    const { timeouts = {}, backend, fallbackBackend, policyWhen, interrupt, address = ({ url }) => url } = fault
    const all: Partial<Backend> = { capabilities: CAPABLE, ...(isAnthropic(speech) && { dialect: 'Anthropic' }) }
    const [primary, other] = [backends.get(`${id}-p`), backends.get(`${id}-f`)]
    assert.ok(primary !== undefined && other !== undefined)
    models[`${id}-p`] = { backends: [{ url: await address(primary), timeouts: FULL ? {} : timeouts, ...all, ...backend }] }
    models[`${id}-f`] = { backends: [{ url: other.url, ...all, ...fallbackBackend }] }
    const terms = { ...(policyWhen !== undefined && { when: policyWhen }), ...(interrupt !== undefined && { interrupt }) }
    policies[`${id}-auto`] = { targets: [`${id}-p`], fallback: { targets: [`${id}-f`], ...terms } }
  }
  return makeTable({ models, policies })
}

/** All but `prefixContinuation`, which a case declares where it is true. */
export const CAPABLE: NonNullable<Backend['capabilities']> = [
  'chat',
  'completions',
  'responses',
  'embeddings',
  'rerank',
  'vision',
  'audio',
  'tools',
  'jsonSchema',
]

async function runCase(
  t: TestContext,
  { id, fault, ...mode }: Run,
  proxy: RunningProxy,
  primary: ScriptedBackend,
  fallback: ScriptedBackend,
): Promise<void> {
  const askFor = (model: string): Promise<Got> => ask(proxy.url, questionOf(mode, model, fault.asksUsage))
  const names = { primaryName: `${id}-p`, fallbackName: `${id}-f` }
  const asked = fault.alone === true ? names.primaryName : `${id}-auto`
  const warmUp = fault.warmUp ?? 0
  for (let done = 0; done < warmUp; done++) await askFor(names.primaryName)
  if (warmUp > 0) await primary.script(...fault.primary(mode))
  const askAsCase = (): Promise<Got> => askFor(asked)
  const got = await (fault.drive?.({ ...mode, ask: askAsCase, primary, primaryName: names.primaryName }) ?? askAsCase())
  const seen = { primary: (await primary.seen()).slice(warmUp), fallback: await fallback.seen() }
  await fault.check({ ...mode, got, proxy, ...seen, ...names }, t)
  await primary.script(healthy(mode))
  await fallback.script(healthy(mode))
  const after = await askFor(fault.address !== undefined && fault.alone === true ? names.fallbackName : asked)
  wholeAnswer({ ...mode, got: after })
  assert.ok(after.tookMs < HEALTHY_WITHIN_MS, `healthy again only after ${after.tookMs} ms`)
}

const BOUNDARY = 'the-boundary'

function questionOf({ speech, stream }: Mode, model: string, asksUsage = false): AskOptions {
  const request = speech.request(model, stream)
  if (speech.fileField !== undefined) return formOf(speech.path, request, speech.fileField)
  const options =
    asksUsage && stream && !isAnthropic(speech) && speech !== ROUTES.responses ? { stream_options: { include_usage: true } } : {}
  return { path: speech.path, body: { ...request, ...options } }
}

function formOf(path: string, fields: Readonly<Record<string, unknown>>, fileField: string): AskOptions {
  const part = (name: string, value: string, more = ''): string =>
    `--${BOUNDARY}\r\ncontent-disposition: form-data; name="${name}"${more}\r\n\r\n${value}\r\n`
  const parts = Object.entries(fields).map(([name, value]) => part(name, String(value)))
  const file = part(fileField, 'sixty words as bytes', '; filename="words.bin"\r\ncontent-type: application/octet-stream')
  return {
    path,
    headers: { 'content-type': `multipart/form-data; boundary=${BOUNDARY}` },
    body: `${parts.join('')}${file}--${BOUNDARY}--\r\n`,
  }
}

/** The client has every word once, in order, and an answer that ends as it should. */
export function wholeAnswer({ got, speech, stream }: Pick<Outcome, 'got' | 'speech' | 'stream'>): void {
  assert.equal(got.status, 200, got.body)
  assert.equal(got.whole, true)
  const text = stream ? speech.textOfEvents(got.body) : speech.textOfAnswer(got.body)
  assert.equal(text, WORDS.join(''))
  if (!stream) return
  const { finish, sentinel } = speech.events(WORDS)
  for (const event of [...finish.slice(0, 1), ...sentinel]) {
    const mark = event.split('\n')[0] ?? ''
    if (mark === 'data: [DONE]' || mark.startsWith('event: ')) assert.equal(got.body.split(`${mark}\n`).length - 1, 1, `once ${mark}`)
  }
}
