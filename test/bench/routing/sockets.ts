/**
 * The scenario over real sockets and in real time: engine processes, proxy processes as they are shipped, a client. Strategies that are
 * compared run side by side, each with engines and proxies of its own, and are asked the same at the same moments.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { eventually } from '../../support/eventually.ts'
import { type Program, startProgram } from '../../support/program.ts'
import { type RunningProxy, startProxy } from '../../support/proxy.ts'
import { type Asker, bodyForModel, makeAsker } from './asker.ts'
import type { Served } from './outcome.ts'
import { type Cell, CUT, SLO, SPEEDS, type Timeline } from './scenario.ts'
import { type Routed, tableOf } from './virtual-proxy.ts'
import { type Request, requestsOf } from './workload.ts'

/** After the last arrival answers are awaited so long at most, and only while one of them may still be within the bounds. */
const DRAIN_MS = 45_000

export interface SocketRun extends Cell {
  readonly choosers: readonly Routed[]
  readonly timeline: Timeline
  readonly seed: number
  readonly capacity: number
}

/** By the choosers' order. */
export async function runSockets({ choosers, timeline, seed, capacity, load, arrivals, proxies }: SocketRun): Promise<readonly Served[][]> {
  const sides: Side[] = []
  try {
    for (const chooser of choosers) sides.push(await Side.start(chooser, proxies))
    const requests = requestsOf(arrivals, capacity * load, timeline.endsAt, seed)
    const startMs = performance.now()
    await Promise.all([...sides.map((side) => side.cutAndRecover(timeline, startMs)), arrive(sides, requests, startMs)])
    return await Promise.all(sides.map((side) => side.drained()))
  } finally {
    await Promise.all(sides.map((side) => side.close()))
  }
}

async function arrive(sides: readonly Side[], requests: readonly Request[], startMs: number): Promise<void> {
  for (const request of requests) {
    const waitMs = startMs + request.atMs - performance.now()
    if (waitMs > 0) await delay(waitMs)
    for (const side of sides) side.ask(request, startMs)
  }
}

/** Targets are called m0, m1, … */
export const engineOf = (model: string): number => Number(/m(\d)$/.exec(model)?.[1])

/** Engines, proxies and the clients of one strategy. Owner of their processes. */
class Side {
  readonly #engines: readonly Engine[]
  readonly #proxies: readonly RunningProxy[]
  readonly #asker: Asker = makeAsker({ engineOf, bodyOf: bodyForModel, tokenAnEvent: false })
  readonly #answers: Promise<Served>[] = []
  readonly #open = new Set<{ readonly request: Request; readonly askedMs: number }>()

  private constructor(engines: readonly Engine[], proxies: readonly RunningProxy[]) {
    this.#engines = engines
    this.#proxies = proxies
  }

  static async start(chooser: Routed, count: number): Promise<Side> {
    const engines: Engine[] = []
    const proxies: RunningProxy[] = []
    try {
      engines.push(...(await Promise.all(SPEEDS.map(startEngine))))
      const table = tableOf(
        chooser,
        engines.map(({ url }) => url),
        'Auto',
      )
      proxies.push(...(await Promise.all(Array.from({ length: count }, () => startProxy(table)))))
      await Promise.all(proxies.map(recognised))
      return new Side(engines, proxies)
    } catch (error) {
      await Promise.all([...proxies.map((proxy) => proxy.program.close()), ...engines.map(({ program }) => program.close())])
      throw error
    }
  }

  ask(request: Request, startMs: number): void {
    const proxy = this.#proxies[Math.floor(request.proxy * this.#proxies.length)]
    if (proxy === undefined) throw new Error(`no proxy ${request.proxy}`)
    const open = { request, askedMs: performance.now() }
    this.#open.add(open)
    this.#answers.push(this.#asker.ask(proxy.url, request, startMs).finally(() => this.#open.delete(open)))
  }

  async cutAndRecover({ cutAt, recoversAt, endsAt }: Timeline, startMs: number): Promise<void> {
    const until = (seconds: number): Promise<void> => delay(Math.max(0, startMs + seconds * 1000 - performance.now()))
    const speed = SPEEDS[CUT.engine] ?? 1
    await until(cutAt)
    await this.#setSpeed(speed * CUT.speed)
    await until(recoversAt)
    await this.#setSpeed(speed)
    await until(endsAt)
  }

  async #setSpeed(speed: number): Promise<void> {
    await fetch(`${this.#engines[CUT.engine]?.url}/speed`, { method: 'POST', body: String(speed) })
  }

  /** Answers that come, until none of those that do not can be within the bounds. */
  async drained(): Promise<Served[]> {
    const endMs = performance.now() + DRAIN_MS
    while (performance.now() < endMs && [...this.#open].some(mayBeWell)) await delay(100)
    this.#asker.close()
    return await Promise.all(this.#answers)
  }

  async close(): Promise<void> {
    this.#asker.close()
    await Promise.all(this.#answers)
    await Promise.all([...this.#proxies.map(({ program }) => program.close()), ...this.#engines.map(({ program }) => program.close())])
  }
}

/** Of a request under way: not so late already that its end does not matter. */
const mayBeWell = ({ request: { outputTokens }, askedMs }: { readonly request: Request; readonly askedMs: number }): boolean =>
  performance.now() - askedMs <= SLO.firstTokenMs + (outputTokens - 1) * SLO.tokenMs

interface Engine {
  readonly program: Program
  readonly url: string
}

async function startEngine(speed: number): Promise<Engine> {
  const program = startProgram({ file: 'test/bench/routing/engine-server.ts', args: ['--speed', String(speed)] })
  const line = await program.line(({ msg }) => msg === 'listening')
  return { program, url: `http://127.0.0.1:${String(line['port'])}` }
}

/** It knows what each endpoint is. */
const recognised = (proxy: RunningProxy): Promise<void> =>
  eventually(async () => {
    const response = await fetch(`${proxy.adminUrl}/debug/endpoints`)
    const text = await response.text()
    const known = text.split('"vLLM"').length - 1
    if (known < SPEEDS.length) throw new Error(`${known} of ${SPEEDS.length} engines are recognised: ${text}`)
  })
