import type { Registry } from 'prom-client'
import { ReadCounter, ReadGauge, type Reading } from './readings.ts'

/** The push as it is at a scrape. Undefined values are absent. */
export interface PushReadings {
  readonly connected: boolean
  /** Connections that ended or never came to be, by reason. */
  readonly losses: ReadonlyMap<string, number>
  readonly committedAtMs: number | undefined
  /** Entries at an older value, or none. */
  readonly kept: number
  /** So far. */
  readonly refused: number
  readonly fromDisk: boolean
  readonly lastKnownGood: { readonly savedAtMs: number | undefined; readonly corrupt: number; readonly failedWrites: number } | undefined
  /** This proxy's shares of limits: proxies that share them, and how long nobody has given any. */
  readonly quota?: { readonly fleet: number; readonly lostMs: number } | undefined
}

export type PushSources = () => PushReadings

const one = (value: number | undefined): readonly Reading[] => (value === undefined ? [] : [{ labels: {}, value }])
const seconds = (ms: number | undefined): number | undefined => (ms === undefined ? undefined : ms / 1000)

const GAUGES: Readonly<Record<string, { readonly help: string; readonly value: (push: PushReadings) => number | undefined }>> = {
  llama_swap_push_connected: {
    help: '1 = an operator has welcomed this proxy and is heard; absent without --operator.',
    value: ({ connected }) => Number(connected),
  },
  llama_swap_table_committed_timestamp_seconds: {
    help: 'When the last commit of an operator was taken, in seconds since the epoch.',
    value: ({ committedAtMs }) => seconds(committedAtMs),
  },
  llama_swap_table_from_disk: {
    help: '1 = the table in use is the last known good one from disk, and no operator has confirmed it yet.',
    value: ({ fromDisk }) => Number(fromDisk),
  },
  llama_swap_table_kept_entries: {
    help: 'Entries whose newest value was refused: their last good value, if there is one, stays in use.',
    value: ({ kept }) => kept,
  },
  llama_swap_quota_fleet: {
    help: 'Proxies that share limits with this one, itself included, as the operator said last.',
    value: ({ quota }) => quota?.fleet,
  },
  llama_swap_quota_lost_seconds: {
    help: 'How long no operator has given shares of limits; 0 = one is there.',
    value: ({ quota }) => seconds(quota?.lostMs),
  },
  llama_swap_last_known_good_saved_timestamp_seconds: {
    help: 'When this process wrote the last known good table to disk, in seconds since the epoch.',
    value: ({ lastKnownGood }) => seconds(lastKnownGood?.savedAtMs),
  },
}

/** Read when scraped. */
export function registerPushMetrics(registry: Registry, push: PushSources | undefined): void {
  const read = (pick: (push: PushReadings) => readonly Reading[]) => (): readonly Reading[] => (push === undefined ? [] : pick(push()))
  for (const [name, { help, value }] of Object.entries(GAUGES))
    new ReadGauge({ name, help, registry, read: read((readings) => one(value(readings))) })
  new ReadCounter({
    name: 'llama_swap_push_reconnects_total',
    help: 'Connections to operators that ended or never came to be, by reason.',
    labelNames: ['reason'],
    registry,
    read: read(({ losses }) => [...losses].map(([reason, value]) => ({ labels: { reason }, value }))),
  })
  new ReadCounter({
    name: 'llama_swap_table_refused_entries_total',
    help: 'Entries of pushed tables that were refused.',
    registry,
    read: read(({ refused }) => one(refused)),
  })
  new ReadCounter({
    name: 'llama_swap_last_known_good_failures_total',
    help: 'Last known good tables that were set aside as unusable ("corrupt") or could not be written ("write").',
    labelNames: ['reason'],
    registry,
    read: read(({ lastKnownGood: good }) =>
      good === undefined
        ? []
        : [
            { labels: { reason: 'corrupt' }, value: good.corrupt },
            { labels: { reason: 'write' }, value: good.failedWrites },
          ],
    ),
  })
}
