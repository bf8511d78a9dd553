import { errorEnvelope } from '../errors.ts'
import { chatUsage, type Dialect, promptOfTexts } from './dialect.ts'

/** `POST /v1/embeddings`: never streams, has no output tokens. */
export const embeddings: Dialect = {
  route: 'embeddings',
  path: '/v1/embeddings',
  capability: 'embeddings',
  streams: false,
  usageByOption: false,
  sentinel: undefined,
  outputTokenFields: [],
  outputTokenField: () => 'max_tokens',
  readRequest: ({ input }) => ({ needs: ['embeddings'], prompt: promptOfTexts(input) }),
  readEvent: () => ({ commits: true, opens: 0, finishes: 1, usageOnly: false, usage: undefined, error: undefined }),
  readUsage: (answer) => chatUsage(answer['usage']),
  errorEvent: (error) => `data: ${errorEnvelope(error)}\n\n`,
}
