import type { EndpointStrategyOf } from '../endpoint-strategies/endpoint-strategy.ts'
import { bounded } from './bounded.ts'

/** Prompts that begin alike go to the same endpoint, whose cache has that beginning. */
export const prefixHash: EndpointStrategyOf = (question) => bounded(question, question.input.facts?.keys?.prefix(), 'prefix hash')
