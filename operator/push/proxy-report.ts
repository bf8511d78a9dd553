import type { EndpointReport, ProxyFrame, UsageReport } from '../../proxy/routing-table/frames.ts'
import type { Ref } from '../../proxy/routing-table/v1.ts'

export type ReportFrame = Extract<ProxyFrame, { type: 'report' }>

/** More endpoints than that of one proxy are not remembered. */
const MAX_ENDPOINTS = 20_000

export interface EndpointVotes {
  /** Gateways that say it takes requests, and that say it does not; the others do not know. */
  readonly up: number
  readonly down: number
  /** Requests of gateways that are in flight there. */
  readonly inFlight: number
  readonly engine?: string
  /** Gateways whose circuit is not closed, by what they call its state; absent = none. */
  readonly circuits?: Readonly<Record<string, number>>
  /** Why, as the last of them has it. */
  readonly because?: string
}

const NOTHING: EndpointVotes = { up: 0, down: 0, inFlight: 0 }

/** The word of all gateways on each endpoint, kept up to date at the cost of what they say. */
export class Votes {
  readonly #votes = new Map<string, EndpointVotes>()
  /** How many gateways speak of an endpoint. */
  readonly #voters = new Map<string, number>()

  get all(): ReadonlyMap<string, EndpointVotes> {
    return this.#votes
  }

  /** One gateway takes back what it said and says something else; undefined = nothing. */
  replace(id: string, before: EndpointReport | undefined, after: EndpointReport | undefined): void {
    const voters = (this.#voters.get(id) ?? 0) - Number(before !== undefined) + Number(after !== undefined)
    if (voters === 0) {
      this.#voters.delete(id)
      this.#votes.delete(id)
      return
    }
    this.#voters.set(id, voters)
    this.#votes.set(id, counted(counted(this.#votes.get(id) ?? NOTHING, before, -1), after, 1))
  }
}

function counted(votes: EndpointVotes, report: EndpointReport | undefined, by: 1 | -1): EndpointVotes {
  if (report === undefined) return votes
  const { up, inFlight, engine = votes.engine } = report
  const circuits = circuitsCounted(votes.circuits, report.circuit, by)
  const because = (by === 1 ? report.because : undefined) ?? votes.because
  return {
    up: votes.up + (up === true ? by : 0),
    down: votes.down + (up === false ? by : 0),
    inFlight: votes.inFlight + by * inFlight,
    ...(engine !== undefined && { engine }),
    ...(circuits !== undefined && { circuits }),
    ...(circuits !== undefined && because !== undefined && { because }),
  }
}

/** More than these are not told apart: a gateway of a later version may know others. */
const MAX_STATES = 16

function circuitsCounted(before: EndpointVotes['circuits'], state: string | undefined, by: 1 | -1): EndpointVotes['circuits'] {
  if (state === undefined) return before
  const counts = new Map(Object.entries(before ?? {}))
  const count = (counts.get(state) ?? 0) + by
  if (count <= 0) counts.delete(state)
  else if (counts.has(state) || counts.size < MAX_STATES) counts.set(state, count)
  return counts.size === 0 ? undefined : Object.fromEntries(counts)
}

/** What one gateway says of endpoints. */
export class ProxyReport {
  readonly #endpoints = new Map<string, EndpointReport>()

  /** Whether an endpoint went up or down, came or went. */
  take({ endpoints, gone }: ReportFrame, votes: Votes): boolean {
    let changed = false
    for (const id of gone) changed = this.#put(id, undefined, votes) || changed
    for (const report of endpoints) if (this.#hasRoom(report.id)) changed = this.#put(report.id, report, votes) || changed
    return changed
  }

  /** Its gateway is gone. */
  forget(votes: Votes): void {
    for (const id of this.#endpoints.keys()) this.#put(id, undefined, votes)
  }

  #hasRoom(id: string): boolean {
    return this.#endpoints.size < MAX_ENDPOINTS || this.#endpoints.has(id)
  }

  #put(id: string, report: EndpointReport | undefined, votes: Votes): boolean {
    const before = this.#endpoints.get(id)
    votes.replace(id, before, report)
    if (report === undefined) return this.#endpoints.delete(id)
    this.#endpoints.set(id, report)
    return before?.up !== report.up || before?.engine !== report.engine
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
