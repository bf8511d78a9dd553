/**
 * Asks our own engines how they are. In: the endpoints of the current routing table, at every swap. Out: a report for each after every
 * probe, and when asked for, what a request for one token came to. It may not ask a backend that is billed per call or has a credential,
 * may not load, wake or swap a model (one token is asked only of what requests were sent to just now), and decides nothing: who reads the
 * reports does.
 */

import { adaptersOf } from './adapters.ts'
import { type ProbeClock, systemClock } from './clock.ts'
import { type AddressGuard, EndpointProbe, type ProbeContext } from './endpoint-probe.ts'
import { Gate } from './gate.ts'
import type { ProbedEndpoint, ProbeReport, RetestReport } from './report.ts'

const AT_ONCE = 32

export interface ProberOptions {
  /** Called once a probe; must not throw. */
  onReport(report: ProbeReport): void
  /** Called once a re-test; must not throw. */
  onRetest?(report: RetestReport): void
  /** 0..1, for the jitter of ±20 % that keeps proxies from probing in step. */
  random(): number
  clock?: ProbeClock
  /** Absent = any address. */
  addresses?: AddressGuard
}

interface Running {
  /** As it was last described. */
  of: ProbedEndpoint
  /** Of the last `apply` that had it. */
  round: number
  readonly settings: string
  readonly probe: EndpointProbe
}

export class Prober {
  readonly #context: ProbeContext
  readonly #running = new Map<string, Running>()
  readonly #stopping = new Set<Promise<void>>()
  #round = 0

  constructor(options: ProberOptions) {
    this.#context = { clock: systemClock, ...options, gate: new Gate(AT_ONCE) }
  }

  /**
   * Starts, stops and restarts probes so that exactly these endpoints are probed, as they are now described. One whose `endpoint` and
   * `backend` are the same objects as before is not looked into.
   */
  apply(endpoints: readonly ProbedEndpoint[]): void {
    this.#round++
    for (const probed of endpoints) if (mayBeProbed(probed)) this.#want(probed)
    for (const [id, running] of this.#running) if (running.round !== this.#round) this.#end(id, running)
  }

  /** Of an open circuit: finds out after so long whether the endpoint works again. Nothing comes of one that is not probed. */
  retest(endpointId: string, afterMs: number): void {
    this.#running.get(endpointId)?.probe.retest(afterMs)
  }

  /** Ends everything; no report comes after the call. */
  async close(): Promise<void> {
    this.apply([])
    await Promise.all(this.#stopping)
  }

  #want(probed: ProbedEndpoint): void {
    const running = this.#running.get(probed.id)
    if (running !== undefined && isSame(running, probed)) {
      running.of = probed
      running.round = this.#round
      return
    }
    if (running !== undefined) this.#end(probed.id, running)
    const probe = new EndpointProbe(probed, this.#context)
    this.#running.set(probed.id, { of: probed, round: this.#round, settings: settingsOf(probed), probe })
  }

  #end(id: string, { probe }: Running): void {
    this.#running.delete(id)
    const stopped = probe.stop().finally(() => this.#stopping.delete(stopped))
    this.#stopping.add(stopped)
  }
}

function mayBeProbed({ backend }: ProbedEndpoint): boolean {
  return backend.probed && backend.auth === undefined
}

const isSame = ({ of, settings }: Running, probed: ProbedEndpoint): boolean =>
  (of.endpoint === probed.endpoint && of.backend === probed.backend && of.aliases === probed.aliases) || settings === settingsOf(probed)

/** All that a probe depends on: a change of anything else (a weight) leaves it running. */
function settingsOf({ backend, endpoint, aliases }: ProbedEndpoint): string {
  const { engine, upstreamModel, health, signals, headers } = backend
  return JSON.stringify([endpoint.origin, endpoint.basePath, engine, upstreamModel, health, signals, headers, adaptersOf(aliases)])
}
