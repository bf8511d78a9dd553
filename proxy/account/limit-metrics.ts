import type { Registry } from 'prom-client'
import type { Limits } from '../limits/limits.ts'
import type { MeterReading } from '../limits/meter.ts'
import type { CompiledEndpoint, CompiledTable } from '../routing-table/compiled.ts'
import { ReadCounter, ReadGauge, type Reading } from './readings.ts'

export interface LimitSources {
  readonly limits: Limits
  readonly table: () => CompiledTable
  readonly now: () => number
}

/** Series a metric, and of clients: of those the ones that asked last. */
const MAX_SERIES = 500
const MAX_CLIENT_SERIES = 200

/** What is used of limits of ours and of upstreams' quotas, read when scraped. */
export function registerLimitMetrics(registry: Registry, sources: LimitSources, onDropped: (metric: string) => void): void {
  registerModels(registry, sources, onDropped)
  registerClients(registry, sources)
  registerTallies(registry, sources, onDropped)
  registerUpstreams(registry, sources, onDropped)
  new ReadGauge({
    name: 'llama_swap_limit_bookings_open',
    help: 'Bookings of limits whose requests have not ended.',
    registry,
    read: () => [{ labels: {}, value: sources.limits.open }],
  })
}

type Pick = (reading: MeterReading) => number

function registerModels(registry: Registry, { limits, now }: LimitSources, onDropped: (metric: string) => void): void {
  const gauge = (name: string, help: string, value: Pick): void => {
    const read = (): Reading[] => {
      const ofModels = [...limits.meters(now())].filter(({ key }) => key.startsWith('model '))
      const readings = ofModels.map((reading) => ({
        labels: { model: reading.key.split(' ')[1] ?? '', limit: reading.limit },
        value: value(reading),
      }))
      return bounded(readings, () => onDropped(name))
    }
    new ReadGauge({ name, help, labelNames: ['model', 'limit'], registry, read })
  }
  gauge('llama_swap_model_limit_max', "A model's limit, of all proxies together.", ({ max }) => max)
  gauge('llama_swap_model_limit_share', "This proxy's share of it.", ({ cap }) => cap)
  gauge('llama_swap_model_limit_used', 'What this proxy has used of it in the running window, reservations included.', ({ used }) => used)
}

/** Nothing is dropped in the sense of the counter: who has not asked for long has used next to nothing. */
function registerClients(registry: Registry, { limits, now }: LimitSources): void {
  const read = (): Reading[] => {
    const fullest = new Map<string, Reading>()
    const shown = [...limits.meters(now())].filter(({ key }) => key.startsWith('client ')).slice(-MAX_CLIENT_SERIES)
    for (const { key, limit, used, cap } of shown) {
      const [, limiting = '', client = ''] = key.split(' ')
      const policy = limiting.split('/', 2).join('/')
      const series = `${policy} ${client} ${limit}`
      const value = Math.max(cap > 0 ? used / cap : 1, fullest.get(series)?.value ?? 0)
      fullest.set(series, { labels: { policy, client, limit }, value })
    }
    return [...fullest.values()]
  }
  new ReadGauge({
    name: 'llama_swap_client_limit_used_ratio',
    help: "What a client has used of this proxy's share of its limit, where rules have limits of the fullest; of the clients that asked last.",
    labelNames: ['policy', 'client', 'limit'],
    registry,
    read,
  })
}

function registerTallies(registry: Registry, { limits }: LimitSources, onDropped: (metric: string) => void): void {
  const counter = (name: string, help: string, labelNames: readonly string[], read: () => Reading[]): void => {
    new ReadCounter({ name, help, labelNames, registry, read: () => bounded(read(), () => onDropped(name)) })
  }
  counter(
    'llama_swap_limit_admitted_total',
    'Attempts that the limits of their model admitted, and requests that the limits of their client did.',
    ['scope', 'name'],
    () => [...limits.tallies()].map(({ scope, name, tally }) => ({ labels: { scope, name }, value: tally.admitted })),
  )
  counter(
    'llama_swap_limit_refused_total',
    'Requests that were refused or had to wait, as a limit had no room.',
    ['scope', 'name', 'limit'],
    () =>
      [...limits.tallies()].flatMap(({ scope, name, tally }) =>
        [...tally.refused].map(([limit, value]) => ({ labels: { scope, name, limit }, value })),
      ),
  )
  counter(
    'llama_swap_limit_unpriced_total',
    'Answers that cost a client nothing though its cost is limited, as the price of their backend is unknown.',
    ['policy'],
    () =>
      [...limits.tallies()].flatMap(({ scope, name, tally }) =>
        scope === 'client' ? [{ labels: { policy: name }, value: tally.unpriced }] : [],
      ),
  )
}

function registerUpstreams(registry: Registry, { limits, table, now }: LimitSources, onDropped: (metric: string) => void): void {
  const gauge = (name: string, help: string, value: (endpoint: CompiledEndpoint) => number): void => {
    const read = (): Reading[] => {
      const endpoints = [...limits.upstreams()].flatMap((id) => table().endpoints.get(id) ?? [])
      const readings = endpoints.map((endpoint) => ({
        labels: { model: endpoint.model, backend: endpoint.backend.name },
        value: value(endpoint),
      }))
      return bounded(readings, () => onDropped(name))
    }
    new ReadGauge({ name, help, labelNames: ['model', 'backend'], registry, read })
  }
  gauge('llama_swap_upstream_quota_used_ratio', "Used part of an upstream's quota, as its answers say or as declared.", (endpoint) => {
    return limits.quotaPercent(endpoint, now()) / 100
  })
  gauge('llama_swap_upstream_headroom_ratio', 'Part of its share that a backend still gets: below 1 traffic moves away.', (endpoint) => {
    return limits.headroom(endpoint, now())
  })
}

function bounded(readings: Reading[], onDropped: () => void): Reading[] {
  for (let dropped = MAX_SERIES; dropped < readings.length; dropped++) onDropped()
  return readings.slice(0, MAX_SERIES)
}
