import type { ProblemCode } from '../translate/problems.ts'

/**
 * Every reason that a condition can have, besides the codes of `PROBLEMS` (with which Accepted and ResolvedRefs are False). A closed list: reasons
 * never change meaning; docs/conditions.md is compared with it. PURE.
 */
export const REASONS = [
  { condition: 'Accepted', reason: 'Accepted', status: 'True', meaning: 'Nothing is wrong with the object itself.' },
  { condition: 'ResolvedRefs', reason: 'ResolvedRefs', status: 'True', meaning: 'All that it refers to was found.' },

  { condition: 'Programmed', reason: 'Programmed', status: 'True', meaning: 'Every gateway serves this generation.' },
  { condition: 'Programmed', reason: 'Pending', status: 'Unknown', meaning: 'Not all gateways have answered yet; they have 10 s.' },
  { condition: 'Programmed', reason: 'NoProxies', status: 'False', meaning: 'No gateway is connected to the operator.' },
  { condition: 'Programmed', reason: 'NotProgrammed', status: 'False', meaning: 'A gateway has not confirmed it within 10 s.' },
  {
    condition: 'Programmed',
    reason: 'Rejected',
    status: 'False',
    meaning: 'A gateway has refused it and serves an older version, if it had one.',
  },
  {
    condition: 'Programmed',
    reason: 'NotServed',
    status: 'False',
    meaning: 'Nothing of it can be served: Accepted or ResolvedRefs says why.',
  },
  { condition: 'Programmed', reason: 'TableTooLarge', status: 'False', meaning: 'All objects together are larger than gateways take.' },

  {
    condition: 'Ready',
    reason: 'Ready',
    status: 'True',
    meaning: 'Requests are answered: gateways have it, and an endpoint takes requests.',
  },
  { condition: 'Ready', reason: 'Pending', status: 'Unknown', meaning: 'New, and not yet confirmed by the gateways.' },
  { condition: 'Ready', reason: 'NoProxies', status: 'False', meaning: 'As Programmed.' },
  { condition: 'Ready', reason: 'NotProgrammed', status: 'False', meaning: 'As Programmed.' },
  { condition: 'Ready', reason: 'Rejected', status: 'False', meaning: 'As Programmed.' },
  { condition: 'Ready', reason: 'NotServed', status: 'False', meaning: 'As Programmed.' },
  { condition: 'Ready', reason: 'TableTooLarge', status: 'False', meaning: 'As Programmed.' },
  { condition: 'Ready', reason: 'NoEndpoints', status: 'False', meaning: 'No backend of the model has an endpoint.' },
  { condition: 'Ready', reason: 'EndpointsDown', status: 'False', meaning: 'Gateways say of every endpoint that it takes no requests.' },
  { condition: 'Ready', reason: 'NoReadyTarget', status: 'False', meaning: 'No target of the policy has an endpoint that takes requests.' },

  {
    condition: 'Degraded',
    reason: 'PartlyServed',
    status: 'True',
    meaning: 'Served, but not all of it: Accepted or ResolvedRefs says what is left out.',
  },
  { condition: 'Degraded', reason: 'EndpointsDown', status: 'True', meaning: 'Served, but some endpoints take no requests.' },
  { condition: 'Degraded', reason: 'RulesNotReady', status: 'True', meaning: 'Served, but some rules have no target that takes requests.' },
] as const

type Row = (typeof REASONS)[number]

export type ConditionType = Row['condition']
export type ReasonOf<Type extends ConditionType> = Extract<Row, { condition: Type }>['reason']

/** Also the reasons of one backend or rule in a status. */
export type BackendReason = 'NoEndpoints' | 'EndpointsDown' | ProblemCode
export type RuleReason = 'NoTarget' | 'NoReadyTarget'

export interface Judgement {
  readonly type: ConditionType
  readonly status: 'True' | 'False' | 'Unknown'
  readonly reason: string
  readonly message: string
}

/** A bug when the table above has no such row. */
export function judge<Type extends ConditionType>(type: Type, reason: ReasonOf<Type>, message = ''): Judgement {
  const row = REASONS.find((one) => one.condition === type && one.reason === reason)
  if (row === undefined) throw new Error(`${type} has no reason ${reason}`)
  return { type, status: row.status, reason, message }
}
