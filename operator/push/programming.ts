/** Which gateways have which version of each model and policy. PURE. */
import type { FrameError } from '../../proxy/routing-table/frames.ts'
import type { ListedEntry, Published } from './entries.ts'
import type { Standing } from './standing.ts'

export interface GatewayStanding {
  /** "namespace/pod". */
  readonly proxy: string
  readonly standing: Pick<Standing, 'ackedSeq' | 'rejected' | 'hasRejected' | 'tableError'>
}

export interface Rejection {
  readonly proxy: string
  readonly reason: FrameError['reason'] | 'kept'
  /** JSON pointer into the entry's value. */
  readonly pointer: string
  readonly message: string
  /** What it serves instead; 0 = nothing. */
  readonly keptGeneration: number
}

export interface Programming {
  /** Gateways that have acknowledged once, and are connected or gone for less than the grace. */
  readonly gateways: number
  /** Of those, the ones that serve this version. */
  readonly acked: number
  /** When this version was published, while a gateway has not answered it. */
  readonly pendingSinceMs?: number
  readonly rejected: readonly Rejection[]
}

/** "LlamaModel namespace/name" or "RoutingPolicy namespace/name". */
export type ObjectName = string

export function programmingOf(
  { entries }: Pick<Published, 'entries'>,
  gateways: readonly GatewayStanding[],
): ReadonlyMap<ObjectName, Programming> {
  const calm: Programming = { gateways: gateways.length, acked: gateways.length, rejected: [] }
  const everyoneHas = Math.min(...gateways.map(({ standing }) => standing.ackedSeq))
  const rejections = rejectionsOf(gateways)
  const facts = new Map<ObjectName, Programming>()
  for (const entry of entries.values()) {
    const name = objectName(entry)
    if (name === undefined) continue
    const rejected = rejections.get(name) ?? []
    const isCalm = rejected.length === 0 && entry.changedSeq <= everyoneHas
    facts.set(name, isCalm ? calm : counted(entry, gateways, rejected))
  }
  return facts
}

function objectName({ kind, key }: { readonly kind: string; readonly key: string }): ObjectName | undefined {
  if (kind === 'model') return `LlamaModel ${key}`
  return kind === 'policy' ? `RoutingPolicy ${key}` : undefined
}

function counted(entry: ListedEntry, gateways: readonly GatewayStanding[], rejected: readonly Rejection[]): Programming {
  const behind = gateways.filter(({ standing }) => standing.ackedSeq < entry.changedSeq)
  const wholly = behind.flatMap(({ proxy, standing }) =>
    standing.tableError === undefined ? [] : [rejection(proxy, standing.tableError, 0)],
  )
  const all = [...rejected, ...wholly]
  const not = new Set([...all.map(({ proxy }) => proxy), ...behind.map(({ proxy }) => proxy)])
  return {
    gateways: gateways.length,
    acked: gateways.length - not.size,
    ...(behind.length > wholly.length && { pendingSinceMs: entry.changedAtMs }),
    rejected: all,
  }
}

/** By object. Endpoints that a gateway refuses count for their model: their key is the model's ref and the backend's name. */
function rejectionsOf(gateways: readonly GatewayStanding[]): ReadonlyMap<ObjectName, readonly Rejection[]> {
  const found = new Map<ObjectName, Rejection[]>()
  for (const { proxy, standing } of gateways) {
    if (!standing.hasRejected) continue
    for (const [entry, { kept, error }] of standing.rejected) {
      const [kind = '', ref = ''] = entry.split(' ')
      const name = objectName({ kind: kind === 'endpoints' ? 'model' : kind, key: ref })
      if (name === undefined) continue
      const list = found.get(name) ?? []
      list.push(rejection(proxy, error, kept?.generation ?? 0))
      found.set(name, list)
    }
  }
  return found
}

function rejection(proxy: string, error: FrameError | undefined, keptGeneration: number): Rejection {
  const { reason, pointer, message } = error ?? { reason: 'kept' as const, pointer: '', message: 'an older version stays in force' }
  return { proxy, reason, pointer, message, keptGeneration }
}
