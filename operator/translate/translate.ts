/**
 * Resources become a routing table. In: `Resources`, all objects at one moment. Out: the table that proxies take, every mistake found, and
 * what each object's status says. PURE: no I/O, clock or chance; equal resources in any order give an equal answer.
 * One bad object never harms another: it becomes problems, and the rest is still built. Nothing here throws on what a user wrote.
 * The order of `models` and of `policies` in the table is precedence (older first, then namespace/name): among several objects that share a
 * name with a client, proxies take the first. Cases: `cases/`.
 */
import { type Credential, type RoutingTable, TABLE_VERSION } from '../../proxy/routing-table/index.ts'
import type { Resources } from '../resources/snapshot.ts'
import { builtInAuto } from './built-in-auto.ts'
import { translateClientKeys } from './client-keys.ts'
import { translateModels } from './models.ts'
import { claimNames } from './names.ts'
import { translatePolicies } from './policies.ts'
import { byText } from './precedence.ts'
import type { Problem } from './problems.ts'
import { makeStatuses, type ObjectStatus } from './statuses.ts'

export interface Translation {
  readonly table: RoutingTable
  readonly problems: readonly Problem[]
  readonly statuses: readonly ObjectStatus[]
}

/** Who makes the table and its number; the caller counts `seq` up when the content differs from the last. */
export interface TableNumber {
  readonly epoch: number
  readonly seq: number
}

export function translate(resources: Resources, { epoch, seq }: TableNumber = { epoch: 0, seq: 0 }): Translation {
  // Names first: every later pass asks which of them an object won.
  const names = claimNames(resources)
  // Models next, with their backends, addresses and credentials: policies point at them.
  const models = translateModels(resources, names)
  // Policies need the finished models: their access decides who may target them, and their weight is a target's default.
  const policies = translatePolicies(resources, names, models.models)
  // The built-in `auto` last of what has names: it takes only what nobody claimed, and stands behind every policy.
  const auto = builtInAuto(resources, names, models.models)
  // Client keys depend on nothing and nothing on them.
  const keys = translateClientKeys(resources)
  // Statuses see all problems, so nothing may be found after them.
  const problems = unique([...names.problems, ...models.problems, ...policies.problems, ...keys.problems])
  const statuses = makeStatuses(resources, models.models, policies.policies, problems)
  return {
    table: {
      version: TABLE_VERSION,
      epoch,
      seq,
      models: models.models,
      policies: [...policies.policies, ...auto],
      endpointSets: models.endpointSets,
      credentials: credentialsOnce(models.credentials),
      clientKeys: keys.clientKeys,
      ...(resources.tokenIssuers.length > 0 && { tokenIssuers: resources.tokenIssuers }),
    },
    problems,
    statuses,
  }
}

/** Two rules that share their policy's targets find the same mistakes in them: each is told once. */
function unique(problems: readonly Problem[]): readonly Problem[] {
  const seen = new Map(problems.map((problem) => [`${problem.object} ${problem.at} ${problem.code} ${problem.message}`, problem]))
  return [...seen.values()].sort((a, b) => byText(`${a.object} ${a.at}`, `${b.object} ${b.at}`))
}

function credentialsOnce(credentials: readonly Credential[]): readonly Credential[] {
  return [...new Map(credentials.map((credential) => [credential.id, credential])).values()].sort((a, b) => byText(a.id, b.id))
}
