import { resolveName, visibleNames } from '../routing-table/compile.ts'
import type { Claim, CompiledTable } from '../routing-table/compiled.ts'

/** One row of `GET /v1/models`. */
export interface ModelRow {
  readonly id: string
  readonly object: 'model'
  readonly created: 0
  readonly owned_by: 'llama-swap'
  readonly llama_swap: { readonly kind: 'model' | 'virtual'; readonly name: string }
}

const row = (id: string, claim: Claim): ModelRow => ({
  id,
  object: 'model',
  created: 0,
  owned_by: 'llama-swap',
  llama_swap: claim.kind === 'model' ? { kind: 'model', name: claim.model.entry.ref } : { kind: 'virtual', name: claim.policy.entry.ref },
})

/** Every name the client may send, virtual ones and aliases too. */
export const listModels = (table: CompiledTable, clientNamespace: string): ModelRow[] =>
  visibleNames(table, clientNamespace).map(({ name, claim }) => row(name, claim))

export function findModel(table: CompiledTable, name: string, clientNamespace: string): ModelRow | undefined {
  const claim = resolveName(table, name, clientNamespace)
  return claim === undefined ? undefined : row(name, claim)
}
