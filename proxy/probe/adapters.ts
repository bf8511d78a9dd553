import type { Alias } from '../routing-table/v1.ts'

/** What an engine calls a model's adapters: aliases that go by another name there. At most 16, as a model has no more aliases. */
export const adaptersOf = (aliases: readonly Alias[] = []): readonly string[] =>
  aliases.flatMap(({ upstreamModel }) => (upstreamModel === undefined ? [] : [upstreamModel]))
