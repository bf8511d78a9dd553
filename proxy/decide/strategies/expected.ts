import { type Expected, expectedOf } from '../outlook.ts'
import { bucketOf, outputTokensOf } from '../pace-view.ts'
import type { Question } from './strategy.ts'

/** Of each candidate's model how long this request is going to take there. */
export function expectedFor({ views, outlook, input: { facts, nowMs } }: Question): Expected {
  const bucket = bucketOf(facts.promptTokens)
  const outputTokens = outputTokensOf(facts.maxOutputTokens)
  if (outlook.views === views) return outlook.expected(bucket, outputTokens, nowMs)
  return expectedOf(views, { bucket, outputTokens, nowMs })
}
