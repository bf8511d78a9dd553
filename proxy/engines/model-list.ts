/** The OpenAI model list, `{ object: 'list', data: [{ id, … }] }`, in the dialects of the engines. */
import type { Capability } from '../routing-table/v1.ts'
import type { ModelFacts } from './engine.ts'
import { fields, items, known, positive, text } from './fields.ts'

export interface ModelRow {
  id: string
  fields: Readonly<Record<string, unknown>>
}

/** Rows of a model list; empty when the value is none. */
export function modelRows(json: unknown): readonly ModelRow[] {
  return items(fields(json)['data']).flatMap((row) => {
    const id = text(fields(row)['id'])
    return id === undefined ? [] : [{ id, fields: fields(row) }]
  })
}

/** Is this a model list at all? An empty one is. */
export function isModelList(json: unknown): boolean {
  return Array.isArray(fields(json)['data'])
}

/** Facts that a plain list holds: whether the model is there, and what its name suggests. */
export function plainFacts(json: unknown, upstreamModel: string): ModelFacts {
  const upstreamModelFound = modelRows(json).some((row) => row.id === upstreamModel)
  return known<ModelFacts>({ upstreamModelFound, capabilities: purposeOf(upstreamModel) })
}

/** `max_model_len`; a LoRA row has none and takes its parent's. */
export function maxModelLength(rows: readonly ModelRow[], row: ModelRow | undefined): number | undefined {
  const own = positive(row?.fields['max_model_len'])
  if (own !== undefined || row === undefined) return own
  return positive(rows.find((other) => other.id === text(row.fields['parent']))?.fields['max_model_len'])
}

/**
 * Models that are not for chat are named for what they do ("nomic-embed-text", "bge-reranker-v2", "whisper-large-v3"), while no engine's list says so.
 * Undefined = nothing in the name, so a chat model.
 */
export function purposeOf(modelName: string): readonly Capability[] | undefined {
  if (/rerank/i.test(modelName)) return ['rerank']
  if (/whisper|transcribe|(^|[/_-])tts([_-]|$)|kokoro/i.test(modelName)) return ['audio']
  if (/embed|(^|[/_-])(bge|e5|gte|minilm)[_-]/i.test(modelName)) return ['embeddings']
  return undefined
}

/** Does the name say that the model sees images? Used where the engine does not tell. */
export function seesImages(modelName: string): boolean {
  return /(^|[/:._-])(vision|llava|pixtral|moondream|minicpm-v)|vlm?($|[:._-])/i.test(modelName)
}
