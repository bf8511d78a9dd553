/** One measurement each: load on a subject, CPU and memory of its process meanwhile. Rejects when a request fails: a wrong answer has no speed. */
import type { Ground } from './ground.ts'
import { OTHER_CORE } from './ground.ts'
import type { LoadName } from './loads.ts'
import { cpuMicros, residentMb, startOn } from './processes.ts'
import type { Subject } from './subjects.ts'

/** What lg.c prints. Percentiles are of request latency, or of the time an event is on its way, in microseconds. */
interface LoadResult {
  ok: number
  bad: number
  errors: number
  unfinished: number
  events: number
  p50: number
  p99: number
}

interface Measured {
  readonly cpuMicrosPerRequest: number
  readonly cpuMicrosPerEvent: number
  readonly p50Micros: number
  readonly p99Micros: number
  /** Highest resident memory seen. */
  readonly peakMb: number
}

const CONNECTIONS = 64

/** Requests at random times, `perSecond` on average, whatever the answers take. */
export function measureAtRate(ground: Ground, subject: Subject, load: LoadName, perSecond: number, seconds: number): Promise<Measured> {
  return measure(ground, subject, load, ['rate', subject.port(load), CONNECTIONS, perSecond, seconds])
}

/** As many requests as it takes. */
export function measureAtFullLoad(ground: Ground, subject: Subject, load: LoadName, seconds: number): Promise<Measured> {
  return measure(ground, subject, load, ['loop', subject.port(load), CONNECTIONS, seconds])
}

/** `streams` at a time. Their starts and ends are part of the CPU time per event. */
export function measureStreams(ground: Ground, subject: Subject, load: LoadName, streams: number, seconds: number): Promise<Measured> {
  return measure(ground, subject, load, ['sse', subject.port(load), streams, seconds])
}

async function measure(ground: Ground, subject: Subject, load: LoadName, what: readonly (string | number)[]): Promise<Measured> {
  const before = cpuOf(subject)
  const memory = watchMemory(subject)
  const program = startOn(OTHER_CORE, ground.lg, [...what.map(String), ground.bodyFile(load), ground.headersFile])
  const result = parse(await program.ended().finally(memory.stop))
  if (result.bad + result.errors + result.unfinished > 0 || result.ok === 0) throw new Error(`${load}: ${JSON.stringify(result)}`)
  const micros = cpuOf(subject) - before
  return {
    cpuMicrosPerRequest: micros / result.ok,
    cpuMicrosPerEvent: micros / result.events,
    p50Micros: result.p50,
    p99Micros: result.p99,
    peakMb: memory.peakMb(),
  }
}

const cpuOf = ({ pid }: Subject): number => (pid === undefined ? 0 : cpuMicros(pid))

function parse(line: string): LoadResult {
  return JSON.parse(line) as LoadResult
}

const LOOK_EVERY_MS = 250

function watchMemory({ pid }: Subject): { stop: () => void; peakMb: () => number } {
  let peakMb = 0
  const look = (): void => {
    if (pid !== undefined) peakMb = Math.max(peakMb, residentMb(pid))
  }
  const timer = setInterval(look, LOOK_EVERY_MS)
  return { stop: () => clearInterval(timer), peakMb: () => peakMb }
}
