import type { CompiledEndpoint } from '../routing-table/compiled.ts'
import type { Demand } from './demand.ts'
import { type Headers, heardLimits } from './limit-headers.ts'
import { DEFAULT_SHIFT_AT_PERCENT, UpstreamUse } from './upstream.ts'

type ByCredential = Map<string, UpstreamUse>

/** The key of what is sent without a credential. */
const NO_CREDENTIAL = ''
const NO_CREDENTIALS = [NO_CREDENTIAL]

/** What upstreams allow and what is used of it, by backend and credential. An endpoint of which nothing is declared or heard has none. */
export class Upstreams {
  readonly #byBackend = new Map<string, ByCredential>()
  /** The same, found without a key to be made. */
  readonly #byEndpoint = new Map<string, ByCredential>()

  /** Undefined = nothing of this upstream is limited, as far as known. */
  send({ endpoint, credential }: { endpoint: CompiledEndpoint; credential: string | undefined }, demand: Demand, nowMs: number) {
    const known = this.#byEndpoint.get(endpoint.id)
    if (known === undefined && endpoint.backend.quota === undefined) return undefined
    const use = this.#useOf(endpoint, credential)
    return { use, sent: use.send(demand, nowMs) }
  }

  /** The time until which this credential has nothing left; undefined = it has. */
  heard(endpoint: CompiledEndpoint, credential: string | undefined, headers: Headers, nowMs: number): number | undefined {
    const limits = heardLimits(headers, nowMs)
    return limits.length === 0 ? undefined : this.#useOf(endpoint, credential).hear(limits, nowMs)
  }

  /** Whether anything limits this upstream, as far as known. */
  knows({ id, backend }: CompiledEndpoint): boolean {
    return backend.quota !== undefined || this.#byEndpoint.has(id)
  }

  /** 0 to 1: the mean of its credentials. */
  headroom(endpoint: CompiledEndpoint, nowMs: number): number {
    const shiftAt = (endpoint.backend.quota?.shiftAtPercent ?? DEFAULT_SHIFT_AT_PERCENT) / 100
    return this.#mean(endpoint, nowMs, 1, (used) => headroomOf(used, shiftAt))
  }

  /** 0 to 1, likewise. */
  used(endpoint: CompiledEndpoint, nowMs: number): number {
    return this.#mean(endpoint, nowMs, 0, (used) => used)
  }

  #mean({ id, backend }: CompiledEndpoint, nowMs: number, unknown: number, of: (used: number) => number): number {
    const byCredential = this.#byEndpoint.get(id)
    if (byCredential === undefined) return unknown
    const ids = backend.auth?.credentials ?? NO_CREDENTIALS
    let sum = 0
    for (const credential of ids) {
      const use = byCredential.get(credential)
      sum += use === undefined ? unknown : of(use.used(backend.quota, nowMs))
    }
    return sum / ids.length
  }

  #useOf(endpoint: CompiledEndpoint, credential = NO_CREDENTIAL): UpstreamUse {
    const byCredential = this.#byEndpoint.get(endpoint.id) ?? this.#find(endpoint)
    const use = byCredential.get(credential) ?? new UpstreamUse()
    byCredential.set(credential, use)
    return use
  }

  #find({ id, model, backend }: CompiledEndpoint): ByCredential {
    const key = `${model} ${backend.name}`
    const byCredential = this.#byBackend.get(key) ?? new Map<string, UpstreamUse>()
    this.#byBackend.set(key, byCredential)
    this.#byEndpoint.set(id, byCredential)
    return byCredential
  }

  /** Of each backend that is known one endpoint's id. */
  endpoints(): Iterable<string> {
    return new Map([...this.#byEndpoint].map(([id, byCredential]) => [byCredential, id])).values()
  }

  /** Forgets endpoints, backends and credentials that are gone. */
  keep(endpointOf: (id: string) => CompiledEndpoint | undefined): void {
    const backends = new Map<string, readonly string[]>()
    for (const id of this.#byEndpoint.keys()) {
      const endpoint = endpointOf(id)
      if (endpoint === undefined) this.#byEndpoint.delete(id)
      else backends.set(`${endpoint.model} ${endpoint.backend.name}`, endpoint.backend.auth?.credentials ?? NO_CREDENTIALS)
    }
    for (const [key, byCredential] of this.#byBackend) {
      const ids = backends.get(key)
      if (ids === undefined) this.#byBackend.delete(key)
      else for (const credential of byCredential.keys()) if (!ids.includes(credential)) byCredential.delete(credential)
    }
  }
}

/** 1 below `shiftAt`, then falling evenly to 0 at the whole quota. */
function headroomOf(used: number, shiftAt: number): number {
  if (used >= 1) return 0
  return used < shiftAt ? 1 : (1 - used) / (1 - shiftAt)
}
