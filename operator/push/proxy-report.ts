import type { EndpointReport, ProxyFrame, UsageReport } from '../../proxy/routing-table/frames.ts'
import type { Ref } from '../../proxy/routing-table/v1.ts'

export type ReportFrame = Extract<ProxyFrame, { type: 'report' }>

/** More endpoints than that of one proxy are not remembered. */
const MAX_ENDPOINTS = 20_000

/** What one proxy says of endpoints. */
export class ProxyReport {
  readonly #endpoints = new Map<string, EndpointReport>()

  get endpoints(): ReadonlyMap<string, EndpointReport> {
    return this.#endpoints
  }

  /** Whether an endpoint went up or down, came or went. */
  take({ endpoints, gone }: ReportFrame): boolean {
    let changed = false
    for (const id of gone) changed = this.#endpoints.delete(id) || changed
    for (const report of endpoints) {
      const before = this.#endpoints.get(report.id)
      if (before === undefined && this.#endpoints.size >= MAX_ENDPOINTS) continue
      changed ||= before?.up !== report.up || before?.engine !== report.engine
      this.#endpoints.set(report.id, report)
    }
    return changed
  }
}

export interface EndpointVotes {
  /** Gateways that say it takes requests, and that say it does not; the others do not know. */
  readonly up: number
  readonly down: number
  /** Requests of gateways that are in flight there. */
  readonly inFlight: number
  readonly engine?: string
}

/** The word of all gateways on each endpoint. */
export function votesOf(reports: Iterable<ProxyReport>): ReadonlyMap<string, EndpointVotes> {
  const votes = new Map<string, EndpointVotes>()
  for (const { endpoints } of reports) for (const report of endpoints.values()) votes.set(report.id, counted(votes.get(report.id), report))
  return votes
}

function counted(before: EndpointVotes | undefined, { up, inFlight, engine }: EndpointReport): EndpointVotes {
  const known = engine ?? before?.engine
  return {
    up: (before?.up ?? 0) + (up === true ? 1 : 0),
    down: (before?.down ?? 0) + (up === false ? 1 : 0),
    inFlight: (before?.inFlight ?? 0) + inFlight,
    ...(known !== undefined && { engine: known }),
  }
}

export type Usage = Omit<UsageReport, 'ref'>

/** Since this process began. As many models as the table has. */
export class UsageTotals {
  readonly #totals = new Map<Ref, Usage>()

  get totals(): ReadonlyMap<Ref, Usage> {
    return this.#totals
  }

  add({ ref, ...more }: UsageReport): void {
    const before = this.#totals.get(ref)
    this.#totals.set(ref, {
      requests: (before?.requests ?? 0) + more.requests,
      errors: (before?.errors ?? 0) + more.errors,
      inputTokens: (before?.inputTokens ?? 0) + more.inputTokens,
      outputTokens: (before?.outputTokens ?? 0) + more.outputTokens,
    })
  }

  forget(ref: Ref): void {
    this.#totals.delete(ref)
  }
}
