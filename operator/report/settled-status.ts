/**
 * A verdict and what the API server holds become the status to write. PURE. A condition keeps its time while its status stays; one that is
 * only pending does not take the place of what was known, so that a new leader, or one more weight, makes no condition go to and fro.
 */
import { type Fields, isFields } from '../validate/problem.ts'
import type { Verdict } from './conditions.ts'
import { type Judgement, judge } from './reasons.ts'

export interface Condition extends Judgement {
  readonly observedGeneration: number
  /** RFC 3339. */
  readonly lastTransitionTime: string
}

/** As it is sent; lists that are maps for the API server are in the order of their keys. */
export interface Status {
  readonly observedGeneration: number
  readonly conditions: readonly Condition[]
  /** All other fields. */
  readonly rest: Fields
}

export interface Settling {
  /** RFC 3339, to the second. */
  readonly time: string
  /** The leader is new: gateways that are missing may be on their way. */
  readonly isGathering: boolean
}

export function settledStatus(verdict: Verdict, held: Status | undefined, { time, isGathering }: Settling): Status {
  const isSame = held?.observedGeneration === verdict.observedGeneration
  const heldProxies = numberAt(held?.rest['programmed'], 'proxies')
  const isWaiting = isGathering && isSame && verdict.programmed.proxies < heldProxies
  const judgements = isWaiting ? asPending(verdict.judgements) : verdict.judgements
  const conditions = judgements.map((judgement) => settledCondition(judgement, verdict.observedGeneration, held, time))
  const keepsProgrammed = conditions.some(({ type, reason }) => type === 'Programmed' && reason !== reasonOf(judgements, 'Programmed'))
  const keepsReady = conditions.some(({ type, reason }) => type === 'Ready' && reason !== reasonOf(judgements, 'Ready'))
  const degraded = keepsReady ? held?.conditions.filter(({ type }) => type === 'Degraded') : []
  return {
    observedGeneration: verdict.observedGeneration,
    conditions: [...conditions, ...(degraded ?? [])],
    rest: { ...restOf(verdict), ...kept(verdict, held, { keepsProgrammed, isWaiting }) },
  }
}

function settledCondition(judgement: Judgement, observedGeneration: number, held: Status | undefined, time: string): Condition {
  const before = held?.conditions.find(({ type }) => type === judgement.type)
  const isKnown = before !== undefined && before.status !== 'Unknown'
  const speaksOfThis = judgement.type === 'Ready' || before?.observedGeneration === observedGeneration
  if (judgement.reason === 'Pending' && isKnown && speaksOfThis) return before
  const lastTransitionTime = before?.status === judgement.status ? before.lastTransitionTime : time
  return { ...judgement, observedGeneration, lastTransitionTime }
}

const asPending = (judgements: readonly Judgement[]): readonly Judgement[] => [
  ...judgements.filter(({ type }) => type === 'Accepted' || type === 'ResolvedRefs'),
  judge('Programmed', 'Pending'),
  judge('Ready', 'Pending'),
]

const reasonOf = (judgements: readonly Judgement[], type: string): string | undefined => judgements.find((one) => one.type === type)?.reason

/** Counts that belong to a condition which stays, and those of gateways that have not told yet. */
function kept(
  verdict: Verdict,
  held: Status | undefined,
  { keepsProgrammed, isWaiting }: { readonly keepsProgrammed: boolean; readonly isWaiting: boolean },
): Fields {
  if (held === undefined || !keepsProgrammed) return {}
  const { programmed, endpoints, backends, rules, summary } = held.rest
  const columns = isFields(summary) ? summary : {}
  const counts = isWaiting ? { ...set({ endpoints, backends, rules }) } : {}
  const names = isWaiting ? ['programmed', 'endpoints', 'engines'] : ['programmed']
  const columnsKept = Object.fromEntries(names.flatMap((name) => (columns[name] === undefined ? [] : [[name, columns[name]]])))
  return { ...set({ programmed }), ...counts, summary: { ...verdict.summary, ...columnsKept } }
}

const set = (fields: Fields): Fields => Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))

function restOf({ model, rules, programmed, summary }: Verdict): Fields {
  if (model === undefined) return { programmed, rules: byName(rules ?? []), summary }
  return { programmed, servedNames: model.servedNames, endpoints: model.endpoints, backends: byName(model.backends), summary }
}

const byName = <T extends { readonly name: string }>(list: readonly T[]): readonly T[] =>
  list.toSorted((a, b) => (a.name < b.name ? -1 : Number(a.name !== b.name)))

/** The object to send as `status`. */
export const statusObject = ({ observedGeneration, conditions, rest }: Status): Fields => ({ observedGeneration, conditions, ...rest })

const OURS = ['Accepted', 'ResolvedRefs', 'Programmed', 'Ready', 'Degraded'] as const

/** Never fails: what is missing is not there, what others own is left aside. */
export function parseStatus(raw: unknown): Status | undefined {
  if (!isFields(raw) || typeof raw['observedGeneration'] !== 'number') return undefined
  const { observedGeneration, conditions, ...rest } = raw
  const list: readonly unknown[] = Array.isArray(conditions) ? conditions : []
  const found = list.flatMap((one) => (isCondition(one) ? [one] : []))
  const ordered = OURS.flatMap((name) => found.filter(({ type }) => type === name))
  return { observedGeneration, conditions: ordered, rest: { ...rest, ...sorted(rest, 'backends'), ...sorted(rest, 'rules') } }
}

function isCondition(value: unknown): value is Condition {
  if (!isFields(value)) return false
  const { type, status, reason, message, lastTransitionTime, observedGeneration } = value
  const isOurs = OURS.some((name) => name === type)
  const texts = [status, reason, message, lastTransitionTime].every((text) => typeof text === 'string')
  return isOurs && texts && typeof observedGeneration === 'number'
}

function sorted(rest: Fields, name: string): Fields {
  const list: unknown = rest[name]
  return Array.isArray(list) ? { [name]: byName(list.flatMap((one: unknown) => (isNamed(one) ? [one] : []))) } : {}
}

const isNamed = (value: unknown): value is Fields & { readonly name: string } => isFields(value) && typeof value['name'] === 'string'

const numberAt = (value: unknown, name: string): number => {
  const number = isFields(value) ? value[name] : undefined
  return typeof number === 'number' ? number : 0
}
