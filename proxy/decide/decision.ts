import type { Code } from '../errors.ts'
import type { CompiledEndpoint, CompiledModel } from '../routing-table/compiled.ts'
import type { QueueLimits, RequestPriority } from '../routing-table/v1.ts'
import type { Kept } from './affinity/kept.ts'
import { requestPriorityOf } from './client-terms.ts'
import type { Candidate, Ctx, Input, RuleInForce } from './input.ts'
import type { Shortage } from './limits-view.ts'
import type { Standing } from './model-view.ts'

/** A round robin's turn that was used up: its owner adds it to the cursor. */
export interface CursorStep {
  readonly key: string
  readonly chosen: string
  /** Members that took part, with their weights. */
  readonly members: readonly { readonly id: string; readonly weight: number }[]
}

/** Where a request goes, what it waits for, or why it goes nowhere. */
export type Decision =
  | {
      readonly kind: 'send'
      readonly model: CompiledModel
      readonly endpoint: CompiledEndpoint
      /** Written into the request's `model`. */
      readonly upstreamModel: string
      /** Written into the request's output-token field; undefined = leave it as it is. */
      readonly clampOutputTokens: number | undefined
      readonly rule: RuleInForce
      readonly why: string
      /** Of a model whose endpoints keep requests together. */
      readonly affinity?: Kept
      readonly steps: readonly CursorStep[]
      readonly candidates: readonly Candidate[]
    }
  | {
      readonly kind: 'refuse'
      readonly code: Code
      readonly message: string
      readonly param: string | undefined
      readonly retryAfterMs: number | undefined
      /** The limit of ours that has no room. */
      readonly shortage?: Shortage
      readonly rule: string
      readonly why: string
      readonly candidates: readonly Candidate[]
    }
  | {
      readonly kind: 'hold'
      /** Queues to wait in: room at any of them may be enough. Not empty. */
      readonly lines: readonly Line[]
      /** When there is room without anybody saying so; undefined = an answer must end first. */
      readonly wakeAtMs: number | undefined
      /** The longest wait. */
      readonly maxWaitMs: number
      readonly priority: RequestPriority
      /** What the client is told where it cannot wait. */
      readonly refusal: Refusal
      readonly rule: string
      readonly why: string
      readonly candidates: readonly Candidate[]
    }

/** A queue: of a model (its ref), or of a client's own limit (its key), so that nobody else waits behind that. */
export interface Line {
  readonly key: string
  readonly queue: QueueLimits | undefined
}

export const lineOf = ({ entry: { ref, limits } }: CompiledModel): Line => ({ key: ref, queue: limits?.queue })

export type Refusal = Extract<Decision, { kind: 'refuse' }>
export type Hold = Extract<Decision, { kind: 'hold' }>

/** How long a request may wait in a queue that does not say. */
export const DEFAULT_MAX_WAIT_MS = 60_000

export type Verdict = { readonly kind: 'next'; readonly ctx: Ctx } | Decision

/** One rule, one file, one sentence: says go on (with what is left), send, or refuse with a reason. */
export type Rule = (ctx: Ctx, input: Input) => Verdict

export const next = (ctx: Ctx): Verdict => ({ kind: 'next', ctx })

export function refuse(
  ctx: Ctx,
  code: Code,
  message: string,
  more: { param?: string; retryAfterMs?: number; shortage?: Shortage } = {},
): Refusal {
  return {
    kind: 'refuse',
    code,
    message,
    param: more.param,
    retryAfterMs: more.retryAfterMs,
    ...(more.shortage !== undefined && { shortage: more.shortage }),
    rule: ctx.rule.name,
    why: code,
    candidates: ctx.candidates,
  }
}

/** Waits with the client's priority; told of as the refusal is, which holds where it cannot wait. */
export function hold(ctx: Ctx, refusal: Refusal, wait: Pick<Hold, 'lines' | 'wakeAtMs' | 'maxWaitMs'>, { facts }: Input): Hold {
  const { rule, why, candidates } = refusal
  return { kind: 'hold', ...wait, priority: requestPriorityOf(ctx.rule.policy, facts.client), refusal, rule, why, candidates }
}

/** Candidates that are in the running and lose now, and say why. */
export const lose = (ctx: Ctx, loses: (candidate: Candidate, index: number) => boolean, lost: string): Ctx => ({
  ...ctx,
  candidates: ctx.candidates.map((one, index) => (one.lost === undefined && loses(one, index) ? { ...one, lost } : one)),
})

/**
 * Keeps the endpoints that fit; a candidate left without any has lost, and says why. `surely`: all endpoints of one candidate, or of all
 * (then without a candidate), fit by what holds of them together; then none is asked.
 */
export function keepEndpoints(
  ctx: Ctx,
  fits: (endpoint: CompiledEndpoint, candidate: Candidate) => boolean,
  reason: (candidate: Candidate) => string,
  surely: (standing: Standing, candidate: Candidate | undefined) => boolean = never,
): Ctx {
  if (surely(ctx.outlook.all, undefined)) return ctx
  let candidates: Candidate[] | undefined
  for (let at = 0; at < ctx.candidates.length; at++) {
    const [candidate, view] = [ctx.candidates[at], ctx.outlook.views[at]]
    if (candidate === undefined || candidate.lost !== undefined) continue
    if (view !== undefined && surely(view, candidate)) continue
    const kept = thoseThat(fits, candidate)
    if (kept === candidate) continue
    candidates ??= [...ctx.candidates]
    candidates[at] = kept.endpoints.length === 0 ? { ...kept, lost: reason(candidate) } : kept
  }
  return candidates === undefined ? ctx : { ...ctx, candidates }
}

const never = (): boolean => false

function thoseThat(fits: (endpoint: CompiledEndpoint, candidate: Candidate) => boolean, candidate: Candidate): Candidate {
  const endpoints = candidate.endpoints.filter((endpoint) => fits(endpoint, candidate))
  return endpoints.length === candidate.endpoints.length ? candidate : { ...candidate, endpoints }
}

export const anyLeft = (ctx: Ctx): boolean => ctx.candidates.some((candidate) => candidate.lost === undefined)
