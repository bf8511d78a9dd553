import type { AttemptOutcome } from './attempt.ts'
import type { Run, Sent } from './run.ts'

/** Routes whose usage counts the prompt once, as it was sent. */
const COUNT_ONCE: ReadonlySet<string> = new Set(['chat', 'completions', 'responses', 'messages', 'embeddings'])

/** How long the prompt was by the engine's own count, from its usage or from its refusal of one that is too long. */
export function learnTokens({ live, facts: { prompt, route } }: Run, { endpoint }: Sent, outcome: AttemptOutcome): void {
  if (prompt === undefined || !COUNT_ONCE.has(route)) return
  const reported =
    outcome.kind === 'answered' ? outcome.usage?.inputTokens : outcome.kind === 'failed' ? outcome.failure.promptTokens : undefined
  if (reported !== undefined) live.tokens.learn(endpoint.model, prompt, reported)
}
