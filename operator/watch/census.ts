import type { KubeClient } from '../kube/client.ts'
import type { Collection } from './collection.ts'
import { differences, remaining, takeCensus, type Versions, wentBack } from './consistency.ts'
import type { Session } from './session.ts'
import type { SessionEnd } from './session-end.ts'

export interface CensusOptions {
  readonly client: KubeClient
  readonly collection: Collection
  readonly store: Versions
  /** Before the first. */
  readonly firstMs: number
  /** Between two. */
  readonly intervalMs: () => number
  /** Time for events that are on their way, before a difference counts. */
  readonly settleMs: number
  /** The version that the watch has reached. */
  readonly reached: () => string
  readonly onCensus: (differences: number) => void
}

export const WENT_BACK: SessionEnd = {
  reason: 'went back',
  relist: true,
  message: 'the API server counts from an older version than before, as after a restored backup',
}

/**
 * A watch can lose an event without anybody noticing: bugs upstream, a proxy in between, an etcd restored under a running server. So what is
 * there is counted now and then as long as the session lasts, and if a difference stays, the session ends and the next one lists again.
 */
export async function takeCensuses(session: Session, options: CensusOptions): Promise<void> {
  let waitMs = options.firstMs
  while (await session.waits(waitMs)) {
    // A server that does not answer is the watch's to tell.
    const end = await compare(session, options).catch(() => undefined)
    if (end !== undefined) session.end(end)
    waitMs = options.intervalMs()
  }
}

async function compare(
  session: Session,
  { client, collection, store, settleMs, reached, onCensus }: CensusOptions,
): Promise<SessionEnd | undefined> {
  const before = reached()
  const census = await takeCensus(client, collection, session.signal)
  if (wentBack(before, census.resourceVersion)) return WENT_BACK
  const found = differences(store, census)
  const count = found.size > 0 && (await session.waits(settleMs)) ? remaining(found, store) : 0
  onCensus(count)
  return count === 0
    ? undefined
    : { reason: 'diverged', relist: true, message: `${count} objects differ from what the API server has: an event was lost` }
}
