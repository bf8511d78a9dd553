import type { EndpointReport, ProxyFrame, UsageReport } from '../routing-table/frames.ts'

/** One settled request, as far as an operator is told of it. */
export interface Settled {
  /** Of the model that the last attempt went to. */
  readonly ref: string
  /** It failed, and not by the client's fault. */
  readonly failed: boolean
  readonly inputTokens: number
  readonly outputTokens: number
}

const ENDPOINTS_PER_FRAME = 2_000
const MAX_ENDPOINTS = 20_000
const MAX_MODELS = 10_000

/**
 * What the operator is told each second: endpoints that changed since it was told last, those that are gone, and what was used since.
 * Usage goes up once: what was under way when a connection broke is lost. Bound: 20,000 endpoints, 10,000 models, 2,000 endpoints a frame.
 */
export class Reports {
  readonly #endpoints: () => Iterable<EndpointReport>
  #told = new Map<string, EndpointReport>()
  #usage = new Map<string, UsageReport>()

  constructor(endpoints: () => Iterable<EndpointReport>) {
    this.#endpoints = endpoints
  }

  settled({ ref, failed, inputTokens, outputTokens }: Settled): void {
    const sum = this.#usage.get(ref)
    if (sum === undefined && this.#usage.size >= MAX_MODELS) return
    this.#usage.set(ref, {
      ref,
      requests: (sum?.requests ?? 0) + 1,
      errors: (sum?.errors ?? 0) + Number(failed),
      inputTokens: (sum?.inputTokens ?? 0) + inputTokens,
      outputTokens: (sum?.outputTokens ?? 0) + outputTokens,
    })
  }

  /** `all`: to one that has been told nothing. No frame where there is nothing to tell. */
  frames(all: boolean): readonly ProxyFrame[] {
    const before = all ? new Map<string, EndpointReport>() : this.#told
    this.#told = new Map()
    const changed: EndpointReport[] = []
    for (const now of this.#endpoints()) {
      if (this.#told.size >= MAX_ENDPOINTS) break
      this.#told.set(now.id, now)
      if (!same(before.get(now.id), now)) changed.push(now)
    }
    const gone = [...before.keys()].filter((id) => !this.#told.has(id))
    const usage = [...this.#usage.values()]
    this.#usage.clear()
    return cut(changed, gone, usage)
  }
}

function cut(endpoints: readonly EndpointReport[], gone: readonly string[], usage: readonly UsageReport[]): ProxyFrame[] {
  const frames: ProxyFrame[] = []
  const rest = Math.max(endpoints.length, gone.length, usage.length)
  for (let at = 0; at < rest; at += ENDPOINTS_PER_FRAME) {
    const part = <T>(items: readonly T[]): readonly T[] => items.slice(at, at + ENDPOINTS_PER_FRAME)
    frames.push({ type: 'report', endpoints: part(endpoints), gone: part(gone), usage: part(usage) })
  }
  return frames
}

const same = (a: EndpointReport | undefined, b: EndpointReport): boolean =>
  a !== undefined &&
  a.up === b.up &&
  a.inFlight === b.inFlight &&
  a.engine === b.engine &&
  a.circuit === b.circuit &&
  a.because === b.because
