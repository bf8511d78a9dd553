/**
 * What the status of an object says, from what is known of it. In: facts of one object and the time. Out: its whole status but for the times of
 * conditions, and when to look again. PURE. What the API server holds already comes in one step later (`settled-status.ts`).
 */
import type { BackendState, ObjectFacts, ProgrammingFacts, RejectionFacts, RuleState } from './facts.ts'
import { type Judgement, judge, type ReasonOf } from './reasons.ts'

export interface Verdict {
  readonly object: string
  readonly source: ObjectFacts['source']
  readonly observedGeneration: number
  /** Accepted, ResolvedRefs, Programmed, Ready, and Degraded while it is. */
  readonly judgements: readonly Judgement[]
  readonly programmed: { readonly generation: number; readonly proxies: number; readonly acked: number; readonly rejected: number }
  /** Of a LlamaModel. */
  readonly model?: {
    readonly servedNames: readonly string[]
    readonly endpoints: { readonly total: number; readonly ready: number }
    readonly backends: readonly BackendState[]
  }
  /** Of a RoutingPolicy. */
  readonly rules?: readonly RuleState[]
  readonly summary: Readonly<Record<string, string>>
  /** When it would say something else although nothing happens. */
  readonly changesAtMs?: number
}

export interface Moment {
  readonly nowMs: number
  /** Until then a gateway that is not here may still be on its way: the leader is new. */
  readonly gatheringUntilMs: number
}

/** A gateway has this long to answer. */
export const ANSWER_WITHIN_MS = 10_000
const MAX_MESSAGE_CHARACTERS = 1024
/** Gateways, backends or rules that a message names. */
const MAX_NAMED = 3
const MAX_COLUMN_CHARACTERS = 1024

export function verdictOf(facts: ObjectFacts, moment: Moment): Verdict {
  const { status, programming } = facts
  const isModel = status.kind === 'LlamaModel'
  const programmed = judgeProgrammed(facts, moment)
  const ready = judgeReady(facts, programmed)
  const degraded = ready.status === 'True' ? judgeDegraded(facts) : undefined
  const endpoints = { total: sum(facts.backends, 'total'), ready: sum(facts.backends, 'ready') }
  const { gateways = 0, acked = 0, rejected = [], pendingSinceMs } = programming ?? {}
  const isPending = programmed.reason === 'Pending'
  const changesAtMs = pendingSinceMs === undefined ? moment.gatheringUntilMs : pendingSinceMs + ANSWER_WITHIN_MS
  return {
    object: facts.object,
    source: facts.source,
    observedGeneration: status.observedGeneration,
    judgements: [...status.conditions.filter(isTranslates), programmed, ready, ...(degraded === undefined ? [] : [degraded])],
    programmed: { generation: facts.generation ?? 0, proxies: gateways, acked, rejected: proxiesOf(rejected).length },
    ...(isModel ? { model: { servedNames: status.servedNames, endpoints, backends: facts.backends } } : { rules: facts.rules }),
    summary: {
      ...status.summary,
      programmed: `${acked}/${gateways}`,
      ...(isModel && { endpoints: `${endpoints.ready}/${endpoints.total}`, engines: enginesOf(facts.backends) }),
    },
    ...(isPending && { changesAtMs }),
  }
}

const isTranslates = ({ type }: Judgement): boolean => type === 'Accepted' || type === 'ResolvedRefs'

function judgeProgrammed({ generation, programming, unpushed }: ObjectFacts, { nowMs, gatheringUntilMs }: Moment): Judgement {
  const says = (reason: ReasonOf<'Programmed'>, message?: string): Judgement => judge('Programmed', reason, message)
  if (generation === undefined) return says('NotServed', 'Nothing of this object can be served: see Accepted and ResolvedRefs.')
  if (unpushed !== undefined) return says('TableTooLarge', unpushed)
  if (programming === undefined) return says('Pending')
  const { gateways, acked, rejected, pendingSinceMs } = programming
  if (gateways === 0) return nowMs < gatheringUntilMs ? says('Pending') : says('NoProxies', 'No gateway is connected to the operator.')
  if (rejected.length > 0) return says('Rejected', rejectionsText(rejected))
  if (acked === gateways) return says('Programmed', `${gateways} of ${gateways} gateways serve it.`)
  const isLate = pendingSinceMs !== undefined && nowMs >= pendingSinceMs + ANSWER_WITHIN_MS
  return isLate ? says('NotProgrammed', notAckedText(programming)) : says('Pending')
}

const notAckedText = ({ gateways, acked }: ProgrammingFacts): string =>
  `${acked} of ${gateways} gateways have confirmed it; the others have not answered for ${ANSWER_WITHIN_MS / 1000} s.`

function rejectionsText(rejected: readonly RejectionFacts[]): string {
  const proxies = proxiesOf(rejected)
  const texts = rejected.slice(0, MAX_NAMED).map(({ proxy, pointer, reason, message }) => {
    const place = pointer === '' ? '' : `${pointer}: `
    return `${proxy}: ${place}${message} (${reason})`
  })
  const more = proxies.length > MAX_NAMED ? ` And ${proxies.length - MAX_NAMED} more.` : ''
  return `${texts.join(' ')}${more}`.slice(0, MAX_MESSAGE_CHARACTERS)
}

const proxiesOf = (rejected: readonly RejectionFacts[]): readonly string[] => [...new Set(rejected.map(({ proxy }) => proxy))]

function judgeReady({ status, backends, rules }: ObjectFacts, programmed: Judgement): Judgement {
  if (programmed.status !== 'True') return { ...programmed, type: 'Ready' }
  if (status.kind === 'RoutingPolicy') {
    return rules.some(({ ready }) => ready)
      ? judge('Ready', 'Ready')
      : judge('Ready', 'NoReadyTarget', 'No target has an endpoint that takes requests.')
  }
  if (sum(backends, 'ready') > 0) return judge('Ready', 'Ready')
  const total = sum(backends, 'total')
  return total === 0
    ? judge('Ready', 'NoEndpoints', `No endpoints: ${backends.map(({ name }) => name).join(', ')}.`)
    : judge('Ready', 'EndpointsDown', `None of the ${total} endpoints takes requests.`)
}

function judgeDegraded({ status, backends, rules }: ObjectFacts): Judgement | undefined {
  const wrong = status.conditions.filter((condition) => isTranslates(condition) && condition.status === 'False').map(({ type }) => type)
  if (wrong.length > 0) return judge('Degraded', 'PartlyServed', `Not all of it is served: see ${wrong.join(' and ')}.`)
  const without = rules.filter(({ ready }) => !ready).map(({ name }) => name)
  if (without.length > 0) return judge('Degraded', 'RulesNotReady', `No ready target: ${named(without)}.`)
  const down = backends.filter(({ total, ready }) => ready < total || total === 0)
  if (down.length === 0) return undefined
  const texts = down.map(({ name, total, ready }) => `${name} ${ready}/${total}`)
  return judge('Degraded', 'EndpointsDown', `Ready endpoints: ${named(texts)}.`)
}

function named(names: readonly string[]): string {
  const more = names.length > MAX_NAMED ? ` and ${names.length - MAX_NAMED} more` : ''
  return `${names.slice(0, MAX_NAMED).join(', ')}${more}`
}

const sum = (backends: readonly BackendState[], what: 'total' | 'ready'): number =>
  backends.reduce((total, backend) => total + backend[what], 0)

const enginesOf = (backends: readonly BackendState[]): string =>
  [...new Set(backends.map(({ engine }) => engine))].join(',').slice(0, MAX_COLUMN_CHARACTERS)
