import type { EndpointStrategyOf } from '../endpoint-strategies/endpoint-strategy.ts'
import { bounded } from './bounded.ts'

/** Requests of one session go to the same endpoint. */
export const session: EndpointStrategyOf = (question) => bounded(question, question.input.facts?.keys?.session(), 'session')
