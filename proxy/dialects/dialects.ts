import { chat } from './chat.ts'
import { completions } from './completions.ts'
import type { Dialect } from './dialect.ts'
import { embeddings } from './embeddings.ts'
import { responses } from './responses.ts'

/** Every inference route, by path. A new one = a file and a line here. */
export const DIALECTS: ReadonlyMap<string, Dialect> = new Map(
  [chat, completions, embeddings, responses].map((dialect) => [dialect.path, dialect]),
)
