/**
 * One proxy in virtual time: the shipped table, live state and decision, and the calls that `next-step.ts`, `try-once.ts` and `learn.ts`
 * make around an attempt that streams and is answered. What other proxies do it sees only in the engines' signals.
 */
import { decide } from '../../../proxy/decide/decide.ts'
import type { Facts } from '../../../proxy/decide/input.ts'
import { Live } from '../../../proxy/live/live.ts'
import { compileTable } from '../../../proxy/routing-table/compile.ts'
import type { CompiledTable } from '../../../proxy/routing-table/compiled.ts'
import type { RoutingTable } from '../../../proxy/routing-table/v1.ts'
import { makeTable } from '../../support/table.ts'
import type { Chooser, Ideal } from './scenario.ts'
import type { Dice } from './workload.ts'

const NAME = 'auto'

export type Routed = Exclude<Chooser, Ideal>

/** Engines stand at `urls`, in their order. */
export function tableOf(chooser: Routed, urls: readonly string[], engine: 'vLLM' | 'Auto' = 'vLLM'): RoutingTable {
  const backends = urls.map((url) => ({ url, engine, probed: true }))
  if (chooser.kind === 'endpoints') return makeTable({ models: { [NAME]: { loadBalancing: chooser.strategy, backends } } })
  const models = Object.fromEntries(backends.map((backend, at) => [`m${at}`, { backends: [{ ...backend, upstreamModel: NAME }] }]))
  return makeTable({ models, policies: { [NAME]: { strategy: chooser.strategy, targets: Object.keys(models), fallback: {} } } })
}

const FACTS: Omit<Facts, 'promptTokens'> = {
  route: 'chat',
  path: '/v1/chat/completions',
  asked: NAME,
  stream: true,
  needs: ['chat'],
  maxOutputTokens: undefined,
  headers: {},
  client: { name: undefined, namespace: 'default' },
}

/** One attempt under way. */
export interface Attempt {
  readonly engine: number
  began(nowMs: number): void
  ended(outputTokens: number, nowMs: number): void
}

export class VirtualProxy {
  readonly #table: CompiledTable
  readonly #engines: readonly string[]
  readonly #live = new Live()
  readonly #dice: Dice

  constructor(chooser: Routed, engines: number, dice: Dice, nowMs: number) {
    this.#table = compileTable(
      tableOf(
        chooser,
        Array.from({ length: engines }, (_, at) => `http://10.0.0.${at + 1}:8000`),
      ),
    )
    this.#dice = dice
    this.#live.apply(this.#table, nowMs)
    this.#engines = engineIds(this.#table)
  }

  /** What the prober reads of an engine. */
  scraped(engine: number, running: number, waiting: number, nowMs: number): void {
    const endpointId = this.#engines[engine] ?? ''
    this.#live.report({ endpointId, atMs: nowMs, healthy: true, engine: 'vLLM', running, waiting, signalsAtMs: nowMs })
  }

  send(promptTokens: number, nowMs: number): Attempt {
    const live = this.#live
    const facts: Facts = { ...FACTS, promptTokens }
    const sent = decide({ facts, table: this.#table, live, nowMs, dice: this.#dice(), past: [], turn: false, waitingFor: () => 0 })
    if (sent.kind !== 'send') throw new Error(`${sent.kind}: ${sent.why}`)
    const { endpoint } = sent
    live.advance(sent.steps)
    const guard = live.take(endpoint.id, nowMs, promptTokens)
    const booking = live.limits.book({ endpoint, credential: undefined, facts }, nowMs)
    live.budget(endpoint.model).request(nowMs)
    let firstTokenMs = 0
    return {
      engine: this.#engines.indexOf(endpoint.id),
      began: (atMs) => {
        firstTokenMs = atMs - nowMs
        guard.began(atMs)
      },
      ended: (outputTokens, atMs) => {
        const wholeMs = atMs - nowMs
        live.answered(endpoint.id, { promptTokens, outputTokens, firstTokenMs, wholeMs }, atMs)
        guard.succeeded(atMs)
        booking.settle({ inputTokens: promptTokens, outputTokens, cachedInputTokens: 0 }, atMs)
        live.latency.add(endpoint.model, 'firstToken', promptTokens, firstTokenMs)
        live.latency.add(endpoint.model, 'whole', promptTokens, wholeMs)
      },
    }
  }
}

/** Ids of the endpoints in the order of their engines. */
function engineIds({ table }: CompiledTable): readonly string[] {
  const endpoints = table.endpointSets.flatMap((set) => set.endpoints)
  return endpoints.toSorted((a, b) => (a.origin < b.origin ? -1 : 1)).map(({ id }) => id)
}
