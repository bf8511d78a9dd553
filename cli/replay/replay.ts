/**
 * How a new table would have routed recorded requests. In: recorded requests, in the order of a log. Out: a report. Time is that of the log: a
 * live state is kept from what was recorded (speeds) and what is decided anew (requests under way). Nothing is sent; every endpoint counts as
 * up. The same log and table give the same report.
 */
import { hashOf } from '../../proxy/decide/affinity/hash.ts'
import { decide } from '../../proxy/decide/decide.ts'
import type { Decision } from '../../proxy/decide/decision.ts'
import type { Facts } from '../../proxy/decide/input.ts'
import { costOf, pricesAt } from '../../proxy/decide/price.ts'
import { Live } from '../../proxy/live/live.ts'
import type { CompiledTable } from '../../proxy/routing-table/index.ts'
import { undecidable } from './decidable.ts'
import { InOrder } from './in-order.ts'
import type { Read, Recorded } from './line.ts'
import { Samples } from './samples.ts'
import { Tally } from './tally.ts'

interface End {
  readonly atMs: number
  readonly release: () => void
}

interface Seen {
  readonly firstToken: Samples
  readonly perToken: Samples
}

type Sent = Extract<Decision, { kind: 'send' }>

export class Replay {
  readonly tally = new Tally()
  readonly #table: CompiledTable
  readonly #live = new Live()
  readonly #waiting = new InOrder<Recorded>()
  readonly #ends = new InOrder<End>()
  readonly #seen = new Map<string, Seen>()

  constructor(table: CompiledTable) {
    this.#table = table
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
  }

  #decide(recorded: Recorded): void {
    const { atMs } = recorded
    for (let end = this.#ends.peek(); end !== undefined && end.atMs <= atMs; end = this.#ends.peek()) this.#ends.next()?.release()
    const facts = factsOf(recorded)
    const chance = hashOf(recorded.requestId) / 2 ** 53
    this.tally.was(recorded, chance)
    const because = undecidable(this.#table, facts, atMs)
    if (because === undefined) this.#decided(recorded, this.#ask(facts, atMs, chance), chance)
    else this.tally.undecided(because, recorded)
    this.#learn(recorded, chance)
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

  #decided(recorded: Recorded, decision: Decision, chance: number): void {
    if (decision.kind !== 'send') return this.tally.refused(recorded, decision.kind === 'refuse' ? decision.code : 'would wait')
    const latency = this.#latency(recorded, decision, chance)
    const guard = this.#live.take(decision.endpoint.id, recorded.atMs, recorded.promptTokens)
    this.#ends.add({ atMs: recorded.atMs + (latency?.wholeMs ?? recorded.durationMs), release: () => guard.release() })
    this.tally.sent(recorded, decision, { costUsd: this.#cost(recorded, decision), latency, chance })
  }

  /** By the tokens that were recorded: another model would have written others, and nobody knows how many. */
  #cost({ inputTokens, outputTokens, cachedInputTokens, model }: Recorded, sent: Sent): number | undefined {
    const prices = pricesAt(sent.endpoint, this.#live)
    if (prices === undefined || inputTokens === undefined || outputTokens === undefined) return undefined
    const cached = model === sent.model.entry.ref ? cachedInputTokens : 0
    return costOf({ inputTokens, outputTokens, cachedInputTokens: cached }, prices)
  }

  /** As recorded where the model stays; else as that model has been with others. Undefined = the log has not seen it. */
  #latency(recorded: Recorded, { model }: Sent, chance: number): { firstTokenMs: number | undefined; wholeMs: number } | undefined {
    if (model.entry.ref === recorded.model) return { firstTokenMs: recorded.firstTokenMs, wholeMs: recorded.durationMs }
    const seen = this.#seen.get(model.entry.ref)
    const firstTokenMs = seen?.firstToken.drawn(chance)
    const perToken = seen?.perToken.drawn((chance * 7919) % 1)
    if (perToken === undefined) return undefined
    return {
      firstTokenMs: recorded.stream ? firstTokenMs : undefined,
      wholeMs: (firstTokenMs ?? 0) + perToken * Math.max(1, recorded.outputTokens ?? 1),
    }
  }

  /** Bounded by the models of the table. */
  #learn({ model, endpoint, promptTokens, outputTokens, firstTokenMs, durationMs, atMs, code }: Recorded, chance: number): void {
    if (model === undefined || code !== undefined || !this.#table.models.has(model)) return
    const seen = this.#seen.get(model) ?? { firstToken: new Samples(), perToken: new Samples() }
    this.#seen.set(model, seen)
    if (firstTokenMs !== undefined) seen.firstToken.add(firstTokenMs, chance)
    if (outputTokens !== undefined && outputTokens > 0) seen.perToken.add((durationMs - (firstTokenMs ?? 0)) / outputTokens, chance)
    if (endpoint === undefined || outputTokens === undefined) return
    this.#live.answered(endpoint, { promptTokens, outputTokens, firstTokenMs, wholeMs: durationMs }, atMs + durationMs)
  }
}

function factsOf(recorded: Recorded): Facts {
  const { route, path, asked, stream, needs, promptTokens, maxOutputTokens, client: name, namespace, serviceAccount } = recorded
  const client = { name, namespace, ...(serviceAccount !== undefined && { serviceAccount }) }
  return { route, path, asked, stream, needs, promptTokens, maxOutputTokens, headers: {}, client }
}
