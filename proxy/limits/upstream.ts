import type { Quota } from '../routing-table/v1.ts'
import type { Demand } from './demand.ts'
import type { HeardLimit } from './limit-headers.ts'
import { type Mark, MinuteWindow } from './window.ts'

export const DEFAULT_SHIFT_AT_PERCENT = 80
/** Without a reset what was heard counts as long as a minute window would hold it. */
const UNTIL_RESET_MS = 60_000
/** What resets later than this is no limit a minute: a declared one holds beside it. */
const A_MINUTE_MS = 61_000
const LONGER = /hour|day|month/
/** Names come from upstreams. */
const MAX_HEARD = 16

type Unit = 'requests' | 'tokens'

interface Heard {
  readonly unit: Unit | undefined
  readonly limit: number
  readonly remaining: number
  readonly untilMs: number
  readonly aMinute: boolean
  /** What had been sent by then, of its unit. */
  readonly sentBefore: number
}

/** What one credential of one backend has used of what its upstream allows: as the upstream says, else as declared and counted here. */
export class UpstreamUse {
  readonly #heard = new Map<string, Heard>()
  readonly #windows: Readonly<Record<Unit, MinuteWindow>> = { requests: new MinuteWindow(), tokens: new MinuteWindow() }
  readonly #sent: Record<Unit, number> = { requests: 0, tokens: 0 }

  /** Until when nothing is left; undefined = something is. */
  hear(limits: readonly HeardLimit[], nowMs: number): number | undefined {
    for (const said of limits) this.#note(said, nowMs)
    let untilMs: number | undefined
    for (const { remaining, untilMs: resetAtMs } of this.#heard.values())
      if (remaining === 0 && resetAtMs > nowMs) untilMs = Math.max(untilMs ?? 0, resetAtMs)
    return untilMs
  }

  #note({ name, limit, remaining, resetMs }: HeardLimit, nowMs: number): void {
    if (limit === undefined || remaining === undefined) return
    if (!this.#heard.has(name) && this.#heard.size >= MAX_HEARD) return
    const unit = unitOf(name)
    this.#heard.set(name, {
      unit,
      limit,
      remaining,
      untilMs: nowMs + (resetMs ?? UNTIL_RESET_MS),
      aMinute: !LONGER.test(name) && (resetMs === undefined || resetMs <= A_MINUTE_MS),
      sentBefore: unit === undefined ? 0 : this.#sent[unit],
    })
  }

  send({ tokens }: Demand, nowMs: number): SentUse {
    this.#sent.requests++
    this.#sent.tokens += tokens
    const marks = { requests: this.#windows.requests.add(1, nowMs), tokens: this.#windows.tokens.add(tokens, nowMs) }
    return { tokens, marks }
  }

  /** Undefined: nobody said what was used. A request that failed was one all the same. */
  settle({ tokens, marks }: SentUse, usedTokens: number | undefined, nowMs: number): void {
    if (usedTokens === undefined) return
    if (usedTokens <= tokens) this.#windows.tokens.takeBack(tokens - usedTokens, marks.tokens, nowMs)
    else this.#windows.tokens.add(usedTokens - tokens, nowMs)
  }

  /** 0 to 1. */
  used(quota: Quota | undefined, nowMs: number): number {
    let most = 0
    const said = { requests: false, tokens: false }
    for (const heard of this.#heard.values()) {
      if (heard.untilMs <= nowMs) continue
      if (heard.unit !== undefined && heard.aMinute) said[heard.unit] = true
      most = Math.max(most, this.#usedOf(heard))
    }
    if (!said.requests) most = Math.max(most, shareOf(this.#windows.requests.used(nowMs), quota?.requestsPerMinute))
    if (!said.tokens) most = Math.max(most, shareOf(this.#windows.tokens.used(nowMs), quota?.tokensPerMinute))
    return most
  }

  /** What was sent since counts as used: its own answer has not told yet. */
  #usedOf({ unit, limit, remaining, sentBefore }: Heard): number {
    const since = unit === undefined ? 0 : this.#sent[unit] - sentBefore
    return Math.min(1, Math.max(0, 1 - (remaining - since) / limit))
  }
}

export interface SentUse {
  readonly tokens: number
  readonly marks: Readonly<Record<Unit, Mark>>
}

const unitOf = (name: string): Unit | undefined => (name.includes('token') ? 'tokens' : name.includes('req') ? 'requests' : undefined)

const shareOf = (used: number, allowed: number | undefined): number => (allowed === undefined ? 0 : Math.min(1, used / allowed))
