/** One run of the scenario in virtual time: events in order of time, no clock and no socket. PURE but for the live state it owns. */
import { EngineModel } from './engine-model.ts'
import { EventQueue } from './event-queue.ts'
import type { Served } from './outcome.ts'
import { type Cell, type Chooser, CUT, ENGINE, SCRAPE, SPEEDS, type Timeline } from './scenario.ts'
import { type Attempt, VirtualProxy } from './virtual-proxy.ts'
import { diceOf, type Request, requestsOf } from './workload.ts'

/** Live state knows times since the epoch. */
const START_MS = 1_700_000_000_000

export interface Run extends Cell {
  readonly chooser: Chooser
  readonly timeline: Timeline
  readonly seed: number
  /** Requests a second that all engines together can do. */
  readonly capacity: number
}

interface Job extends Request {
  readonly attempt: Attempt
  firstTokenMs: number | undefined
  endMs: number | undefined
}

export function runVirtual({ chooser, timeline, seed, capacity, load, arrivals, proxies: count }: Run): readonly Served[] {
  const queue = new EventQueue()
  const engines = SPEEDS.map((speed) => new EngineModel<Job>(ENGINE, speed))
  const busy = engines.map(() => false)
  const proxies = Array.from({ length: count }, (_, at) => new VirtualProxy(chooser, engines.length, diceOf(seed, `proxy ${at}`), START_MS))
  const jobs: Job[] = []

  const step = (at: number): void => {
    const tookMs = engines[at]?.begin()
    busy[at] = tookMs !== undefined
    if (tookMs !== undefined) queue.add(queue.nowMs + tookMs, () => finish(at))
  }
  const finish = (at: number): void => {
    for (const { job, number } of engines[at]?.finish() ?? []) {
      if (number === 1) {
        job.firstTokenMs = queue.nowMs
        job.attempt.began(START_MS + queue.nowMs)
      }
      if (number < job.outputTokens) continue
      job.endMs = queue.nowMs
      job.attempt.ended(job.outputTokens, START_MS + queue.nowMs)
    }
    step(at)
  }
  const arrive = (request: Request): void => {
    const attempt = proxies[Math.floor(request.proxy * count)]?.send(request.promptTokens, START_MS + queue.nowMs)
    if (attempt === undefined) throw new Error(`no proxy ${request.proxy}`)
    const job: Job = { ...request, attempt, firstTokenMs: undefined, endMs: undefined }
    jobs.push(job)
    engines[attempt.engine]?.add(job)
    if (busy[attempt.engine] === false) step(attempt.engine)
  }
  const scrapes = diceOf(seed, 'scrapes')
  const scrape = (proxy: VirtualProxy, at: number): void => {
    const { running = 0, waiting = 0 } = engines[at] ?? {}
    proxy.scraped(at, running, waiting, START_MS + queue.nowMs)
    const afterMs = SCRAPE.everyMs * (1 - SCRAPE.jitter + 2 * SCRAPE.jitter * scrapes())
    if (queue.nowMs < timeline.endsAt * 1000) queue.add(queue.nowMs + afterMs, () => scrape(proxy, at))
  }

  for (const proxy of proxies) for (const at of engines.keys()) queue.add(scrapes() * SCRAPE.everyMs, () => scrape(proxy, at))
  queue.add(timeline.cutAt * 1000, () => engines[CUT.engine]?.setSpeed((SPEEDS[CUT.engine] ?? 1) * CUT.speed))
  queue.add(timeline.recoversAt * 1000, () => engines[CUT.engine]?.setSpeed(SPEEDS[CUT.engine] ?? 1))
  for (const request of requestsOf(arrivals, capacity * load, timeline.endsAt, seed)) queue.add(request.atMs, () => arrive(request))
  queue.run()
  return jobs.map(({ atMs, attempt: { engine }, firstTokenMs, endMs, outputTokens }) => ({
    atMs,
    engine,
    firstTokenMs,
    endMs,
    outputTokens,
  }))
}
