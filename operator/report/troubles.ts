/** What goes wrong without anybody's mistake: Events are written of it, as of problems. PURE. */
import type { Verdict } from './conditions.ts'

/** What an Event tells of. The same one again has the same words, so nothing in it counts. */
export interface News {
  /** "LlamaModel namespace/name" */
  readonly object: string
  /** Reason of the Event. */
  readonly code: string
  /** Field, backend or rule. */
  readonly at: string
  readonly message: string
  /** It may come again long after it has gone, and is then worth an Event of its own. */
  readonly recurs?: true
}

/** None while gateways do not all have the object: what they say of endpoints is then of another time. */
export function troublesOf({ object, judgements, model, rules = [] }: Verdict): readonly News[] {
  if (!judgements.some(({ type, status }) => type === 'Programmed' && status === 'True')) return []
  const ofBackends = (model?.backends ?? []).flatMap(({ name, total, ready, reason }): readonly News[] => {
    if (reason === 'NoEndpoints') return [trouble(object, reason, `backend ${name}`, 'It has no endpoint.')]
    if (reason !== undefined && reason !== 'EndpointsDown') return [] // a problem, of which there is an Event already
    if (ready === total) return []
    const message = ready === 0 ? 'None of its endpoints takes requests.' : 'Some of its endpoints take no requests.'
    return [trouble(object, 'EndpointsDown', `backend ${name}`, message)]
  })
  const ofRules = rules
    .filter(({ reason }) => reason === 'NoReadyTarget')
    .map(({ name }) => trouble(object, 'NoReadyTarget', `rule ${name}`, 'No target has an endpoint that takes requests.'))
  return [...ofBackends, ...ofRules]
}

const trouble = (object: string, code: string, at: string, message: string): News => ({ object, code, at, message, recurs: true })
