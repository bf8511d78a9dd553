import type { ExtraRoute } from '../routing-table/v1.ts'
import type { Dialect } from './dialect.ts'
import { plainDialect } from './plain.ts'
import { responses } from './responses.ts'

const PLAIN = plainDialect('other', '', { capability: undefined, texts: () => [] })

/** A route that we know nothing of but its model: what it answers passes as it comes. */
export const otherDialect = (method: ExtraRoute['method'], path: string): Dialect => ({
  ...PLAIN,
  path,
  method,
  bodies: 'either',
  passes: () => true,
  readUsage: () => undefined,
  errorEvent: responses.errorEvent,
})
