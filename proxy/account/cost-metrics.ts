import type { Registry } from 'prom-client'
import type { RequestRecord } from '../serve/lifecycle.ts'
import { CounterCells } from './cells.ts'

/** What answers have cost, by the prices that held when they ended. An attempt that gave the client nothing costs nothing. */
export class CostMetrics {
  readonly #spent
  readonly #unpriced

  constructor(registry: Registry, onDropped: (metric: string) => void) {
    this.#spent = new CounterCells({
      registry,
      onDropped,
      name: 'llama_swap_cost_usd_total',
      help: 'What answers have cost in USD; policy and client are "" for a model asked by name and for requests without a key.',
      labelNames: ['model', 'policy', 'client'],
    })
    this.#unpriced = new CounterCells({
      registry,
      onDropped,
      name: 'llama_swap_answers_unpriced_total',
      help: 'Answers that cost an unknown amount: no price is known, or nobody said how many tokens they had.',
      labelNames: ['model'],
    })
  }

  record({ ending, client }: RequestRecord): void {
    if (ending?.sent === undefined) return
    const policy = ending.sent.rule.policy?.entry.ref ?? ''
    for (const { model, outcome, costUsd } of ending.attempts) {
      if (costUsd !== undefined) this.#spent.add([model, policy, client?.name ?? ''], costUsd)
      else if (outcome === 'answered') this.#unpriced.add([model])
    }
  }

  tidy(isKnown: (model: string) => boolean): void {
    this.#spent.tidy('model', isKnown)
    this.#unpriced.tidy('model', isKnown)
  }
}
