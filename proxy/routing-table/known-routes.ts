/** Paths that a proxy answers or forwards for every model: no model can offer them as an extra route. */
const KNOWN: ReadonlySet<string> = new Set([
  '/v1/chat/completions',
  '/v1/completions',
  '/v1/responses',
  '/v1/embeddings',
  '/v1/messages',
  '/v1/messages/count_tokens',
  '/v1/rerank',
  '/v1/reranking',
  '/v2/rerank',
  '/rerank',
  '/v1/reranking',
  '/reranking',
  '/reranking',
  '/v1/moderations',
  '/v1/audio/speech',
  '/v1/audio/transcriptions',
  '/v1/audio/translations',
  '/v1/images/generations',
  '/v1/images/edits',
  '/v1/images/variations',
  '/v1/models',
  '/v1/route:explain',
])
const KNOWN_BELOW = ['/v1/models/', '/upstream/']

export const isKnownRoute = (path: string): boolean => KNOWN.has(path) || KNOWN_BELOW.some((start) => path.startsWith(start))
