import type { Registry } from 'prom-client'
import { phaseOf } from '../decide/circuit-view.ts'
import type { CircuitEvent } from '../live/live.ts'
import { CounterCells } from './cells.ts'
import type { Sources } from './live-metrics.ts'
import { ReadGauge, type Reading } from './readings.ts'

/** Each has a line a phase. Those beyond are left out, and counted as dropped at each scrape. */
const MAX_ENDPOINTS = 500
const PHASES = ['closed', 'open', 'half_open', 'ramping'] as const
const STATE = 'llama_swap_circuit_state'

/** What circuits do: their states when scraped, and counts of what happened since the start. */
export class CircuitMetrics {
  readonly #opened: CounterCells<readonly ['model', 'backend', 'reason']>
  readonly #probes: CounterCells<readonly ['model', 'backend', 'result']>
  readonly #panics: CounterCells<readonly ['model', 'backend']>

  constructor(registry: Registry, sources: Sources, onDropped: (metric: string) => void) {
    const shared = { registry, onDropped }
    new ReadGauge({
      name: STATE,
      help: '1 = the circuit of the endpoint is in this state; "half_open" = one probe finds out whether it works again.',
      labelNames: ['model', 'backend', 'endpoint', 'state'],
      registry,
      read: () => states(sources, () => onDropped(STATE)),
    })
    this.#opened = new CounterCells({
      ...shared,
      name: 'llama_swap_circuit_opened_total',
      help: 'Circuits that opened; reason is "refused", "in_a_row", "failure_share" or "half_open" (its probe failed).',
      labelNames: ['model', 'backend', 'reason'],
    })
    this.#probes = new CounterCells({
      ...shared,
      name: 'llama_swap_circuit_probes_total',
      help: 'Probes of half-open circuits and of disabled endpoints; result is "closed", "reopened" or "inconclusive".',
      labelNames: ['model', 'backend', 'result'],
    })
    this.#panics = new CounterCells({
      ...shared,
      name: 'llama_swap_panic_attempts_total',
      help: 'Attempts at endpoints that admit none, as nothing else was left.',
      labelNames: ['model', 'backend'],
    })
  }

  record(event: CircuitEvent): void {
    const { model, backend } = event.endpoint
    switch (event.kind) {
      case 'opened':
        return this.#opened.add([model, backend.name, event.trip])
      case 'probed':
        return this.#probes.add([model, backend.name, event.result])
      case 'panic':
        return this.#panics.add([model, backend.name])
    }
  }

  tidy(isKnown: (model: string) => boolean): void {
    for (const metric of [this.#opened, this.#probes, this.#panics]) metric.tidy('model', isKnown)
  }
}

function states({ live, table, now }: Sources, onDropped: () => void): Reading[] {
  const nowMs = now()
  const readings: Reading[] = []
  for (const { id, model, backend } of table().endpoints.values()) {
    if (readings.length >= MAX_ENDPOINTS * PHASES.length) {
      onDropped()
      continue
    }
    const phase = phaseOf(live.endpoint(id), nowMs)
    for (const state of PHASES)
      readings.push({ labels: { model, backend: backend.name, endpoint: id, state }, value: Number(state === phase) })
  }
  return readings
}
