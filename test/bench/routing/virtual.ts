/** One run of the scenario in virtual time: events in order of time, no clock and no socket. */
import { Fleet } from './fleet.ts'
import { runIdeal } from './ideal.ts'
import type { Served } from './outcome.ts'
import { type Cell, type Chooser, SCRAPE, type Timeline } from './scenario.ts'
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

export function runVirtual(run: Run): readonly Served[] {
  const { chooser, timeline, seed, capacity, load, arrivals, proxies: count } = run
  if (chooser.kind === 'ideal') return runIdeal(run)
  const jobs: Job[] = []
  const fleet = new Fleet<Job>(timeline, { token })
  const { queue, engines } = fleet
  const proxies = Array.from({ length: count }, (_, at) => new VirtualProxy(chooser, engines.length, diceOf(seed, `proxy ${at}`), START_MS))
  const arrive = (request: Request): void => {
    const attempt = proxies[Math.floor(request.proxy * count)]?.send(request.promptTokens, START_MS + queue.nowMs)
    if (attempt === undefined) throw new Error(`no proxy ${request.proxy}`)
    const job: Job = { ...request, attempt, firstTokenMs: undefined, endMs: undefined }
    jobs.push(job)
    fleet.add(attempt.engine, job)
  }
  const scrapes = diceOf(seed, 'scrapes')
  const scrape = (proxy: VirtualProxy, at: number): void => {
    const { running = 0, waiting = 0 } = engines[at] ?? {}
    proxy.scraped(at, running, waiting, START_MS + queue.nowMs)
    const afterMs = SCRAPE.everyMs * (1 - SCRAPE.jitter + 2 * SCRAPE.jitter * scrapes())
    if (queue.nowMs < timeline.endsAt * 1000) queue.add(queue.nowMs + afterMs, () => scrape(proxy, at))
  }
  for (const proxy of proxies) for (const at of engines.keys()) queue.add(scrapes() * SCRAPE.everyMs, () => scrape(proxy, at))
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

function token(job: Job, number: number, nowMs: number): void {
  if (number === 1) {
    job.firstTokenMs = nowMs
    job.attempt.began(START_MS + nowMs)
  }
  if (number < job.outputTokens) return
  job.endMs = nowMs
  job.attempt.ended(job.outputTokens, START_MS + nowMs)
}
