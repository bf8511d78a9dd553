/**
 * What a router is measured against: one queue for all engines, and each takes from it only what it can begin at once; where several can,
 * the one with least to do for its true speed. Knows what no router knows, and never has to choose before it must.
 */
import { Fleet } from './fleet.ts'
import type { Served } from './outcome.ts'
import { ENGINE } from './scenario.ts'
import type { Run } from './virtual.ts'
import { type Request, requestsOf } from './workload.ts'

/** Prompt tokens that delay others about as much as one more sequence does. */
const TOKENS_LIKE_A_SEQUENCE = 256

interface Job extends Request {
  engine: number | undefined
  firstTokenMs: number | undefined
  endMs: number | undefined
}

export function runIdeal({ timeline, seed, capacity, load, arrivals }: Run): readonly Served[] {
  const line: Job[] = []
  const fleet = new Fleet<Job>(timeline, {
    token: (job, number, nowMs) => {
      if (number === 1) {
        job.firstTokenMs = nowMs
        unread[job.engine ?? 0] = (unread[job.engine ?? 0] ?? 0) - job.promptTokens
      }
      if (number === job.outputTokens) job.endMs = nowMs
    },
    stepped: () => place(),
  })
  const unread = fleet.engines.map(() => 0)
  const workAt = (at: number): number => {
    const { running = 0, waiting = 0 } = fleet.engines[at] ?? {}
    const work = running + waiting + 1 + (unread[at] ?? 0) / TOKENS_LIKE_A_SEQUENCE
    return running + waiting < ENGINE.maxBatch ? work / (fleet.speeds[at] ?? 1) : Number.POSITIVE_INFINITY
  }
  const place = (): void => {
    for (let job = line[0]; job !== undefined; job = line[0]) {
      const works = fleet.engines.map((_, at) => workAt(at))
      const least = Math.min(...works)
      if (!Number.isFinite(least)) return
      line.shift()
      job.engine = works.indexOf(least)
      unread[job.engine] = (unread[job.engine] ?? 0) + job.promptTokens
      fleet.add(job.engine, job)
    }
  }
  const jobs = requestsOf(arrivals, capacity * load, timeline.endsAt, seed).map(
    (request): Job => ({ ...request, engine: undefined, firstTokenMs: undefined, endMs: undefined }),
  )
  for (const job of jobs) {
    fleet.queue.add(job.atMs, () => {
      line.push(job)
      place()
    })
  }
  fleet.queue.run()
  return jobs
}
