import type { CompiledPolicy } from '../routing-table/compiled.ts'
import type { ClientMatch, ClientTerms, RequestPriority } from '../routing-table/v1.ts'
import type { Client } from './input.ts'

/** What is given together must all hold. A name without a namespace means one of the client's own. */
export function clientFits({ names, namespaces, serviceAccounts }: ClientMatch, client: Client): boolean {
  if (serviceAccounts !== undefined && (client.serviceAccount === undefined || !serviceAccounts.includes(client.serviceAccount)))
    return false
  if (names?.some((name) => name === client.name || `${client.namespace}/${name}` === client.name) === false) return false
  return namespaces === undefined || namespaces.includes(client.namespace)
}

/** What a policy says of this client: every entry that matches, in order. */
export const termsFor = (policy: CompiledPolicy | undefined, client: Client): readonly ClientTerms[] =>
  policy?.entry.clients?.filter(({ match }) => clientFits(match, client)) ?? []

/** The first that is said. */
export const requestPriorityOf = (policy: CompiledPolicy | undefined, client: Client): RequestPriority =>
  termsFor(policy, client).find(({ requestPriority }) => requestPriority !== undefined)?.requestPriority ?? 'Normal'
