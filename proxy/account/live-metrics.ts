import type { Registry } from 'prom-client'
import type { Limits } from '../limits/limits.ts'
import type { EndpointState } from '../live/endpoint-state.ts'
import type { CompiledEndpoint, CompiledTable } from '../routing-table/compiled.ts'
import { ReadGauge, type Reading } from './readings.ts'

/** Endpoints beyond this many are left out, and counted as dropped at each scrape. */
const MAX_ENDPOINTS = 500
/** Three missed scrapes of the default five seconds: what is older is unknown. */
const DEFAULT_STALE_AFTER_MS = 15_000

export interface Sources {
  readonly live: { endpoint(id: string): EndpointState; readonly limits: Limits }
  readonly table: () => CompiledTable
  /** Bytes of request bodies held at the moment. */
  readonly held: { readonly bytes: number }
  readonly version: string
  /** Milliseconds since the epoch: the clock of the live state. */
  readonly now: () => number
}

const one = (value: number): readonly Reading[] => [{ labels: {}, value }]

/** Gauges of what is known right now, read from live state and table when scraped. An endpoint's unknown value is absent, never 0. */
export function registerLiveMetrics(registry: Registry, sources: Sources, onDropped: (metric: string) => void): void {
  registerTableMetrics(registry, sources)
  for (const { name, help, value } of ENDPOINT_GAUGES) {
    const read = (): Reading[] => endpointReadings(sources, value, () => onDropped(name))
    new ReadGauge({ name, help, labelNames: ['model', 'backend', 'endpoint'], registry, read })
  }
}

function registerTableMetrics(registry: Registry, { table, held, version }: Sources): void {
  const gauge = (name: string, help: string, value: () => number) => new ReadGauge({ name, help, registry, read: () => one(value()) })
  gauge('llama_swap_table_epoch', 'Epoch of the routing table in use: who made it.', () => table().table.epoch)
  gauge('llama_swap_table_seq', 'Number of the routing table in use within its epoch.', () => table().table.seq)
  gauge('llama_swap_table_models', 'LlamaModels in the routing table in use.', () => table().models.size)
  gauge('llama_swap_table_endpoints', 'Endpoints in the routing table in use.', () => table().endpoints.size)
  gauge('llama_swap_held_bytes', 'Bytes of request bodies held at the moment.', () => held.bytes)
  const build = [{ labels: { version, node: process.versions.node }, value: 1 }]
  new ReadGauge({
    name: 'llama_swap_build_info',
    help: 'Always 1; the labels tell what runs.',
    labelNames: ['version', 'node'],
    registry,
    read: () => build,
  })
}

interface EndpointGauge {
  readonly name: string
  readonly help: string
  /** Undefined = unknown. */
  readonly value: (state: EndpointState, at: { readonly nowMs: number; readonly fresh: boolean }) => number | undefined
}

const ENDPOINT_GAUGES: readonly EndpointGauge[] = [
  {
    name: 'llama_swap_endpoint_in_flight',
    help: 'Requests of this proxy that the endpoint is answering.',
    value: ({ inFlight }) => inFlight,
  },
  {
    name: 'llama_swap_endpoint_ready',
    help: '1 = its health probe succeeds, 0 = it fails; absent = not probed.',
    value: ({ ready }) => (ready === undefined ? undefined : Number(ready)),
  },
  {
    name: 'llama_swap_endpoint_cooling',
    help: '1 = cooling down after failures: used only when nothing else is left.',
    value: ({ coolUntilMs }, { nowMs }) => Number(coolUntilMs > nowMs),
  },
  {
    name: 'llama_swap_endpoint_waiting_requests',
    help: "Requests in the engine's own queue, as it says.",
    value: ({ waiting }, { fresh }) => (fresh ? waiting : undefined),
  },
  {
    name: 'llama_swap_endpoint_running_requests',
    help: 'Requests the engine is working on, as it says.',
    value: ({ running }, { fresh }) => (fresh ? running : undefined),
  },
  {
    name: 'llama_swap_endpoint_cache_used_ratio',
    help: "Used part of the engine's KV cache, 0 to 1, as it says.",
    value: ({ cacheUsed }, { fresh }) => (fresh ? cacheUsed : undefined),
  },
  {
    name: 'llama_swap_probe_duration_seconds',
    help: 'Time of the last answered health probe.',
    value: ({ responseMs }) => (responseMs === undefined ? undefined : responseMs / 1000),
  },
]

function endpointReadings({ live, table, now }: Sources, pick: EndpointGauge['value'], onDropped: () => void): Reading[] {
  const nowMs = now()
  const readings: Reading[] = []
  for (const endpoint of table().endpoints.values()) {
    const state = live.endpoint(endpoint.id)
    const value = pick(state, {
      nowMs,
      fresh: nowMs - state.signalsAtMs <= (endpoint.backend.signals.staleAfterMs ?? DEFAULT_STALE_AFTER_MS),
    })
    if (value === undefined) continue
    if (readings.length < MAX_ENDPOINTS) readings.push({ labels: labelsOf(endpoint), value })
    else onDropped()
  }
  return readings
}

const labelsOf = ({ id, model, backend }: CompiledEndpoint) => ({ model, backend: backend.name, endpoint: id })
