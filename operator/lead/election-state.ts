/**
 * What to do about a Lease, as client-go decides it. PURE: `nowMs` is our own monotonic clock, `wallMs` the time to write down. The times inside a
 * Lease are other machines': a holder counts as alive for as long as we have not seen its record unchanged for a whole lease duration.
 */
import { type LeaseRecord, microTime } from './lease.ts'

/** A record, and when we saw it first. */
export interface Observed {
  readonly record: LeaseRecord
  readonly atMs: number
}

/** `nowMs`: after the answer came. */
export function observe(before: Observed | undefined, record: LeaseRecord, nowMs: number): Observed {
  return before !== undefined && isSame(before.record, record) ? before : { record, atMs: nowMs }
}

export type Decision = { readonly take: true } | { readonly take: false; readonly holder: string; readonly leftMs: number }

/** `identity` is ours: what we hold already we may renew at any time. */
export function decide({ record, atMs }: Observed, identity: string, nowMs: number): Decision {
  if (record.holder === '' || record.holder === identity) return { take: true }
  const leftMs = atMs + record.durationMs - nowMs
  return leftMs <= 0 ? { take: true } : { take: false, holder: record.holder, leftMs }
}

export interface Claim {
  readonly identity: string
  readonly durationMs: number
  readonly wallMs: number
}

/** The record with which we take, or renew, what `before` says. */
export function claimed(before: LeaseRecord | undefined, { identity, durationMs, wallMs }: Claim): LeaseRecord {
  const time = microTime(wallMs)
  const isOurs = before?.holder === identity
  return {
    holder: identity,
    durationMs,
    acquireTime: isOurs && before.acquireTime !== '' ? before.acquireTime : time,
    renewTime: time,
    transitions: before === undefined ? 0 : before.transitions + (isOurs ? 0 : 1),
  }
}

/** The record with which a holder lets go: anybody may take it at once. */
export function released({ transitions }: LeaseRecord, wallMs: number): LeaseRecord {
  const time = microTime(wallMs)
  return { holder: '', durationMs: 1000, acquireTime: time, renewTime: time, transitions }
}

/** Whether a holder may still act: its last renewal was *sent* less than the deadline ago, and others wait for longer than that. */
export const mayAct = (renewedAtMs: number, deadlineMs: number, nowMs: number): boolean => nowMs < renewedAtMs + deadlineMs

const isSame = (a: LeaseRecord, b: LeaseRecord): boolean =>
  a.holder === b.holder &&
  a.renewTime === b.renewTime &&
  a.acquireTime === b.acquireTime &&
  a.durationMs === b.durationMs &&
  a.transitions === b.transitions
