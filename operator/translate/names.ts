import { type Metadata, type ModelResource, objectKey, type PolicyResource, type Resources } from '../resources/snapshot.ts'
import { byPrecedence } from './precedence.ts'
import { type Problem, problem } from './problems.ts'

export interface Names {
  /** By object ("LlamaModel namespace/name"): the names it won, in the order it lists them. */
  readonly won: ReadonlyMap<string, readonly string[]>
  /** Every name that any object claims, won or lost. */
  readonly claimed: ReadonlySet<string>
  readonly problems: readonly Problem[]
}

interface Claimer {
  readonly object: string
  readonly metadata: Metadata
  readonly names: readonly { readonly name: string; readonly at: string }[]
}

/**
 * Gives each name to one object of its namespace. Models, aliases and virtual models of a namespace share one name space; two objects conflict for the
 * name they both claim and for nothing else, and the one that comes first (older, then namespace/name) has it. Objects of different
 * namespaces never conflict: a proxy resolves a name per client, own namespace first, then among those shared with it by the same order.
 * Internal models claim nothing, as clients cannot name them.
 */
export function claimNames(resources: Resources): Names {
  const claimers = [...[...resources.models.values()].map(modelClaims), ...[...resources.policies.values()].map(policyClaims)]
  const owners = new Map<string, string>()
  const won = new Map<string, readonly string[]>()
  const problems: Problem[] = []
  for (const { object, metadata, names } of claimers.sort(byPrecedence)) {
    const mine = names.filter(({ name, at }) => {
      const owner = owners.get(`${metadata.namespace} ${name}`) ?? object
      owners.set(`${metadata.namespace} ${name}`, owner)
      if (owner !== object) problems.push(problem('Conflicted', object, at, name, owner))
      return owner === object
    })
    won.set(object, [...new Set(mine.map(({ name }) => name))])
  }
  return { won, claimed: new Set(claimers.flatMap(({ names }) => names.map(({ name }) => name))), problems }
}

export const objectName = (resource: { readonly kind: string; readonly metadata: Metadata }): string =>
  `${resource.kind} ${objectKey(resource.metadata)}`

/** What clients send for this model when they use no alias. */
export const modelName = ({ metadata, spec }: ModelResource): string => spec.modelName ?? metadata.name

function modelClaims(model: ModelResource): Claimer {
  const own = { name: modelName(model), at: model.spec.modelName === undefined ? 'metadata.name' : 'spec.modelName' }
  const aliases = (model.spec.aliases ?? []).map(({ name }, index) => ({ name, at: `spec.aliases[${index}]` }))
  const names = model.spec.visibility === 'Internal' ? [] : [own, ...aliases]
  return { object: objectName(model), metadata: model.metadata, names }
}

function policyClaims(policy: PolicyResource): Claimer {
  const names = policy.spec.virtualModels.map((name, index) => ({ name, at: `spec.virtualModels[${index}]` }))
  return { object: objectName(policy), metadata: policy.metadata, names }
}
