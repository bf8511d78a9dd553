/** Routes with one question and one answer in JSON: no stream, no output tokens. */
import type { Route } from '../decide/input.ts'
import { errorEnvelope } from '../errors.ts'
import type { Capability } from '../routing-table/v1.ts'
import { chatUsage, type Dialect, promptOfTexts } from './dialect.ts'
import { isJson, type Json } from './json.ts'

export function plainDialect(
  route: Route,
  path: string,
  { capability, texts }: { capability: Capability | undefined; texts: (body: Json) => readonly unknown[] },
): Dialect {
  return {
    route,
    path,
    capability,
    streams: false,
    usageByOption: false,
    sentinel: undefined,
    outputTokenFields: [],
    outputTokenField: () => 'max_tokens',
    readRequest: (body) => ({ needs: capability === undefined ? [] : [capability], prompt: promptOfTexts(...texts(body)) }),
    readEvent: () => ({ commits: true, opens: 0, finishes: 1, usageOnly: false, usage: undefined, error: undefined }),
    readUsage: (answer) => chatUsage(answer['usage']),
    errorEvent: (error) => `data: ${errorEnvelope(error)}\n\n`,
  }
}

/** `POST /v1/rerank`, the spelling that every engine with the route knows; the others lead here. */
export const rerank: Dialect = plainDialect('rerank', '/v1/rerank', {
  capability: 'rerank',
  texts: ({ query, documents, texts }) => [query, textsOf(documents ?? texts)],
})

/** Texts, or objects with a text. */
function textsOf(documents: unknown): readonly unknown[] {
  return Array.isArray(documents) ? documents.map((one: unknown) => (isJson(one) ? one['text'] : one)) : []
}

/** `POST /v1/moderations`. No capability has its name: whoever names a model for it has chosen the model. */
export const moderations: Dialect = plainDialect('moderations', '/v1/moderations', {
  capability: undefined,
  texts: ({ input }) => [input],
})
