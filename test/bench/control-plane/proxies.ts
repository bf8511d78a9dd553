/**
 * A process of many proxies: each is the product's own receiving side (TLS, token, entries, compiled table), without what serves requests.
 * In: `start` and `expect`. Out: when the last of them had the table, and when each expected change had reached the last of them.
 */
import { Push } from '../../../proxy/receive/push.ts'
import { Receiver } from '../../../proxy/receive/receiver.ts'
import type { EndpointReport } from '../../../proxy/routing-table/frames.ts'
import type { CompiledModel, CompiledTable } from '../../../proxy/routing-table/index.ts'
import { type Effect, type FromProxies, nowMs, type ProxyFiles, parseToProxies, type ToProxies } from './messages.ts'

interface Awaited {
  readonly effect: Effect
  readonly seenBy: Set<number>
}

const tell = (message: FromProxies): void => void process.send?.(JSON.stringify(message))

const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: (message: string) => console.error(message) }

class Proxies {
  readonly #start: ToProxies & { what: 'start' }
  readonly #whole = new Set<number>()
  #awaited: readonly Awaited[] = []

  constructor(start: ToProxies & { what: 'start' }) {
    this.#start = start
  }

  async run(): Promise<void> {
    await Promise.all(this.#start.proxies.map((files, index) => this.#open(files, index)))
  }

  expect(effects: readonly Effect[]): void {
    this.#awaited = effects.map((effect) => ({ effect, seenBy: new Set() }))
    tell({ what: 'expecting' })
  }

  async #open({ mode, tokenFile }: ProxyFiles, index: number): Promise<void> {
    const { operator, caFile } = this.#start
    let before: CompiledTable | undefined
    const swap = (table: CompiledTable): void => {
      this.#swapped(index, table, before)
      before = table
    }
    const receiver = new Receiver({ swap, refused: (errors) => silent.error(errors.join('\n')) })
    const push = new Push({
      operators: [new URL(operator)],
      caFile,
      tokenFile,
      mode,
      clientTokenFile: undefined,
      lastKnownGood: undefined,
      keysGoodForMs: Number.POSITIVE_INFINITY,
      program: 'benchmark',
      receiver,
      endpoints: () => allUp(receiver),
      logger: silent,
    })
    await push.start()
  }

  #swapped(index: number, table: CompiledTable, before: CompiledTable | undefined): void {
    const atMs = nowMs()
    if (table.models.size >= this.#start.models && table.endpoints.size >= this.#start.endpoints) this.#isWhole(index, atMs)
    for (const { effect, seenBy } of this.#awaited) {
      const model = table.models.get(effect.ref)
      if (model === undefined || model === before?.models.get(effect.ref) || seenBy.has(index) || !shows(model, effect)) continue
      seenBy.add(index)
      if (seenBy.size === this.#start.proxies.length) tell({ what: 'effective', id: effect.id, atMs })
    }
  }

  #isWhole(index: number, atMs: number): void {
    if (this.#whole.has(index)) return
    this.#whole.add(index)
    if (this.#whole.size === this.#start.proxies.length) tell({ what: 'synced', atMs })
  }
}

const shows = ({ entry, endpoints }: CompiledModel, { weight, origin }: Effect): boolean =>
  weight === undefined ? endpoints.some((endpoint) => endpoint.origin === origin) : entry.weight === weight

/** What a prober would have found. */
function* allUp({ current }: Receiver): Generator<EndpointReport, void, undefined> {
  for (const { id } of current.endpoints.values()) yield { id, inFlight: 0, up: true }
}

let proxies: Proxies | undefined
process.on('message', (message) => {
  const parsed = parseToProxies(message)
  if (parsed.what === 'expect') return proxies?.expect(parsed.effects)
  proxies = new Proxies(parsed)
  void proxies.run()
})
process.on('disconnect', () => process.exit(0))
