import { mayUse } from '../routing-table/compile.ts'
import type { CompiledModel } from '../routing-table/compiled.ts'

/** Whether a client may know of this model: a policy that it may use can have targets that it may not ask for by name. */
export const isVisible = ({ entry, namespace }: CompiledModel, clientNamespace: string): boolean =>
  entry.visibility === 'Public' && mayUse(entry.access, namespace, clientNamespace)

/** For messages: those that the client may know of, by name; at most so many. */
export function visibleModels<T extends { readonly model: CompiledModel }>(
  candidates: readonly T[],
  clientNamespace: string,
  atMost: number,
): readonly T[] {
  return candidates.filter(({ model }) => isVisible(model, clientNamespace)).slice(0, atMost)
}
