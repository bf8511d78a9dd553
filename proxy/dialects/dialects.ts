import { chat } from './chat.ts'
import { completions } from './completions.ts'
import type { Dialect } from './dialect.ts'
import { embeddings } from './embeddings.ts'
import { imageEdits, imageGenerations, imageVariations, speech, transcriptions, translations } from './media.ts'
import { countTokens, messages } from './messages.ts'
import { moderations, rerank } from './plain.ts'
import { responses } from './responses.ts'

/** Every inference route. A new one = a file and a line here. */
const ALL: readonly Dialect[] = [
  chat,
  completions,
  embeddings,
  responses,
  messages,
  countTokens,
  rerank,
  moderations,
  speech,
  transcriptions,
  translations,
  imageGenerations,
  imageEdits,
  imageVariations,
]

const OTHER_SPELLINGS: readonly (readonly [string, Dialect])[] = [
  ['/rerank', rerank],
  ['/v2/rerank', rerank],
  ['/reranking', rerank],
  ['/v1/reranking', rerank],
]

/** By path. A spelling of a route is sent on as the route's own path. */
export const DIALECTS: ReadonlyMap<string, Dialect> = new Map([
  ...ALL.map((dialect) => [dialect.path, dialect] as const),
  ...OTHER_SPELLINGS,
])
