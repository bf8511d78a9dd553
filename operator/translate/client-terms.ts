import type { ClientLimits, ClientMatch, ClientTerms } from '../../proxy/routing-table/index.ts'
import type { ClientLimits as LimitsSpec, ClientMatch as MatchSpec, ClientTerms as TermsSpec } from '../resources/crds.generated.ts'
import { decimals } from './quantity.ts'
import { setFields } from './set-fields.ts'

/** In the order of the policy: the first priority that is said holds. An entry without a match is for every client. */
export function translateClients(clients: readonly TermsSpec[], home: string): readonly ClientTerms[] {
  return clients.map(({ match, limits, requestPriority }) => ({
    match: match === undefined ? {} : translateClientMatch(match, home),
    ...setFields({ limits: limits === undefined ? undefined : translateLimits(limits), requestPriority }),
  }))
}

/** A client is "namespace/secretName", a ServiceAccount "namespace/name"; a name alone is one of the policy's own namespace. */
export function translateClientMatch({ names, namespaces, serviceAccounts }: MatchSpec, home: string): ClientMatch {
  const whole = (name: string): string => (name.includes('/') ? name : `${home}/${name}`)
  return setFields({ names: names?.map(whole), namespaces, serviceAccounts: serviceAccounts?.map(whole) })
}

export function translateLimits({ requestsPerMinute, tokensPerMinute, tokensPerDay, costPerDay, maxConcurrent }: LimitsSpec): ClientLimits {
  return { ...setFields({ requestsPerMinute, tokensPerMinute, tokensPerDay, maxConcurrent }), ...decimals({ costPerDay }) }
}
