/**
 * Limits and quotas as one proxy keeps them: limits of ours on models and clients, and what upstreams allow us. In: routing tables,
 * requests that are about to be sent, what they used in the end, limit headers of upstreams, leases of shares. Out: shortages and headroom
 * for decide, bookings, `x-ratelimit-*`. PURE but for its own state: no clock (times arrive as values), no socket, no timer.
 *
 * Whoever books must do so in the turn of the event loop in which decide found room: between the two nobody else may book.
 */
import type { Facts } from '../decide/input.ts'
import type { LimitsView, Shortage } from '../decide/limits-view.ts'
import type { CompiledEndpoint, CompiledPolicy, CompiledTable } from '../routing-table/compiled.ts'
import type { Ref } from '../routing-table/v1.ts'
import type { Booking } from './booking.ts'

const NOTHING: Booking = { settle: () => {}, refund: () => {} }

export interface MeterReading {
  /** "model NAMESPACE/NAME LIMIT" or "client NAMESPACE/POLICY CLIENT LIMIT". */
  readonly key: string
  readonly limit: 'requestsPerMinute' | 'tokensPerMinute' | 'tokensPerDay' | 'costPerDay'
  readonly window: 'minute' | 'day'
  /** Of the whole installation: requests, tokens or USD. */
  readonly max: number
  /** This proxy's share of it. */
  readonly cap: number
  /** By this proxy, in the window, what is only reserved included. */
  readonly used: number
  /** All that was ever asked of this proxy, admitted or not: only rises. */
  readonly wanted: number
}

export class Limits implements LimitsView {
  /** Bookings that are neither settled nor refunded. */
  get open(): number {
    return 0
  }

  apply(_table: CompiledTable): void {}

  modelShortage(_model: Ref, _facts: Facts, _nowMs: number): Shortage | undefined {
    return undefined
  }

  clientShortage(_policy: CompiledPolicy, _facts: Facts, _nowMs: number): Shortage | undefined {
    return undefined
  }

  headroom(_endpoint: CompiledEndpoint, _nowMs: number): number {
    return 1
  }

  quotaPercent(_endpoint: CompiledEndpoint, _nowMs: number): number {
    return 0
  }

  /** The client's limits under the policy, maxConcurrent included: once a request, before its first attempt. */
  admit(_q: { policy: CompiledPolicy | undefined; facts: Facts }, _nowMs: number): Booking {
    return NOTHING
  }

  /** The serving model's own limits, and the upstream's quota of this backend and credential: once an attempt. */
  book(_q: { endpoint: CompiledEndpoint; credential: string | undefined; facts: Facts }, _nowMs: number): Booking {
    return NOTHING
  }

  /** A request was turned away or made to wait for want of this: counted, and its need stands in `wanted`. Once a request and limit. */
  missed(_shortage: Shortage): void {}

  /** Limit headers of an answer, whatever its status. The time until which this credential has nothing left; undefined = it has. */
  heard(_endpoint: CompiledEndpoint, _credential: string | undefined, _headers: Facts['headers'], _nowMs: number): number | undefined {
    return undefined
  }

  /** Told of each room that came back before its time; the model whose limit it is, undefined = a client's, or any. Ends with the call of what it returns. */
  onRoom(_listener: (model: Ref | undefined) => void): () => void {
    return () => {}
  }

  /** `x-ratelimit-*` of the strictest limit of ours that applies, name after name; empty = none applies. */
  headers(_q: { model: Ref; policy: CompiledPolicy | undefined; facts: Facts }, _nowMs: number): string[] {
    return []
  }

  /** Every meter that has been used: of models and of clients. */
  *meters(_nowMs: number): Iterable<MeterReading> {}

  /** This proxy's share of one limit; undefined = as without a lease. A key that no meter has yet is kept for it. */
  lease(_key: string, _cap: number | undefined): void {}

  /** The share (0 to 1) of meters without a lease. */
  leaseDefault(_share: number): void {}

  /** What was used today before this process began. */
  carry(_key: string, _amount: number, _nowMs: number): void {}
}
