import { decide } from '../decide/decide.ts'
import type { Decision, Refusal } from '../decide/decision.ts'
import type { PastAttempt } from '../decide/input.ts'
import type { HoldRequest, Turn } from '../hold/holds.ts'
import type { Run, Sent } from './run.ts'
import { type Reserved, reserve } from './try-once.ts'

/** What the request does next. `send`: its slot and its share of limits are taken already. */
export type Step =
  | { readonly kind: 'send'; readonly sent: Sent; readonly reserved: Reserved }
  | { readonly kind: 'refuse'; readonly decision: Refusal }
  | { readonly kind: 'gone' }

type Settled = Exclude<Step, { kind: 'gone' }>
type Held = Extract<Decision, { kind: 'hold' }>

/** Where the request stands: decisions and reservations depend on it. */
export interface Standing {
  readonly past: readonly PastAttempt[]
  /** Its client's limits are booked. */
  readonly admitted: boolean
  readonly deadlineMs: number
}

/** Decides, waits where that is the decision, and decides again when the turn comes. Never waits past the deadline. */
export async function nextStep(run: Run, standing: Standing): Promise<Step> {
  const first = decideAndReserve(run, standing, false)
  if (first.kind !== 'hold') return first
  const { shortage } = first.refusal
  if (shortage !== undefined) run.live.limits.missed(shortage)
  const startMs = run.now()
  let settled: Settled | undefined
  const tryTurn = (): Turn => {
    if (standing.past.length === 0) run.table = run.newestTable()
    const again = decideAndReserve(run, standing, true)
    if (again.kind === 'hold') {
      if (again.refusal.shortage !== undefined) run.live.limits.lacks(again.refusal.shortage)
      return { kind: 'waits', wakeAtMs: again.wakeAtMs }
    }
    settled = again
    return { kind: 'over' }
  }
  const end = await run.holds.wait(holdRequest(run, first, { standing, startMs, tryTurn }), (left) => run.answer.onGone(left))
  run.answer.onGone(undefined)
  run.onHeld(run.now() - startMs)
  if (settled !== undefined) return settled
  if (end.kind === 'full') return refused(first, end.retryAfterMs)
  if (end.kind === 'late') return refused(first, end.retryAfterMs, LATE)
  return { kind: 'gone' }
}

function holdRequest(
  { facts: { client }, body }: Run,
  { priority, lines, maxWaitMs, wakeAtMs }: Held,
  { standing, startMs, tryTurn }: { standing: Standing; startMs: number; tryTurn: () => Turn },
): HoldRequest {
  return {
    client: client.name ?? client.namespace,
    priority,
    bytes: body.bytes.length,
    lines,
    untilMs: Math.min(startMs + maxWaitMs, standing.deadlineMs),
    wakeAtMs,
    tryTurn,
  }
}

/** Whether the next attempt goes where the last one failed: then it waits first. Elsewhere there is nothing to wait for. */
export function repeatsSame(run: Run, standing: Standing): boolean {
  const decision = ask(run, standing, false)
  return decision.kind === 'send' && decision.endpoint.id === standing.past.at(-1)?.endpointId
}

/** In one go, so that no other request can take what this decision has seen free. */
function decideAndReserve(run: Run, standing: Standing, turn: boolean): Settled | Held {
  const decision = ask(run, standing, turn)
  if (decision.kind === 'hold') return decision
  if (decision.kind === 'refuse') {
    if (decision.shortage !== undefined && !turn) run.live.limits.missed(decision.shortage)
    return { kind: 'refuse', decision }
  }
  run.live.advance(decision.steps)
  return { kind: 'send', sent: decision, reserved: reserve(run, decision, standing.admitted) }
}

const ask = ({ facts, table, live, holds, now, dice }: Run, { past, admitted }: Standing, turn: boolean): Decision =>
  decide({
    facts,
    table,
    live,
    nowMs: now(),
    dice: dice(),
    past,
    turn,
    admitted,
    waitingFor: (ref) => holds.waitingFor(ref),
    explain: facts.headers['x-llama-swap-debug'] === '1',
  })

const LATE = {
  code: 'queue_timeout',
  message: 'The request waited in the queue as long as it may, and no endpoint became free. Try again as Retry-After says.',
  why: 'queue_timeout',
} as const

/** A limit's own words hold; a full queue's tell how fast it empties. */
function refused({ refusal }: Held, drainMs: number, late?: typeof LATE): Step {
  const words = refusal.code === 'concurrency_limit' ? late : undefined
  return { kind: 'refuse', decision: { ...refusal, ...words, retryAfterMs: refusal.retryAfterMs ?? drainMs } }
}
