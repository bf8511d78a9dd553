/**
 * How a new table would have routed recorded requests. In: recorded requests, in the order of a log. Out: a report. Time is that of the log: a
 * live state is kept from what was recorded (speeds) and what is decided anew (requests under way). Nothing is sent; every endpoint counts as
 * up, and our own limits have room. The same log and tables give the same report.
 */
import { hashOf } from '../../proxy/decide/affinity/hash.ts'
import { decide } from '../../proxy/decide/decide.ts'
import type { Decision } from '../../proxy/decide/decision.ts'
import type { Facts } from '../../proxy/decide/input.ts'
import { bucketOf } from '../../proxy/decide/pace-view.ts'
import { costOf, pricesAt } from '../../proxy/decide/price.ts'
import { Live } from '../../proxy/live/live.ts'
import type { CompiledTable } from '../../proxy/routing-table/index.ts'
import type { Ref } from '../../proxy/routing-table/v1.ts'
import { undecidable } from './decidable.ts'
import { InOrder } from './in-order.ts'
import { headersFor, inferred, NOTHING_HELD } from './inferred.ts'
import type { Read, Recorded } from './line.ts'
import { Samples } from './samples.ts'
import { Tally, type Times } from './tally.ts'

interface End {
  readonly atMs: number
  readonly release: () => void
}

interface Seen {
  readonly firstToken: Samples
  readonly perToken: Samples
}

type Sent = Extract<Decision, { kind: 'send' }>

/** A request that goes to another model: how long it would take is said once the log has been read, from all that it has of that model. */
interface Moved {
  readonly recorded: Recorded
  readonly model: Ref
}

/** So many wait for the end of the log; of the rest it is said at once. */
const MAX_MOVED = 50_000

export class Replay {
  readonly tally = new Tally()
  readonly #table: CompiledTable
  readonly #live = new Live()
  readonly #waiting = new InOrder<Recorded>()
  readonly #ends = new InOrder<End>()
  /** By model, and by model and size of the prompt. */
  readonly #seen = new Map<string, Seen>()
  readonly #moved: Moved[] = []
  readonly #old: CompiledTable | undefined

  /** `old`: what was in force; then the rules that were taken say something of headers. */
  constructor(table: CompiledTable, old?: CompiledTable) {
    this.#table = table
    this.#old = old
    this.#live.apply(table)
  }

  take(read: Read): void {
    if ('skipped' in read) return this.tally.skip(read.skipped)
    const next = this.#waiting.add(read.recorded)
    if (next !== undefined) this.#decide(next)
  }

  /** After the last line. */
  finish(): void {
    for (let next = this.#waiting.next(); next !== undefined; next = this.#waiting.next()) this.#decide(next)
    for (const one of this.#moved) this.#timed(one)
    this.#moved.length = 0
  }

  #decide(recorded: Recorded): void {
    const { atMs } = recorded
    for (let end = this.#ends.peek(); end !== undefined && end.atMs <= atMs; end = this.#ends.peek()) this.#ends.next()?.release()
    const known = factsOf(recorded)
    const held = this.#old === undefined ? NOTHING_HELD : inferred(this.#old, recorded, known)
    const facts = { ...known, headers: headersFor(held) }
    this.tally.was(recorded)
    const because = undecidable(this.#table, facts, atMs, held)
    if (because === undefined) this.#decided(recorded, this.#ask(facts, atMs, chanceOf(recorded.requestId)))
    else this.tally.undecided(because)
    this.#learn(recorded)
  }

  #ask(facts: Facts, nowMs: number, dice: number): Decision {
    const decision = decide({
      facts,
      table: this.#table,
      live: this.#live,
      nowMs,
      dice,
      past: [],
      turn: true,
      admitted: true,
      waitingFor: () => 0,
    })
    if (decision.kind === 'send') this.#live.advance(decision.steps)
    return decision
  }

  #decided(recorded: Recorded, decision: Decision): void {
    if (decision.kind !== 'send') return this.tally.refused(decision.kind === 'refuse' ? decision.code : 'would wait')
    const { ref: model } = decision.model.entry
    const stays = model === recorded.model
    const guard = this.#live.take(decision.endpoint.id, recorded.atMs, recorded.promptTokens)
    const wholeMs = stays ? recorded.durationMs : (this.#drawn(recorded, model)?.durationMs ?? recorded.durationMs)
    this.#ends.add({ atMs: recorded.atMs + wholeMs, release: () => guard.release() })
    this.tally.sent(recorded, decision, this.#cost(recorded, decision))
    if (recorded.code !== undefined) return
    const moved = { recorded, model }
    if (stays) this.tally.timed(recorded, recorded)
    else if (this.#moved.length < MAX_MOVED) this.#moved.push(moved)
    else this.#timed(moved)
  }

  #timed({ recorded, model }: Moved): void {
    this.tally.timed(recorded, this.#drawn(recorded, model))
  }

  /** By the tokens that were recorded: another model would have written others, and nobody knows how many. */
  #cost({ inputTokens, outputTokens, cachedInputTokens, model }: Recorded, sent: Sent): number | undefined {
    const prices = pricesAt(sent.endpoint, this.#live)
    if (prices === undefined || inputTokens === undefined || outputTokens === undefined) return undefined
    const cached = model === sent.model.entry.ref ? cachedInputTokens : 0
    return costOf({ inputTokens, outputTokens, cachedInputTokens: cached }, prices)
  }

  /** As that model has been with other prompts of this size, else with any. Undefined = the log has not seen it. */
  #drawn({ requestId, promptTokens, stream, outputTokens }: Recorded, model: Ref): Times | undefined {
    const seen = this.#seen.get(sized(model, promptTokens)) ?? this.#seen.get(model)
    const firstTokenMs = seen?.firstToken.drawn(chanceOf(`${requestId} first`))
    const perToken = seen?.perToken.drawn(chanceOf(`${requestId} token`))
    if (perToken === undefined) return undefined
    return {
      firstTokenMs: stream ? firstTokenMs : undefined,
      durationMs: (firstTokenMs ?? 0) + perToken * Math.max(1, outputTokens ?? 1),
    }
  }

  /** Bounded by the models of the table. */
  #learn(recorded: Recorded): void {
    const { model, promptTokens, outputTokens, firstTokenMs, durationMs, atMs, code } = recorded
    if (model === undefined || code !== undefined || !this.#table.models.has(model)) return
    for (const key of [model, sized(model, promptTokens)]) learnt(this.#seen, key, recorded)
    const endpoint = this.#endpointOf(recorded)
    if (endpoint === undefined || outputTokens === undefined) return
    this.#live.answered(endpoint, { promptTokens, outputTokens, firstTokenMs, wholeMs: durationMs }, atMs + durationMs)
  }

  /** The recorded one, else any of its backend: pods have other endpoints than the stand-in of their backend. */
  #endpointOf({ model = '', backend, endpoint = '' }: Recorded): string | undefined {
    if (this.#table.endpoints.has(endpoint)) return endpoint
    return this.#table.models.get(model)?.endpoints.find((one) => one.backend.name === backend)?.id
  }
}

const chanceOf = (text: string): number => hashOf(text) / 2 ** 53

const sized = (model: Ref, promptTokens: number): string => `${model} ${bucketOf(promptTokens)}`

function learnt(seen: Map<string, Seen>, key: string, { requestId, firstTokenMs, durationMs, outputTokens }: Recorded): void {
  const of = seen.get(key) ?? { firstToken: new Samples(), perToken: new Samples() }
  seen.set(key, of)
  const chance = chanceOf(`${requestId} kept`)
  if (firstTokenMs !== undefined) of.firstToken.add(firstTokenMs, chance)
  if (outputTokens !== undefined && outputTokens > 0) of.perToken.add((durationMs - (firstTokenMs ?? 0)) / outputTokens, chance)
}

function factsOf(recorded: Recorded): Facts {
  const { route, path, asked, stream, needs, promptTokens, maxOutputTokens, client: name, namespace, serviceAccount } = recorded
  const client = { name, namespace, ...(serviceAccount !== undefined && { serviceAccount }) }
  return { route, path, asked, stream, needs, promptTokens, maxOutputTokens, headers: {}, client }
}
