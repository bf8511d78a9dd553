import type { MeterReport, ProxyMode } from '../../proxy/routing-table/frames.ts'
import type { EntryId } from './entries.ts'
import { entryId, type VersionedEntry } from './entries.ts'
import type { QuotaReport } from './quota-desk.ts'

interface Speaker {
  readonly mode: ProxyMode
  readonly namespace: string
}

/**
 * What of a report counts: a sidecar, which runs under its app's account, speaks of the models that it sees and of its own namespace as a
 * client; and how large a model's limit is, says the table.
 */
export function withinSight(report: QuotaReport, speaker: Speaker, entries: ReadonlyMap<EntryId, VersionedEntry>): QuotaReport {
  const meters = report.meters.flatMap((meter) => seen(meter, speaker, entries) ?? [])
  return { ...report, meters }
}

function seen(meter: MeterReport, speaker: Speaker, entries: ReadonlyMap<EntryId, VersionedEntry>): MeterReport | undefined {
  const [scope, ref = '', name = ''] = meter.key.split(' ')
  if (scope === 'client') {
    const isOwn = name === speaker.namespace && entries.has(entryId('policy', ref))
    return speaker.mode === 'Gateway' || isOwn ? meter : undefined
  }
  const entry = entries.get(entryId('model', ref))?.entry
  const limits: Readonly<Record<string, unknown>> = entry?.kind === 'model' ? { ...entry.value.limits } : {}
  const max = limits[name]
  if (typeof max === 'number') return { ...meter, max }
  return speaker.mode === 'Gateway' ? meter : undefined
}
