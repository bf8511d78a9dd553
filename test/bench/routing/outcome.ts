/** What one run came to. In: each request's times and engine. Out: figures. PURE. */
import { CUT, SETTLING_MS, SHARE_WINDOW_MS, SLO, type Timeline, WINDOW_MS } from './scenario.ts'
import { quantile } from './statistics.ts'

/** One request that was asked, times from the run's start. */
export interface Served {
  readonly atMs: number
  /** Undefined = refused or failed, or it never got there. */
  readonly engine: number | undefined
  readonly firstTokenMs: number | undefined
  readonly endMs: number | undefined
  readonly outputTokens: number
  /** When its client left before the end: it waited at least so long. */
  readonly leftMs?: number | undefined
}

export interface Outcome {
  readonly asked: number
  readonly failed: number
  /** Served within the bounds, as a part of all that were asked. */
  readonly goodput: number
  /** The same for those that arrived before the cut, in it, and after it. */
  readonly phases: readonly number[]
  readonly firstTokenP50Ms: number
  readonly firstTokenP99Ms: number
  readonly tokenP99Ms: number
  /** Shares of the engines before the cut. */
  readonly shares: readonly number[]
  readonly spread: number
  /** Arrivals from the recovery on, in slots of one second, all and at the engine that was cut. */
  readonly afterwards: readonly { readonly all: number; readonly there: number }[]
}

export function outcomeOf(served: readonly Served[], timeline: Timeline, engines: number): Outcome {
  const well = served.filter(isWell)
  const bounds = [0, timeline.cutAt, timeline.recoversAt, timeline.endsAt].map((seconds) => seconds * 1000)
  const phase = (of: readonly Served[], at: number): number =>
    of.filter(({ atMs }) => atMs >= (bounds[at] ?? 0) && atMs < (bounds[at + 1] ?? 0)).length
  const firsts = served.map(({ atMs, firstTokenMs, leftMs }) => (firstTokenMs ?? leftMs ?? Number.POSITIVE_INFINITY) - atMs)
  const calm = served.filter(({ atMs }) => atMs >= SETTLING_MS && atMs < timeline.cutAt * 1000)
  return {
    asked: served.length,
    failed: served.filter(({ endMs }) => endMs === undefined).length,
    goodput: well.length / served.length,
    phases: [0, 1, 2].map((at) => phase(well, at) / phase(served, at)),
    firstTokenP50Ms: quantile(firsts, 0.5),
    firstTokenP99Ms: quantile(firsts, 0.99),
    tokenP99Ms: quantile(served.map(tokenMsOf), 0.99),
    shares: sharesOf(calm, engines),
    spread: spreadOf(calm, engines),
    afterwards: slotsAfter(served, timeline),
  }
}

export function isWell(one: Served): boolean {
  if (one.firstTokenMs === undefined || one.endMs === undefined) return false
  return one.firstTokenMs - one.atMs <= SLO.firstTokenMs && tokenMsOf(one) <= SLO.tokenMs
}

/** From the first token to the last, for each after the first. */
function tokenMsOf({ firstTokenMs, endMs, outputTokens }: Served): number {
  if (firstTokenMs === undefined || endMs === undefined) return Number.POSITIVE_INFINITY
  return outputTokens < 2 ? 0 : (endMs - firstTokenMs) / (outputTokens - 1)
}

function sharesOf(served: readonly Served[], engines: number): readonly number[] {
  return Array.from({ length: engines }, (_, engine) => served.filter((one) => one.engine === engine).length / Math.max(1, served.length))
}

/**
 * How unevenly windows of time share their arrivals among the engines: squared deviations from the shares of the whole time, for what
 * independent draws by these shares would give. 1 = as such draws; below: more even; above: many at once go to the same engine.
 */
export function spreadOf(served: readonly Served[], engines: number): number {
  const shares = sharesOf(served, engines)
  const windows = Map.groupBy(served, ({ atMs }) => Math.floor(atMs / WINDOW_MS))
  let [squares, expected] = [0, 0]
  for (const window of windows.values()) {
    for (const [engine, share] of shares.entries()) {
      const there = window.filter((one) => one.engine === engine).length
      squares += (there - window.length * share) ** 2
      expected += window.length * share * (1 - share)
    }
  }
  return expected > 0 ? squares / expected : 1
}

function slotsAfter(served: readonly Served[], { recoversAt, endsAt }: Timeline): Outcome['afterwards'] {
  const slots = Array.from({ length: endsAt - recoversAt }, () => ({ all: 0, there: 0 }))
  for (const { atMs, engine } of served) {
    const slot = slots[Math.floor(atMs / 1000) - recoversAt]
    if (slot === undefined) continue
    slot.all++
    if (engine === CUT.engine) slot.there++
  }
  return slots
}

export interface Recovery {
  /** Undefined = it did not come back. */
  readonly seconds: number | undefined
  /** Its share in the time from 30 s after the recovery on, for that of before. */
  readonly kept: number
}

/** Of all seeds of a cell together, as one has too few arrivals in five seconds. */
export function recoveryOf(outcomes: readonly Outcome[], wanted: number, afterSeconds: number): Recovery {
  const before = outcomes.reduce((sum, { shares }) => sum + (shares[CUT.engine] ?? 0), 0) / outcomes.length
  const shareIn = (from: number, to: number): number => {
    const slots = outcomes.flatMap(({ afterwards }) => afterwards.slice(from, to))
    return (
      slots.reduce((sum, { there }) => sum + there, 0) /
      Math.max(
        1,
        slots.reduce((sum, { all }) => sum + all, 0),
      ) /
      before
    )
  }
  const width = SHARE_WINDOW_MS / 1000
  const length = outcomes[0]?.afterwards.length ?? 0
  const ends = Array.from({ length: Math.max(0, length - width + 1) }, (_, at) => at + width)
  return { seconds: ends.find((end) => shareIn(end - width, end) >= wanted), kept: shareIn(afterSeconds, length) }
}
