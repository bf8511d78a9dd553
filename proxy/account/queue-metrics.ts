import type { Registry } from 'prom-client'
import type { Queued } from '../hold/holds.ts'
import { ReadGauge } from './readings.ts'

export interface QueueSources {
  /** By line, those only in which somebody waits. */
  readonly queues: () => Iterable<Queued>
}

/** Lines beyond this many are summed up in "_other". */
const MAX_LINES = 500
const OTHER = '_other'

/** What waits right now. A line is a model, or a client's limit ("client POLICY[/RULE] CLIENT LIMIT"). */
export function registerQueueMetrics(registry: Registry, sources: QueueSources): void {
  const gauge = (name: string, help: string, value: (queued: Queued) => number): void => {
    const read = () => [...summed(sources.queues(), value)].map(([line, sum]) => ({ labels: { line }, value: sum }))
    new ReadGauge({ name, help, labelNames: ['line'], registry, read })
  }
  gauge('llama_swap_queue_requests', 'Requests that wait for a slot or for room in a limit; absent = none.', ({ requests }) => requests)
  gauge('llama_swap_queue_bytes', 'Bytes of the bodies of requests that wait.', ({ bytes }) => bytes)
}

function summed(queues: Iterable<Queued>, value: (queued: Queued) => number): ReadonlyMap<string, number> {
  const sums = new Map<string, number>()
  for (const queued of queues) {
    const line = sums.size < MAX_LINES ? queued.key : OTHER
    sums.set(line, (sums.get(line) ?? 0) + value(queued))
  }
  return sums
}
