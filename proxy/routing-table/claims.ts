import type { Claim, CompiledModel, CompiledPolicy, CompiledTable } from './compiled.ts'
import type { Model, Policy, Ref } from './v1.ts'

type Claims = CompiledTable['claims']
type Holders = Pick<CompiledTable, 'models' | 'policies'>

/** Refs of what is another object than before, or came, or went. */
export interface ChangedHolders {
  readonly models: ReadonlySet<Ref>
  readonly policies: ReadonlySet<Ref>
}

/** Name → who answers to it. Who asks for the same names as before only takes the place of what it was: names keep their order. */
export function compileClaims(now: Holders, changed: ChangedHolders, before: Holders & { readonly claims: Claims }): Claims {
  if (changed.models.size === 0 && changed.policies.size === 0) return before.claims
  return isSameClaimants(now, changed, before) ? withNewHolders(now, changed, before.claims) : claimsOfAll(now)
}

const isSameClaimants = (now: Holders, changed: ChangedHolders, before: Holders): boolean =>
  [...changed.models].every((ref) => claimsSame(before.models.get(ref)?.entry, now.models.get(ref)?.entry)) &&
  [...changed.policies].every((ref) => claimsSame(before.policies.get(ref)?.entry, now.policies.get(ref)?.entry))

function claimsSame(a: Model | Policy | undefined, b: Model | Policy | undefined): boolean {
  if (a === undefined || b === undefined) return false
  return (
    a.createdAtMs === b.createdAtMs &&
    isInternal(a) === isInternal(b) &&
    a.names.length === b.names.length &&
    a.names.every((name, index) => name === b.names[index])
  )
}

const isInternal = (entry: Model | Policy): boolean => 'visibility' in entry && entry.visibility === 'Internal'

function withNewHolders(now: Holders, changed: ChangedHolders, before: Claims): Claims {
  const claims = new Map(before)
  const replace = (claim: Claim): void => {
    const { ref, names } = holderOf(claim).entry
    for (const name of names) {
      const list = claims.get(name)
      if (list !== undefined)
        claims.set(
          name,
          list.map((one) => (one.kind === claim.kind && holderOf(one).entry.ref === ref ? claim : one)),
        )
    }
  }
  for (const ref of changed.models) {
    const model = now.models.get(ref)
    if (model !== undefined && !isInternal(model.entry)) replace(claimOfModel(model))
  }
  for (const ref of changed.policies) {
    const policy = now.policies.get(ref)
    if (policy !== undefined) replace(claimOfPolicy(policy))
  }
  return claims
}

function claimsOfAll({ models, policies }: Holders): Claims {
  const claims = new Map<string, Claim[]>()
  const add = (claim: Claim): void => {
    for (const name of holderOf(claim).entry.names) {
      const list = claims.get(name)
      if (list === undefined) claims.set(name, [claim])
      else list.push(claim)
    }
  }
  for (const model of [...models.values()].sort(byAge)) if (!isInternal(model.entry)) add(claimOfModel(model))
  for (const policy of [...policies.values()].sort(byAge)) add(claimOfPolicy(policy))
  for (const list of claims.values()) if (list.length > 1) list.sort((a, b) => byAge(holderOf(a), holderOf(b)))
  return claims
}

const claimOfModel = (model: CompiledModel): Claim =>
  Object.freeze({ kind: 'model', namespace: model.namespace, access: model.entry.access, model })

const claimOfPolicy = (policy: CompiledPolicy): Claim =>
  Object.freeze({ kind: 'policy', namespace: policy.namespace, access: policy.entry.access, policy })

const holderOf = (claim: Claim): CompiledModel | CompiledPolicy => (claim.kind === 'model' ? claim.model : claim.policy)

type Aged = { readonly entry: { readonly ref: Ref; readonly createdAtMs?: number } }

/** The older first, those without an age last; then by ref. */
function byAge({ entry: a }: Aged, { entry: b }: Aged): number {
  const [ageA = Number.MAX_VALUE, ageB = Number.MAX_VALUE] = [a.createdAtMs, b.createdAtMs]
  if (ageA !== ageB) return ageA - ageB
  return a.ref === b.ref ? 0 : a.ref < b.ref ? -1 : 1
}
