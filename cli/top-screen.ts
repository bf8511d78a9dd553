/** What `llama-swap top` shows: rates of models and what their endpoints do, from samples of an operator's state. PURE. */
import { type EndpointState, type OperatorState, podOf, type UsageState } from './operator-state.ts'

export interface Sample {
  readonly atMs: number
  readonly state: OperatorState
}

/** Per second. */
interface Rates {
  readonly requests: number
  readonly errors: number
  readonly tokens: number
}

interface ModelRow {
  readonly model: string
  /** Undefined = not known yet: one sample, or the counting has begun anew. */
  readonly rates: Rates | undefined
  readonly endpoints: readonly EndpointState[]
}

interface TopLimits {
  /** Lines at most. */
  readonly rows: number
  readonly columns: number
}

/** Models by traffic: requests a second, then requests in flight, then name. `before` is the older sample. */
function topRows(before: Sample | undefined, now: Sample): readonly ModelRow[] {
  const endpoints = Map.groupBy(now.state.endpoints, ({ model }) => model)
  const models = new Set([...endpoints.keys(), ...now.state.usage.keys()])
  const rows = [...models].map((model) => ({ model, rates: ratesOf(model, before, now), endpoints: endpoints.get(model) ?? [] }))
  return rows.toSorted(byTraffic)
}

function ratesOf(model: string, before: Sample | undefined, now: Sample): Rates | undefined {
  if (before === undefined || before.state.identity !== now.state.identity || now.atMs <= before.atMs) return undefined
  const [from, to] = [before.state.usage.get(model) ?? NONE, now.state.usage.get(model) ?? NONE]
  if (to.requests < from.requests) return undefined
  const seconds = (now.atMs - before.atMs) / 1000
  const rate = (what: keyof UsageState): number => Math.max(0, to[what] - from[what]) / seconds
  return { requests: rate('requests'), errors: rate('errors'), tokens: rate('tokens') }
}

const NONE: UsageState = { requests: 0, errors: 0, tokens: 0 }

const inFlightOf = (endpoints: readonly EndpointState[]): number => endpoints.reduce((sum, { inFlight }) => sum + inFlight, 0)

const byTraffic = (a: ModelRow, b: ModelRow): number =>
  (b.rates?.requests ?? 0) - (a.rates?.requests ?? 0) ||
  inFlightOf(b.endpoints) - inFlightOf(a.endpoints) ||
  (a.model < b.model ? -1 : Number(a.model > b.model))

const HEAD = `${'requests/s'.padStart(11)}${'errors/s'.padStart(10)}${'tokens/s'.padStart(10)}${'in flight'.padStart(11)}  state`
const STATE_COLUMNS = 10
/** Where a circuit is not closed. */
const LONG_STATE_COLUMNS = 22
/** What is left of the line is the name's. */
const NUMBER_COLUMNS = 11 + 10 + 10 + 11

export function topScreen(before: Sample | undefined, now: Sample, { rows, columns }: TopLimits): readonly string[] {
  const { install, identity, epoch, gateways, sidecars } = now.state
  const stateColumns = now.state.endpoints.some(({ circuits }) => circuits.size > 0) ? LONG_STATE_COLUMNS : STATE_COLUMNS
  const width = Math.max(12, columns - NUMBER_COLUMNS - stateColumns)
  const models = topRows(before, now)
  const head = [
    `${install}  leader ${podOf(identity)}, epoch ${epoch ?? '–'}  gateways ${gateways}, sidecars ${sidecars}`,
    '',
    `${cut('LlamaModel', width)}${HEAD}`,
  ]
  const body = models.flatMap((row) => [modelLine(row, width), ...row.endpoints.toSorted(byLoad).map((one) => endpointLine(one, width))])
  if (models.length === 0) body.push('No models.')
  const room = Math.max(1, rows - head.length)
  const shown = body.length <= room ? body : [...body.slice(0, room - 1), `and ${body.length - room + 1} more lines`]
  return [...head, ...shown].map((line) => line.slice(0, columns).trimEnd())
}

const byLoad = (a: EndpointState, b: EndpointState): number => b.inFlight - a.inFlight || (a.id < b.id ? -1 : Number(a.id > b.id))

function modelLine({ model, rates, endpoints }: ModelRow, width: number): string {
  const up = endpoints.filter((one) => stateOf(one) !== 'down').length
  return [
    cut(model, width),
    rateText(rates?.requests).padStart(11),
    rateText(rates?.errors).padStart(10),
    rateText(rates?.tokens).padStart(10),
    String(inFlightOf(endpoints)).padStart(11),
    `  ${up}/${endpoints.length} up`,
  ].join('')
}

const endpointLine = (endpoint: EndpointState, width: number): string =>
  `${cut(`  ${endpoint.backend} ${endpoint.origin}`, width)}${''.padStart(31)}${String(endpoint.inFlight).padStart(11)}  ${stateText(endpoint)}`

/** "up, open": what most gateways' circuits say, where they are not closed. */
function stateText(endpoint: EndpointState): string {
  const [circuit] = [...endpoint.circuits].toSorted(([, a], [, b]) => b - a)
  return circuit === undefined ? stateOf(endpoint) : `${stateOf(endpoint)}, ${plain(circuit[0]).replace('_', '-')}`
}

/** A terminal obeys control characters. */
const plain = (text: string): string => text.replace(/[^\x20-\x7e]/g, ' ')

/** As the operator counts: one that nobody knows anything of is tried. */
function stateOf({ up, down }: EndpointState): 'up' | 'down' | 'partly up' | 'unknown' {
  if (up > 0) return down > 0 ? 'partly up' : 'up'
  return down > 0 ? 'down' : 'unknown'
}

function rateText(rate: number | undefined): string {
  if (rate === undefined) return '–'
  return rate < 100 ? rate.toFixed(1) : rate.toFixed(0)
}

const cut = (text: string, width: number): string => (text.length >= width ? `${text.slice(0, width - 2)}… ` : text.padEnd(width))
